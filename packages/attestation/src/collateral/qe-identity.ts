import { EvidenceError } from "../core/errors.ts";
import { JsonObject } from "./json-object.ts";
import { type IsvTcbLevel, QE_STATUSES, readIsvLevels } from "./tcb-info.ts";

/** What a quoting enclave of Intel must look like (PCS API v4, Enclave Identity version 2). */
export interface QeIdentity {
  readonly tee: "sgx" | "tdx";
  readonly issueDate: Date;
  readonly nextUpdate: Date;
  readonly tcbEvaluationDataNumber: number;
  readonly miscSelect: Uint8Array;
  readonly miscSelectMask: Uint8Array;
  readonly attributes: Uint8Array;
  readonly attributesMask: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  /** Highest ISVSVN first. */
  readonly levels: readonly IsvTcbLevel[];
}

const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", detail, { reason: "parse-error" });

/** Reads the inner member of an Enclave Identity document, already known to be signed. Throws EVIDENCE_MALFORMED. */
export function readQeIdentity(value: unknown): QeIdentity {
  const identity = new JsonObject(value, "enclaveIdentity", malformed);
  const version = identity.integer("version");
  if (version !== 2) {
    throw new EvidenceError("EVIDENCE_MALFORMED", `enclaveIdentity: version ${version} is not supported`, {
      reason: "unsupported-collateral-version",
    });
  }
  const id = identity.word("id", ["QE", "TD_QE", "QVE"]);
  if (id === "QVE")
    throw new EvidenceError("EVIDENCE_SIGNATURE", "enclaveIdentity: of the QVE, not of a QE", { reason: "collateral-mismatch" });
  const read = {
    tee: id === "QE" ? "sgx" : "tdx",
    issueDate: identity.date("issueDate"),
    nextUpdate: identity.date("nextUpdate"),
    tcbEvaluationDataNumber: identity.integer("tcbEvaluationDataNumber"),
    // The PCS writes MISCSELECT as the bytes of a report stand; only zero and full masks have been seen.
    miscSelect: identity.hex("miscselect", 4),
    miscSelectMask: identity.hex("miscselectMask", 4),
    attributes: identity.hex("attributes", 16),
    attributesMask: identity.hex("attributesMask", 16),
    mrSigner: identity.hex("mrsigner", 32),
    isvProdId: identity.integer("isvprodid"),
    levels: readIsvLevels(identity, "tcbLevels", QE_STATUSES),
  } as const;
  identity.finish();
  return read;
}
