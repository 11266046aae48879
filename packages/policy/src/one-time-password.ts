import { createHmac, timingSafeEqual } from "node:crypto";

const STEP_SECONDS = 30;
const BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** RFC 4648 base32, any case, padding optional (SL-96); undefined for anything else. */
export function decodeBase32(text: string): Uint8Array | undefined {
  const digits = text.toUpperCase().replace(/=+$/, "");
  if (!/^[A-Z2-7]*$/.test(digits) || [1, 3, 6].includes(digits.length % 8)) return undefined;
  const bytes: number[] = [];
  let buffer = 0;
  let bits = 0;
  for (const digit of digits) {
    buffer = (buffer * 32 + BASE32.indexOf(digit)) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes.push((buffer >> bits) & 0xff);
    }
  }
  return Uint8Array.from(bytes);
}

/** RFC 4648 base32, upper case. */
export function encodeBase32(bytes: Uint8Array, { padded = true } = {}): string {
  let text = "";
  let buffer = 0;
  let bits = 0;
  for (const byte of bytes) {
    buffer = ((buffer << 8) | byte) & 0xfff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32.charAt((buffer >> bits) & 31);
    }
  }
  if (bits > 0) text += BASE32.charAt((buffer << (5 - bits)) & 31);
  return padded ? text.padEnd(Math.ceil(text.length / 8) * 8, "=") : text;
}

/** RFC 6238 with SHA-1, six digits, steps of 30 s (SL-97). `step` counts from the epoch: floor(unix seconds / 30). */
export function totp(secret: Uint8Array, step: number, digits = 6): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac("sha1", secret).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) & 15;
  const value = mac.readUInt32BE(offset) & 0x7fff_ffff;
  return String(value % 10 ** digits).padStart(digits, "0");
}

export type TotpVerdict =
  | { readonly kind: "ok" /** Remember it: each step counts once. */; readonly step: number }
  | { readonly kind: "used" | "wrong" };

/**
 * Checks a one-time password: the current and the previous step are accepted, each step once (SL-97).
 * `lastUsedStep` is the newest step accepted before for this secret; the caller stores the new one in the same transaction.
 */
export function verifyTotp(
  password: string,
  secret: Uint8Array,
  { now, lastUsedStep }: { readonly now: Date; readonly lastUsedStep: number | undefined },
): TotpVerdict {
  if (!/^[0-9]{6}$/.test(password)) return { kind: "wrong" };
  const current = Math.floor(now.getTime() / 1000 / STEP_SECONDS);
  for (const step of [current, current - 1]) {
    if (!timingSafeEqual(Buffer.from(totp(secret, step)), Buffer.from(password))) continue;
    return lastUsedStep !== undefined && step <= lastUsedStep ? { kind: "used" } : { kind: "ok", step };
  }
  return { kind: "wrong" };
}

export interface ConfigId {
  readonly session: string;
  readonly service: string;
  readonly password: string | undefined;
}

/** Splits `SESSION/SERVICE[@PASSWORD]` (SL-98); undefined when it has no session or no service. */
export function parseConfigId(text: string): ConfigId | undefined {
  const at = text.lastIndexOf("@");
  const id = at < 0 ? text : text.slice(0, at);
  const slash = id.lastIndexOf("/");
  if (slash < 1 || slash === id.length - 1) return undefined;
  return { session: id.slice(0, slash), service: id.slice(slash + 1), password: at < 0 ? undefined : text.slice(at + 1) };
}
