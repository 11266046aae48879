import {
  type Collateral,
  type Evidence,
  type IntelCollateral,
  parseCertificate,
  parseSnpReport,
  readSnpEndorsementKey,
  type SnpProduct,
  type SnpReport,
  snpProduct,
  snpSigningKey,
  splitSnpTcb,
  type VerificationContext,
  verifyQuoteSignatures,
} from "@vouchsafe/attestation";
import { CollateralError } from "./collateral-error.ts";
import { type CollateralRequest, intelRequests, type TcbUpdate, vcekRequest } from "./collateral-request.ts";
import { amdChainCertificates, type CollateralProvider } from "./provider/collateral-provider.ts";
import type { VerifiedDocument } from "./verify-document.ts";

export interface CollateralForOptions {
  readonly update: TcbUpdate;
  /** Anchors, time and cache of the verification to come; its collateral is what this finds. */
  readonly context: Omit<VerificationContext, "collateral">;
}

/** Names under which Evidence may bring Intel's documents along (C-41). */
const SENT_ALONG = {
  "tcb-info": { body: "tcb-info.json", chain: "tcb-signing-chain.pem" },
  "qe-identity": { body: "qe-identity.json", chain: "tcb-signing-chain.pem" },
  "pck-crl": { body: "pck-crl.der", chain: "pck-crl-issuer-chain.pem" },
  "root-ca-crl": { body: "root-ca-crl.der", chain: undefined },
} as const;

/**
 * Finds what the verification of this Evidence needs. A quote is asked about only when its signatures hold up to a trust anchor: a stranger
 * cannot make the provider ask. Addresses in Evidence are never looked at. Throws EvidenceError, CollateralError COLLATERAL_UNAVAILABLE.
 */
export async function collateralFor(provider: CollateralProvider, evidence: Evidence, options: CollateralForOptions): Promise<Collateral> {
  if (evidence.kind === "sgx" || evidence.kind === "tdx") return intelCollateral(provider, evidence, options);
  return evidence.kind === "snp" && provider.hasSources ? snpCollateral(provider, evidence) : {};
}

async function intelCollateral(
  provider: CollateralProvider,
  { kind, bytes, endorsements }: Evidence,
  { update, context }: CollateralForOptions,
): Promise<Collateral> {
  const signed = verifyQuoteSignatures(
    bytes,
    context.trustAnchors[kind] ?? [],
    { ...context, collateral: {} },
    endorsements?.get("pck-chain.pem"),
  );
  const query = { tee: signed.quote.tee, fmspc: signed.pck.fmspc.toHex(), authority: signed.pck.authority };
  const find = (request: CollateralRequest) => fromProviderOrEvidence(provider, request, endorsements);
  const [tcbInfo, qeIdentity, pckCrl, rootCaCrl] = await Promise.all(intelRequests(query, update).map(find));
  const collateral: IntelCollateral = {
    ...(tcbInfo === undefined ? {} : { tcbInfo: tcbInfo.body, ...chain("tcbSigningChain", tcbInfo) }),
    ...(qeIdentity === undefined ? {} : { qeIdentity: qeIdentity.body, ...chain("qeIdentitySigningChain", qeIdentity) }),
    ...(pckCrl === undefined ? {} : { pckCrl: pckCrl.body }),
    ...(rootCaCrl === undefined ? {} : { rootCaCrl: rootCaCrl.body }),
  };
  return { intel: () => collateral };
}

const chain = (name: "tcbSigningChain" | "qeIdentitySigningChain", document: VerifiedDocument) =>
  document.chain === undefined ? {} : { [name]: document.chain };

/** What came with the Evidence serves only where nobody else has the document: a host would send the oldest that still counts. */
async function fromProviderOrEvidence(
  provider: CollateralProvider,
  request: CollateralRequest,
  endorsements: Evidence["endorsements"],
): Promise<VerifiedDocument> {
  try {
    return await provider.get(request);
  } catch (error) {
    if (!(error instanceof CollateralError) || !(request.kind in SENT_ALONG)) throw error;
    const names = SENT_ALONG[request.kind as keyof typeof SENT_ALONG]; // one of its keys
    const body = endorsements?.get(names.body);
    if (body === undefined) throw error;
    const issuers = names.chain === undefined ? undefined : endorsements?.get(names.chain);
    return provider.offer({ request, body, chain: issuers, fetchedAt: new Date(0), source: "evidence" });
  }
}

/** VCEK, its issuer and AMD's revocation list; a VLEK comes with the Evidence, since AMD publishes none. */
async function snpCollateral(provider: CollateralProvider, { bytes, endorsements }: Evidence): Promise<Collateral> {
  const report = parseSnpReport(bytes);
  const sent = endorsements?.get("endorsement-key");
  const isVlek = snpSigningKey(report) === "VLEK";
  const documents = new Map<string, Uint8Array>();
  const product = sent === undefined ? undefined : readSnpEndorsementKey(parseCertificate(sent)).product;
  const vcek = sent === undefined && !isVlek ? await findVcek(provider, report) : undefined;
  const known = product ?? vcek?.product;
  if (vcek !== undefined) documents.set("endorsement-key", vcek.document.body);
  if (known === undefined) return {};
  const signingKey = isVlek ? "vlek" : "vcek";
  if (endorsements?.get("signer") === undefined) {
    const { body } = await provider.get({ kind: "amd-chain", product: known, signingKey });
    const [signer] = amdChainCertificates(body);
    if (signer !== undefined) documents.set("signer", signer);
  }
  documents.set("amd-crl", (await provider.get({ kind: "amd-crl", product: known, signingKey })).body);
  return { documents };
}

/** A report of version 2 does not say of which product it is: the two that made such reports are tried. */
async function findVcek(provider: CollateralProvider, report: SnpReport) {
  const named = snpProduct(report);
  const products: readonly SnpProduct[] = named === undefined ? ["Milan", "Genoa"] : [named];
  let problem: unknown;
  for (const product of products) {
    try {
      const request = vcekRequest(product, report.chipId, splitSnpTcb(report.reportedTcb, product));
      return { product, document: await provider.get(request) };
    } catch (error) {
      if (!(error instanceof CollateralError)) throw error;
      problem = error;
    }
  }
  throw problem;
}
