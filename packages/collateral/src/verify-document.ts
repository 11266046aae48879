import {
  type Certificate,
  EvidenceError,
  findCommonName,
  parseCertificate,
  parsePemCertificates,
  parseRevocationList,
  readSnpEndorsementKey,
  type TrustAnchors,
  type VerificationCache,
  verifyCertificationPath,
  verifyQeIdentity,
  verifyRevocationList,
  verifyTcbInfo,
} from "@vouchsafe/attestation";
import type { CollateralDocument } from "./collateral-document.ts";
import { CollateralError } from "./collateral-error.ts";
import { type CollateralRequest, requestKey } from "./collateral-request.ts";

/** A document that its vendor signed, for exactly the request, valid at the time it was verified. */
export interface VerifiedDocument extends CollateralDocument {
  /** When its issuer made it. */
  readonly issuedAt: Date;
  /** Last moment at which it may be used. */
  readonly goodUntil: Date;
  /** Of TCB Info and QE identity. */
  readonly evaluationNumber: number | undefined;
}

export interface DocumentTrust {
  readonly anchors: TrustAnchors;
  readonly now: Date;
  readonly cache?: VerificationCache | undefined;
}

type Facts = Pick<VerifiedDocument, "issuedAt" | "goodUntil" | "evaluationNumber">;

/** Verifies signature, signer, subject and dates. Throws CollateralError COLLATERAL_REFUSED, which names the document. */
export function verifyDocument(document: CollateralDocument, trust: DocumentTrust): VerifiedDocument {
  const facts = readFacts(document, trust);
  const refused = (detail: string) => new CollateralError("COLLATERAL_REFUSED", `${requestKey(document.request)}: ${detail}`);
  if (trust.now < facts.issuedAt) throw refused(`issued on ${facts.issuedAt.toISOString()}, which is not yet`);
  if (trust.now > facts.goodUntil) throw refused(`ended on ${facts.goodUntil.toISOString()}`);
  return { ...document, ...facts };
}

function readFacts(document: CollateralDocument, trust: DocumentTrust): Facts {
  try {
    return factsOf(document, trust);
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    throw new CollateralError("COLLATERAL_REFUSED", `${requestKey(document.request)}: ${error.message}`, { cause: error });
  }
}

function factsOf(document: CollateralDocument, trust: DocumentTrust): Facts {
  const { request, body } = document;
  switch (request.kind) {
    case "tcb-info":
    case "qe-identity":
      return intelFacts(request, document, trust);
    case "root-ca-crl":
      return crlFacts(body, anchorsOf(trust, "sgx", "tdx"));
    case "pck-crl":
      return crlFacts(body, [pckAuthority(request.authority, chainOf(document), trust)]);
    case "vcek":
      return vcekFacts(request, document, trust);
    case "amd-chain":
      return amdChainFacts(request, body, trust);
    case "amd-crl":
      return crlFacts(body, amdAnchors(trust, request.product));
  }
}

function intelFacts(
  request: Extract<CollateralRequest, { kind: "tcb-info" | "qe-identity" }>,
  document: CollateralDocument,
  trust: DocumentTrust,
): Facts {
  const anchors = trust.anchors[request.tee] ?? [];
  const verify = request.kind === "tcb-info" ? verifyTcbInfo : verifyQeIdentity;
  const { value, signer } = verify(document.body, chainOf(document), anchors, trust);
  if (value.tee !== request.tee) throw mismatch(`is for ${value.tee}`);
  if (request.kind === "tcb-info" && "fmspc" in value && value.fmspc.toHex() !== request.fmspc) {
    throw mismatch(`is for FMSPC ${value.fmspc.toHex()}`);
  }
  const goodUntil = new Date(Math.min(value.nextUpdate.getTime(), signer.validUntil));
  return { issuedAt: value.issueDate, goodUntil, evaluationNumber: value.tcbEvaluationDataNumber };
}

/** A list is accepted from exactly the issuers named; of several anchors with one name, from the one whose key signed. */
function crlFacts(der: Uint8Array, issuers: readonly Certificate[]): Facts {
  const list = parseRevocationList(der);
  let problem: unknown = mismatch("there is no issuer to trust");
  for (const issuer of issuers) {
    try {
      verifyRevocationList(list, issuer);
      if (list.nextUpdate === undefined) throw mismatch("does not say when the next list comes");
      return { issuedAt: new Date(list.thisUpdate), goodUntil: new Date(list.nextUpdate), evaluationNumber: undefined };
    } catch (error) {
      if (!(error instanceof EvidenceError)) throw error;
      problem = error;
    }
  }
  throw problem;
}

function pckAuthority(authority: "processor" | "platform", chain: Uint8Array, trust: DocumentTrust): Certificate {
  const { leaf } = verifyCertificationPath(parsePemCertificates(chain), { anchors: anchorsOf(trust, "sgx", "tdx"), now: trust.now });
  const expected = `Intel SGX PCK ${authority === "processor" ? "Processor" : "Platform"} CA`;
  if (findCommonName(leaf.subject) !== expected) throw mismatch(`is not of ${expected}`);
  return leaf;
}

/** The certificate that was asked for, issued by the intermediate that comes as its chain. */
function vcekFacts(
  { product, chipId, tcb }: Extract<CollateralRequest, { kind: "vcek" }>,
  document: CollateralDocument,
  trust: DocumentTrust,
): Facts {
  const certificate = parseCertificate(document.body);
  const key = readSnpEndorsementKey(certificate);
  if (key.kind !== "VCEK" || key.product !== product || key.hardwareId?.toHex() !== chipId) throw mismatch("is of another chip");
  const isSameTcb = (["fmc", "bootLoader", "tee", "snp", "microcode"] as const).every((part) => key.tcb[part] === tcb[part]);
  if (!isSameTcb) throw mismatch("is for other security versions");
  const [signer] = parsePemCertificates(chainOf(document));
  if (signer === undefined) throw mismatch("came with an empty chain");
  const path = verifyCertificationPath([certificate, signer], { anchors: amdAnchors(trust, product), now: trust.now });
  return { issuedAt: new Date(certificate.notBefore), goodUntil: new Date(path.validUntil), evaluationNumber: undefined };
}

function amdChainFacts({ product }: { readonly product: string }, pem: Uint8Array, trust: DocumentTrust): Facts {
  const [signer, ...rest] = parsePemCertificates(pem);
  if (signer === undefined || rest.length !== 1) throw mismatch("is not the certificate of an intermediate and of its root");
  const path = verifyCertificationPath([signer], { anchors: amdAnchors(trust, product), now: trust.now });
  return { issuedAt: new Date(path.validFrom), goodUntil: new Date(path.validUntil), evaluationNumber: undefined };
}

/** AMD's roots are named `ARK-Milan` and so on. A root with another kind of name serves every product. */
function amdAnchors(trust: DocumentTrust, product: string): readonly Certificate[] {
  return anchorsOf(trust, "snp").filter(({ subject }) => {
    const name = findCommonName(subject) ?? "";
    return !/^ARK-(?:Milan|Genoa|Turin)$/.test(name) || name === `ARK-${product}`;
  });
}

function anchorsOf({ anchors }: DocumentTrust, ...kinds: readonly (keyof TrustAnchors)[]): readonly Certificate[] {
  return kinds.flatMap((kind) => anchors[kind] ?? []).map((der) => parseCertificate(der));
}

function chainOf({ chain }: CollateralDocument): Uint8Array {
  if (chain === undefined) throw mismatch("came without the chain of its issuer");
  return chain;
}

const mismatch = (detail: string) => new EvidenceError("EVIDENCE_SIGNATURE", detail, { reason: "collateral-mismatch" });
