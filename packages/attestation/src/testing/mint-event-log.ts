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
  const announced = algorithms.map((algorithm) => ({ id: IDS[algorithm], size: SIZES[algorithm] }));
  return Buffer.concat([specIdHeader(announced), ...events.map((event) => encodeEvent(event, algorithms))]);
}

/** The header event alone, with algorithms by number and anything behind the vendor info. */
export function specIdHeader(
  announced: readonly { readonly id: number; readonly size: number }[],
  { count = announced.length, behind = new Uint8Array(0) }: { readonly count?: number; readonly behind?: Uint8Array } = {},
): Uint8Array {
  const specId = Buffer.concat([
    Buffer.from("Spec ID Event03\0"),
    u32(0),
    Uint8Array.of(0, 2, 0, 2),
    u32(count),
    ...announced.flatMap(({ id, size }) => [u16(id), u16(size)]),
    Uint8Array.of(0),
    behind,
  ]);
  return Buffer.concat([u32(0), u32(3), new Uint8Array(20), u32(specId.length), specId]);
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
