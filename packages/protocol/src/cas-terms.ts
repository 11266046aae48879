import { parsePemCertificates, type TrustAnchors, VENDOR_TRUST_ANCHORS } from "@vouchsafe/attestation";
import { z } from "zod";
import type { CasExpectations } from "./appraise-cas.ts";
import type { TpmTrust } from "./attestation-key-authority.ts";
import { CAS_TOLERANCES } from "./client-api.ts";

const HexDigest = z.string().regex(/^[0-9a-f]{64}$/);
const Number16 = z.int().min(0).max(65_535);
const Pem = z.string().max(65_536);

/**
 * What somebody accepts of a CAS (C-65 to C-68), as data: kept by clients, written into resources, given to probes. Nothing is accepted that is not
 * said here; only that a CAS gives no evidence at all is accepted unless `evidence` is `required`.
 */
export const CasTerms = z.object({
  evidence: z.enum(["required", "ifGiven"]).default("ifGiven"),
  /** The CAS has to have this key. */
  casKeyHash: z.string().min(1).max(128).optional(),
  /** Code identities, any of which matches. */
  mrenclave: z.array(HexDigest).max(16).default([]),
  mrsigner: HexDigest.optional(),
  isvprodid: Number16.optional(),
  /** Least security version; that of whoever judges unless given. */
  isvsvn: Number16.optional(),
  tolerate: z.array(z.enum(CAS_TOLERANCES)).max(CAS_TOLERANCES.length).default([]),
  /** PEM: roots of hardware that are believed instead of the vendors'. */
  roots: z.array(Pem).max(16).default([]),
  /** PEM: makers of TPMs. */
  tpmEndorsementRoots: z.array(Pem).max(16).default([]),
  /** Hash of an endorsement key, without the prefix `TPM_EK:`. */
  tpmEndorsementKeys: z.array(HexDigest).max(64).default([]),
  /** A CAS whose owner brought the database key, and so can read all secrets (C-69). */
  ownerSecretAccess: z.boolean().default(false),
  onlyForTesting: z
    .object({
      debug: z.boolean().default(false),
      ignoreSigner: z.boolean().default(false),
      /** PEM: simulated evidence below it is believed; it proves nothing. */
      simulatedRoot: Pem.optional(),
    })
    .prefault({}),
});
export type CasTerms = z.infer<typeof CasTerms>;

/** The terms as what is compared. `ownSecurityVersion` is that of the software that judges. */
export function casExpectations(terms: CasTerms, ownSecurityVersion: number): CasExpectations {
  const { mrsigner, isvprodid } = terms;
  return {
    codeIdentities: terms.mrenclave,
    signer: mrsigner === undefined || isvprodid === undefined ? undefined : { mrSigner: mrsigner, isvProdId: isvprodid },
    minSecurityVersion: terms.isvsvn ?? ownSecurityVersion,
    ignoresSigner: terms.onlyForTesting.ignoreSigner,
    allowsDebug: terms.onlyForTesting.debug,
    tolerated: terms.tolerate,
  };
}

/** Whose evidence is believed under these terms. Throws EvidenceError for what is no certificate in PEM form. */
export function casTrustAnchors({ roots, tpmEndorsementRoots, tpmEndorsementKeys, onlyForTesting }: CasTerms): {
  readonly anchors: TrustAnchors;
  readonly tpm: TpmTrust;
} {
  const hardware = roots.flatMap(certificates);
  const simulated = onlyForTesting.simulatedRoot === undefined ? [] : certificates(onlyForTesting.simulatedRoot);
  const anchors: TrustAnchors =
    hardware.length === 0 ? VENDOR_TRUST_ANCHORS : { sgx: hardware, tdx: hardware, snp: hardware, nitro: hardware, tpm: hardware };
  return {
    anchors: simulated.length === 0 ? anchors : { ...anchors, simulated },
    tpm: { endorsementRoots: tpmEndorsementRoots, endorsementKeys: tpmEndorsementKeys },
  };
}

const certificates = (pem: string): readonly Uint8Array[] => parsePemCertificates(Buffer.from(pem)).map(({ der }) => der);
