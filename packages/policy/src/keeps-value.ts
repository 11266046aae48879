import type { Secret } from "./session.ts";

/** §15: may the stored value of the earlier definition serve the later one? Certificates and public keys never; they are derived. */
export function keepsValue(earlier: Secret, later: Secret): boolean {
  if (earlier.origin === "supplied" && later.origin === "supplied") return earlier.kind === later.kind;
  if (earlier.origin !== "generated" || later.origin !== "generated") return false;
  if ((earlier.kind === "ascii" || earlier.kind === "binary") && earlier.kind === later.kind) return earlier.size === later.size;
  if (earlier.kind === "private-key" && later.kind === "private-key")
    return earlier.keyType === later.keyType && earlier.migrate && later.migrate;
  return earlier.kind === "pgp-key" && later.kind === "pgp-key";
}
