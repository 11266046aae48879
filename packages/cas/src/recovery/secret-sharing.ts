/**
 * Shamir's secret sharing, byte by byte over GF(2^8) with the polynomial x^8 + x^4 + x^3 + x + 1: any `threshold` shares give the secret, fewer say
 * nothing about it but its length. Arithmetic without tables or branches on secret bytes.
 */

/** Place of the share (1 to 255), and one byte for each byte of the secret. */
export interface Share {
  readonly at: number;
  readonly bytes: Uint8Array;
}

const SHARES_MAX = 255;

/**
 * One share for each place from 1 to `count`. `random` gives that many fresh secret bytes; what is called with 0 bytes is not called. The caller
 * overwrites secret and shares. Throws RangeError.
 */
export function splitSecret(secret: Uint8Array, count: number, threshold: number, random: (bytes: number) => Uint8Array): Share[] {
  if (!(Number.isInteger(count) && Number.isInteger(threshold) && threshold >= 1 && threshold <= count && count <= SHARES_MAX)) {
    throw new RangeError(`${threshold} of ${count} shares: expected 1 ≤ threshold ≤ count ≤ ${SHARES_MAX}`);
  }
  // Coefficients of the powers 1 to threshold - 1; that of the power 0 is the secret.
  const coefficients = Array.from({ length: threshold - 1 }, () => random(secret.length));
  const shares = Array.from({ length: count }, (_, index) => {
    const at = index + 1;
    const bytes = new Uint8Array(secret.length);
    for (const coefficient of coefficients.toReversed()) addScaled(bytes, coefficient, at);
    for (let byte = 0; byte < bytes.length; byte += 1) bytes[byte] = (bytes[byte] ?? 0) ^ (secret[byte] ?? 0);
    return { at, bytes };
  });
  for (const coefficient of coefficients) coefficient.fill(0);
  return shares;
}

/** The secret of these shares, if they are `threshold` or more of one splitting; otherwise bytes that mean nothing. Throws RangeError. */
export function combineShares(shares: readonly Share[]): Uint8Array {
  const [first] = shares;
  const places = new Set(shares.map(({ at }) => at));
  const isPlaced = shares.every(({ at }) => Number.isInteger(at) && at >= 1 && at <= SHARES_MAX);
  if (first === undefined || places.size !== shares.length || !isPlaced) throw new RangeError("shares need places of their own");
  if (shares.some(({ bytes }) => bytes.length !== first.bytes.length)) throw new RangeError("shares of one secret are of one length");
  const secret = new Uint8Array(first.bytes.length);
  for (const { at, bytes } of shares) {
    // Lagrange's polynomial of this share at 0. Places are public.
    let weight = 1;
    for (const other of places) if (other !== at) weight = multiply(weight, multiply(other, invert(other ^ at)));
    for (let byte = 0; byte < secret.length; byte += 1) secret[byte] = (secret[byte] ?? 0) ^ multiply(bytes[byte] ?? 0, weight);
  }
  return secret;
}

/** Horner's step: (sum + coefficient) · at. */
function addScaled(sum: Uint8Array, coefficient: Uint8Array, at: number): void {
  for (let byte = 0; byte < sum.length; byte += 1) sum[byte] = multiply((sum[byte] ?? 0) ^ (coefficient[byte] ?? 0), at);
}

/** Product in the field. */
export function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = a;
  for (let bit = 0; bit < 8; bit += 1) {
    product ^= shifted & -((b >> bit) & 1);
    shifted = ((shifted << 1) ^ (0x11b & -(shifted >> 7))) & 0x1ff;
  }
  return product & 0xff;
}

/** a^254, which is the inverse of every a but 0. */
function invert(a: number): number {
  let result = 1;
  for (let step = 0; step < 254; step += 1) result = multiply(result, a);
  return result;
}
