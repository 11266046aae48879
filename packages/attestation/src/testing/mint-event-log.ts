import type { DigestAlgorithm } from "../eventlog/event-log.ts";

export interface MintedEvent {
  readonly register: number;
  readonly type: number;
  readonly digests: Partial<Record<DigestAlgorithm, Uint8Array>>;
  readonly data: Uint8Array;
}

const IDS: Record<DigestAlgorithm, number> = { sha1: 4, sha256: 11, sha384: 12, sha512: 13, "sm3-256": 18 };
const SIZES: Record<DigestAlgorithm, number> = { sha1: 20, sha256: 32, sha384: 48, sha512: 64, "sm3-256": 32 };

/** A crypto agile log with its Spec ID header. */
export function eventLogBytes(algorithms: readonly DigestAlgorithm[], events: readonly MintedEvent[]): Uint8Array {
  const specId = Buffer.concat([
    Buffer.from("Spec ID Event03\0"),
    u32(0),
    Uint8Array.of(0, 2, 0, 2),
    u32(algorithms.length),
    ...algorithms.flatMap((algorithm) => [u16(IDS[algorithm]), u16(SIZES[algorithm])]),
    Uint8Array.of(0),
  ]);
  const header = Buffer.concat([u32(0), u32(3), new Uint8Array(20), u32(specId.length), specId]);
  return Buffer.concat([header, ...events.map((event) => encodeEvent(event, algorithms))]);
}

/** A log as TCG 1.2 firmware writes it. */
export function sha1LogBytes(events: readonly MintedEvent[]): Uint8Array {
  return Buffer.concat(
    events.flatMap(({ register, type, digests, data }) => [
      u32(register),
      u32(type),
      digests.sha1 ?? new Uint8Array(20),
      u32(data.length),
      data,
    ]),
  );
}

function encodeEvent({ register, type, digests, data }: MintedEvent, algorithms: readonly DigestAlgorithm[]): Uint8Array {
  const values = algorithms.flatMap((algorithm) => [u16(IDS[algorithm]), digests[algorithm] ?? new Uint8Array(SIZES[algorithm])]);
  return Buffer.concat([u32(register), u32(type), u32(algorithms.length), ...values, u32(data.length), data]);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >> 8);
}

function u32(value: number): Uint8Array {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
