import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { EvidenceError } from "../core/errors.ts";
import { mintedAt, mintSnp } from "../testing/mint-snp.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { ia5String, integer, octetString } from "../x509/der-writer.ts";
import { issueCertificate } from "../x509/issue-certificate.ts";
import { readSnpEndorsementKey } from "./endorsement-key.ts";
import { verifySnpReport } from "./verify-snp-report.ts";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
const chip = new Uint8Array(64).fill(0xc5);
const milan: Readonly<Record<string, Uint8Array>> = {
  "2": ia5String("Milan-B0"),
  "3.1": integer(3),
  "3.2": integer(0),
  "3.3": integer(8),
  "3.8": integer(115),
  "4": chip,
};

/** AMD's extensions by arc; undefined leaves one out. */
const read = (changes: Readonly<Record<string, Uint8Array | undefined>> = {}, subject = "SEV-VCEK") => {
  const extensions = Object.entries({ ...milan, ...changes }).flatMap(([arc, value]) =>
    value === undefined ? [] : [{ oid: `1.3.6.1.4.1.3704.1.${arc}`, critical: false, value }],
  );
  const validity = { notBefore: mintedAt, notAfter: mintedAt };
  const names = { subject, issuer: "SEV-Test", publicKey: createPublicKey(privateKey), issuerKey: privateKey };
  return readSnpEndorsementKey(parseCertificate(issueCertificate({ ...names, serial: 0n, isCa: false, ...validity, extensions })));
};
const malformed = (error: unknown) => error instanceof EvidenceError && error.code === "EVIDENCE_MALFORMED";

test("a VCEK gives product, security versions and chip", () => {
  const { hardwareId, ...key } = read();
  assert.deepEqual(key, { kind: "VCEK", product: "Milan", tcb: { bootLoader: 3, tee: 0, snp: 8, microcode: 115 } });
  assert.equal(hardwareId?.toHex(), chip.toHex());
});

test("Siena and Bergamo are of Genoa's family", () => {
  for (const name of ["Siena-B1", "Bergamo", "Genoa"]) assert.equal(read({ "2": ia5String(name) }).product, "Genoa");
});

test("a hardware id may be wrapped in an OCTET STRING", () => {
  assert.equal(read({ "4": octetString(chip) }).hardwareId?.toHex(), chip.toHex());
});

test("a VLEK names a provider and no chip", () => {
  assert.equal(read({ "4": undefined, "5": ia5String("CN=cloud.example") }, "SEV-VLEK").kind, "VLEK");
});

const refused: readonly {
  readonly rule: string;
  readonly changes?: Readonly<Record<string, Uint8Array | undefined>>;
  readonly subject?: string;
}[] = [
  { rule: "another subject", subject: "SEV-ASK" },
  { rule: "another subject, made like a VLEK", changes: { "4": undefined, "5": ia5String("x") }, subject: "SEV-ASK" },
  { rule: "a VCEK without chip", changes: { "4": undefined } },
  { rule: "a VLEK with a chip", changes: { "5": ia5String("x") }, subject: "SEV-VLEK" },
  { rule: "a VLEK without provider", changes: { "4": undefined }, subject: "SEV-VLEK" },
  { rule: "a product that is not known", changes: { "2": ia5String("Rome-B0") } },
  { rule: "bytes behind its product", changes: { "2": Uint8Array.of(...ia5String("Milan-B0"), 0) } },
  { rule: "no product", changes: { "2": undefined } },
  { rule: "a security version that is missing", changes: { "3.8": undefined } },
  { rule: "a security version of two bytes", changes: { "3.1": integer(256) } },
  { rule: "a security version that is no number", changes: { "3.1": ia5String("3") } },
  { rule: "bytes behind a security version", changes: { "3.1": Uint8Array.of(...integer(3), 0) } },
  { rule: "a chip of the wrong length", changes: { "4": octetString(chip.subarray(1)) } },
  { rule: "bytes behind the chip", changes: { "4": Uint8Array.of(...octetString(chip), 0) } },
  { rule: "a Turin without FMC version", changes: { "2": ia5String("Turin"), "4": chip.subarray(8, 16) } },
];
for (const { rule, changes, subject } of refused) {
  test(`hazard A11: an endorsement key with ${rule} is malformed`, () => {
    assert.throws(() => read(changes, subject), malformed);
  });
}

test("hazard A8: an endorsement key on another curve signs nothing", () => {
  const { privateKey: key } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  assert.throws(() => verifySnpReport(mintSnp({ certificate: { key } })), { reason: "unsupported-algorithm" });
});

test("a minted report refuses fields of the wrong length: that is a mistake of its caller", () => {
  assert.throws(() => mintSnp({ report: { measurement: new Uint8Array(32) } }), TypeError);
});
