import { cached, type VerificationCache } from "../collateral/verification-cache.ts";
import { isSameBytes } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import { isSignedBy } from "../crypto/signature.ts";
import { type Certificate, parseCertificate, publicKeyOf } from "../x509/certificate.ts";
import { assertWithinDates, verifyCertificationPath } from "../x509/certification-path.ts";
import { type NitroDocument, parseNitroDocument } from "./nitro-document.ts";

/** Whom to trust, and what the document has to be made for. */
export interface NitroTrust {
  /** Usually the AWS Nitro Enclaves root alone. */
  readonly anchors: readonly Certificate[];
  readonly now: Date;
  /** What the document's nonce has to be, whole; undefined leaves freshness to the caller. */
  readonly nonce?: Uint8Array;
  /** Chains that were verified before: an enclave's certificate lives for three hours. */
  readonly cache?: VerificationCache;
}

/** A document that the Nitro hypervisor signed. */
export interface VerifiedNitroDocument extends NitroDocument {
  /** PCR 0 to 2 are all zero: the enclave runs in debug mode, and its console shows everything. */
  readonly debug: boolean;
}

const ES384 = { kind: "ecdsa", digest: "sha384", encoding: "ieee-p1363" } as const;

/** Verifies chain, dates, signature and nonce of an attestation document. Throws EVIDENCE_MALFORMED, EVIDENCE_SIGNATURE, EVIDENCE_STALE. */
export function verifyNitroDocument(bytes: Uint8Array, { anchors, now, nonce, cache }: NitroTrust): VerifiedNitroDocument {
  const document = parseNitroDocument(bytes);
  const inputs = [document.certificate, ...document.caBundle, ...anchors.map(({ der }) => der)];
  const path = cached(cache, "nitro-chain", inputs, () => {
    const [leaf, ...issuers] = [document.certificate, ...document.caBundle.toReversed()].map(parseCertificate); // the bundle begins with the root
    return verifyCertificationPath(leaf === undefined ? [] : [leaf, ...issuers], { anchors, now, keyUsage: ["digitalSignature"] });
  });
  assertWithinDates(path, now);
  const key = publicKeyOf(path.leaf);
  if (key.kind !== "ec" || key.curve !== "P-384") {
    throw new EvidenceError("EVIDENCE_SIGNATURE", "Nitro document: the signing key is not on P-384", { reason: "unsupported-algorithm" });
  }
  if (!isSignedBy(ES384, key, document.cose.signedBytes, document.cose.signature)) {
    throw new EvidenceError("EVIDENCE_SIGNATURE", "Nitro document: not signed by the key of its certificate", { reason: "bad-signature" });
  }
  if (nonce !== undefined && !isSameBytes(nonce, document.nonce ?? new Uint8Array(0))) {
    throw new EvidenceError("EVIDENCE_STALE", "Nitro document: its nonce is not the one expected", {
      reason: "nonce-mismatch",
      field: "nonce",
      expected: nonce.toHex(),
      found: document.nonce?.toHex() ?? "none",
      remedy: "Ask the enclave for a document over the nonce of this exchange.",
    });
  }
  return { ...document, debug: isDebugDocument(document) };
}

/** PCR 0 to 2 are zero or absent. */
export function isDebugDocument({ pcrs }: NitroDocument): boolean {
  return [0, 1, 2].every((index) => pcrs.get(index)?.every((byte) => byte === 0) ?? true);
}
