const PRIMES = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109, 113, 127, 131, 137, 139,
  149, 151, 157, 163, 167,
];
const GENERATOR = 65537;

/** Powers of the generator modulo a prime. */
function powers(prime: number): ReadonlySet<number> {
  const residues = new Set<number>();
  for (let value = 1; !residues.has(value); value = (value * GENERATOR) % prime) residues.add(value);
  return residues;
}

/** Only primes for which the powers are not everything tell such keys apart. */
const TELLING = PRIMES.map((prime) => ({ prime: BigInt(prime), residues: powers(prime) })).filter(
  ({ prime, residues }) => residues.size < Number(prime) - 1,
);

/**
 * Whether an RSA modulus was made by the key generator of CVE-2017-15361 (ROCA), which many TPMs and smart cards had: its primes are powers of
 * 65537 modulo small primes, and so is their product. Such a key can be factored; another key is taken for one with a chance below 2^-27.
 */
export function isRocaModulus(modulus: bigint): boolean {
  return TELLING.every(({ prime, residues }) => residues.has(Number(modulus % prime)));
}
