import type { QeIdentity } from "../collateral/qe-identity.ts";
import type { IsvTcbLevel } from "../collateral/tcb-info.ts";
import { isSameBytes } from "../core/bytes.ts";
import { EvidenceError, type EvidenceReason, type Mismatch } from "../core/errors.ts";
import type { SgxReport } from "./sgx-report.ts";

/**
 * Compares a QE report with the identity that Intel signed and finds the TCB level of its ISVSVN.
 * Throws EVIDENCE_SIGNATURE: `qe-identity-mismatch`, `qe-tcb-unsupported`, `tcb-revoked`.
 */
export function findQeLevel(report: SgxReport, identity: QeIdentity): IsvTcbLevel {
  const mismatch = (name: string, found: string, expected: string) => {
    const field = `${name} of the QE report`;
    return refused("qe-identity-mismatch", `${field} does not fit the QE Identity`, { field, expected, found });
  };
  const masked = (value: Uint8Array, mask: Uint8Array) => `${value.toHex()} under the mask ${mask.toHex()}`;
  if (!fitsMasked(report.miscSelect, identity.miscSelect, identity.miscSelectMask))
    throw mismatch("MISCSELECT", report.miscSelect.toHex(), masked(identity.miscSelect, identity.miscSelectMask));
  if (!fitsMasked(report.attributes, identity.attributes, identity.attributesMask))
    throw mismatch("ATTRIBUTES", report.attributes.toHex(), masked(identity.attributes, identity.attributesMask));
  if (!isSameBytes(report.mrSigner, identity.mrSigner)) throw mismatch("MRSIGNER", report.mrSigner.toHex(), identity.mrSigner.toHex());
  if (report.isvProdId !== identity.isvProdId) throw mismatch("ISVPRODID", String(report.isvProdId), String(identity.isvProdId));
  const level = identity.levels.find(({ isvSvn }) => isvSvn <= report.isvSvn);
  const isvSvn = { field: "ISVSVN of the QE report", found: String(report.isvSvn) };
  if (level === undefined) {
    const expected = `at least ${identity.levels.at(-1)?.isvSvn ?? "that of a level, but there is none"}`;
    throw refused("qe-tcb-unsupported", `no TCB level of the QE Identity fits ISVSVN ${report.isvSvn}`, { ...isvSvn, expected });
  }
  if (level.status === "Revoked") {
    const expected = "that of a level that is not revoked";
    throw refused("tcb-revoked", `quoting enclaves with ISVSVN ${report.isvSvn} are revoked`, { ...isvSvn, expected });
  }
  return level;
}

/** Whether both have the same bits where the mask has ones; all three have the same length. */
export function fitsMasked(found: Uint8Array, expected: Uint8Array, mask: Uint8Array): boolean {
  if (found.length !== expected.length || found.length !== mask.length) return false;
  return found.every((octet, index) => (octet & (mask[index] ?? 0)) === ((expected[index] ?? 0) & (mask[index] ?? 0)));
}

const refused = (reason: EvidenceReason, message: string, mismatch: Mismatch) =>
  new EvidenceError("EVIDENCE_SIGNATURE", message, { reason, ...mismatch });
