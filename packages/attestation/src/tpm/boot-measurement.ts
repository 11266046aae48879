import { hash } from "../crypto/current-provider.ts";

/** PCRs that firmware and boot loader extend, up to the kernel's command line: what was booted. */
export const BOOT_PCRS: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14];

/** SHA-256 over index and value of the boot PCRs. One that was not quoted makes another measurement: leaving it out hides nothing. */
export function bootMeasurement(bank: ReadonlyMap<number, Uint8Array>): Uint8Array {
  const parts = BOOT_PCRS.flatMap((index) => {
    const value = bank.get(index);
    return value === undefined ? [] : [Uint8Array.of(index), value];
  });
  return hash("sha256", ...parts);
}
