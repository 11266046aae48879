import { decodeAscii } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import { isSignedBy } from "../crypto/signature.ts";
import { publicKeyOf } from "../x509/certificate.ts";
import type { VerifiedPath } from "../x509/certification-path.ts";

/** A document `{"<name>":{…},"signature":"<hex>"}` of Intel's provisioning service, split without being changed. */
export interface SignedJson {
  /** The inner member exactly as it stands: what is signed, and what is parsed. */
  readonly signedText: Uint8Array;
  readonly signature: Uint8Array;
  readonly value: unknown;
}

const DOCUMENT_MAX_BYTES = 1024 * 1024;
const SIGNATURE_BYTES = 64;
const ES256 = { kind: "ecdsa", digest: "sha256", encoding: "ieee-p1363" } as const;
const TAIL = /,"signature":"([0-9a-fA-F]{128})"\}\s{0,16}$/;

/** Throws EVIDENCE_MALFORMED when the bytes are not such a document, or nested too deeply to be read. */
export function splitSignedJson(bytes: Uint8Array, name: string): SignedJson {
  const malformed = (detail: string, cause?: unknown) =>
    new EvidenceError("EVIDENCE_MALFORMED", `${name}: ${detail}`, { reason: "parse-error", cause });
  if (bytes.length > DOCUMENT_MAX_BYTES) throw malformed(`${bytes.length} bytes, at most ${DOCUMENT_MAX_BYTES} allowed`);
  const head = `{"${name}":`;
  const tail = TAIL.exec(decodeAscii(bytes.subarray(-(SIGNATURE_BYTES * 2 + 64))));
  if (tail === null || decodeAscii(bytes.subarray(0, head.length)) !== head) throw malformed(`not of the form ${head}{…},"signature":"…"}`);
  const [found, signature = ""] = tail;
  const signedText = bytes.subarray(head.length, bytes.length - found.length);
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(signedText));
    return { signedText, signature: Uint8Array.fromHex(signature), value };
  } catch (cause) {
    throw malformed("not JSON in UTF-8", cause); // a stack overflow of nested brackets, too, says that
  }
}

/** Throws EVIDENCE_SIGNATURE `collateral-bad-signature` unless the leaf of the path signed the document. */
export function assertDocumentSigned({ signedText, signature }: SignedJson, signer: VerifiedPath, name: string): void {
  const isValid = isSignedBy(ES256, publicKeyOf(signer.leaf), signedText, signature);
  if (!isValid) {
    throw new EvidenceError("EVIDENCE_SIGNATURE", `${name}: not signed by the key of Intel's TCB signing certificate`, {
      reason: "collateral-bad-signature",
    });
  }
}
