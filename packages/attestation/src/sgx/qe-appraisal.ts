import type { QeIdentity } from "../collateral/qe-identity.ts";
import type { IsvTcbLevel } from "../collateral/tcb-info.ts";
import { isSameBytes } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import type { SgxReport } from "./sgx-report.ts";

/**
 * Compares a QE report with the identity that Intel signed and finds the TCB level of its ISVSVN.
 * Throws EVIDENCE_SIGNATURE: `qe-identity-mismatch`, `qe-tcb-unsupported`, `tcb-revoked`.
 */
export function findQeLevel(report: SgxReport, identity: QeIdentity): IsvTcbLevel {
  const mismatch = (field: string) => refused("qe-identity-mismatch", `${field} of the QE report does not fit the QE Identity`);
  if (!fitsMasked(report.miscSelect, identity.miscSelect, identity.miscSelectMask)) throw mismatch("MISCSELECT");
  if (!fitsMasked(report.attributes, identity.attributes, identity.attributesMask)) throw mismatch("ATTRIBUTES");
  if (!isSameBytes(report.mrSigner, identity.mrSigner)) throw mismatch("MRSIGNER");
  if (report.isvProdId !== identity.isvProdId) throw mismatch("ISVPRODID");
  const level = identity.levels.find(({ isvSvn }) => isvSvn <= report.isvSvn);
  if (level === undefined) throw refused("qe-tcb-unsupported", `no TCB level of the QE Identity fits ISVSVN ${report.isvSvn}`);
  if (level.status === "Revoked") throw refused("tcb-revoked", `quoting enclaves with ISVSVN ${report.isvSvn} are revoked`);
  return level;
}

/** Whether both have the same bits where the mask has ones; all three have the same length. */
export function fitsMasked(found: Uint8Array, expected: Uint8Array, mask: Uint8Array): boolean {
  if (found.length !== expected.length || found.length !== mask.length) return false;
  return found.every((octet, index) => (octet & (mask[index] ?? 0)) === ((expected[index] ?? 0) & (mask[index] ?? 0)));
}

const refused = (reason: string, message: string) => new EvidenceError("EVIDENCE_SIGNATURE", message, { reason });
