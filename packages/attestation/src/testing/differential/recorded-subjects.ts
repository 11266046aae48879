import { existsSync, globSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { readSnpEndorsementKey } from "../../snp/endorsement-key.ts";
import { parseCertificate, splitPem } from "../../x509/certificate.ts";
import type { Setting, Subject } from "./subject.ts";

const KINDS = { sgx: "sgx", tdx: "tdx", "sev-snp": "snp" } as const;

/** The cases of a vector collection that come with all their collateral, as they stand. */
export function readRecordedSubjects(directory: string): readonly Subject[] {
  const vendorRoot = join(directory, "roots/intel-sgx-root-ca.pem");
  return Object.entries(KINDS).flatMap(([family, kind]) =>
    globSync(join(directory, family, "*/expected.json"))
      .sort()
      .flatMap((file) => readSubject(dirname(file), kind, vendorRoot)),
  );
}

function readSubject(folder: string, kind: Setting["kind"], vendorRoot: string): readonly Subject[] {
  const expected: { readonly verify_at: string | null; readonly collateral?: string } = JSON.parse(
    readFileSync(join(folder, "expected.json"), "utf8"),
  );
  if (expected.verify_at === null || (kind !== "snp" && expected.collateral !== "full")) return [];
  const has = (name: string) => existsSync(join(folder, name));
  const read = (name: string) => Uint8Array.from(readFileSync(join(folder, name)));
  const now = new Date(expected.verify_at);
  const name = `${kind}/${basename(folder)}`;
  if (kind === "snp") {
    const isVlek = has("vlek.der");
    const [root] = splitPem(read("ark.pem"));
    const [signer] = splitPem(read(has("asvk.pem") ? "asvk.pem" : "ask.pem"));
    if (root === undefined || signer === undefined || has("crl.der")) return [];
    const endorsementKey = read(isVlek ? "vlek.der" : "vcek.der");
    const { product } = readSnpEndorsementKey(parseCertificate(endorsementKey));
    return [
      { label: name, now, evidence: read("report.bin"), setting: { name, kind, root, snp: { endorsementKey, signer, isVlek, product } } },
    ];
  }
  const needed = [
    "tcb-info.json",
    "qe-identity.json",
    "tcb-signing-chain.pem",
    "pck-crl.der",
    "root-ca-crl.der",
    "pck-crl-issuer-chain.pem",
  ];
  const [root] = has("root-ca.der") ? [read("root-ca.der")] : splitPem(Uint8Array.from(readFileSync(vendorRoot)));
  if (root === undefined || !needed.every(has)) return [];
  const intel = {
    tcbInfo: read("tcb-info.json"),
    qeIdentity: read("qe-identity.json"),
    tcbSigningChain: read("tcb-signing-chain.pem"),
    pckCrl: read("pck-crl.der"),
    rootCaCrl: read("root-ca-crl.der"),
    pckCrlIssuerChain: read("pck-crl-issuer-chain.pem"),
    ...(has("qe-identity-signing-chain.pem") ? { qeIdentitySigningChain: read("qe-identity-signing-chain.pem") } : {}),
  };
  return [{ label: name, now, evidence: read("quote.bin"), setting: { name, kind, root, intel } }];
}
