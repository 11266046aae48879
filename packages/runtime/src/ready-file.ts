/** Exists while the program runs: it was attested and started (MF-123). */
export const READY_FILE = "/run/vouchsafe/ready";
