import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { issueSnpCertificate, type SnpCertificateRequest } from "../simulated/snp-endorsement-certificate.ts";
import { encodeSnpReport, type SnpReportFields } from "../snp/encode-snp-report.ts";
import type { SnpReportInput } from "../snp/verify-snp-report.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { issueCertificate, issueRevocationList } from "../x509/issue-certificate.ts";
import { parseRevocationList } from "../x509/revocation-list.ts";

const p384 = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-384" }).privateKey;
const keys = { root: p384(), signer: p384(), chip: p384(), stranger: p384() };
export const mintedAt = new Date("2026-06-01T00:00:00Z");
const validity = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2027-01-01T00:00:00Z") };
export const chipId = new Uint8Array(64).fill(0xc5);

export interface SnpMint {
  readonly report?: SnpReportFields;
  readonly certificate?: Partial<SnpCertificateRequest>;
  /** Leaves the hardware id out, as a VLEK does. */
  readonly withoutHardwareId?: boolean;
  readonly reportKey?: "chip" | "stranger";
  readonly rootKey?: "root" | "stranger";
  readonly signerIsCa?: boolean;
  readonly revoked?: readonly ("signer" | "stranger")[];
  readonly listIssuer?: string;
  readonly listKey?: "root" | "stranger";
}

/** A report and all that proves it, under an own root; every part can be made wrong. */
export function mintSnp(mint: SnpMint = {}): SnpReportInput {
  const root = issueCertificate({
    ...{ subject: "ARK-Test", issuer: "ARK-Test", publicKey: createPublicKey(keys.root), issuerKey: keys.root },
    ...{ serial: 1n, isCa: true, ...validity },
  });
  const signer = issueCertificate({
    ...{ subject: "SEV-Test", issuer: "ARK-Test", publicKey: createPublicKey(keys.signer), issuerKey: keys[mint.rootKey ?? "root"] },
    ...{ serial: 2n, isCa: mint.signerIsCa ?? true, ...validity },
  });
  const endorsementKey = issueSnpCertificate({
    ...{ kind: "VCEK", product: "Milan", tcb: { bootLoader: 3, tee: 0, snp: 8, microcode: 115 }, key: keys.chip },
    ...{ issuer: "SEV-Test", issuerKey: keys.signer, ...validity },
    ...(mint.withoutHardwareId === true ? {} : { hardwareId: chipId }),
    ...mint.certificate,
  });
  const report = encodeSnpReport({ tcb: 0x7308000000000003n, chipId, ...mint.report }, keys[mint.reportKey ?? "chip"]);
  const list =
    mint.revoked &&
    issueRevocationList({
      issuer: mint.listIssuer ?? "ARK-Test",
      issuerKey: keys[mint.listKey ?? "root"],
      thisUpdate: validity.notBefore,
      nextUpdate: new Date("2026-07-01T00:00:00Z"),
      revoked: mint.revoked.map((name) => ({ serial: name === "signer" ? 2n : 99n, at: validity.notBefore })),
    });
  return {
    report,
    endorsementKey: parseCertificate(endorsementKey),
    signer: parseCertificate(signer),
    anchors: [parseCertificate(root)],
    now: mintedAt,
    ...(list === undefined ? {} : { revocationList: parseRevocationList(list) }),
  };
}
