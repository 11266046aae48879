import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { encode, Tagged } from "cborg";
import fc from "fast-check";
import { encodeUtf8 } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import { encodeEvidence } from "../core/evidence.ts";
import { createNodeStatement } from "../node/create-node-statement.ts";
import { NODE_AGENT_MEASUREMENT } from "../node/node-statement.ts";
import { eventLogBytes } from "../testing/mint-event-log.ts";
import { mintIntel } from "../testing/mint-intel.ts";
import { mintNitro } from "../testing/mint-nitro.ts";
import { mintSnp } from "../testing/mint-snp.ts";
import { certificateCarrying, INTEL_QUOTE, TAGGED_EVIDENCE } from "../testing/mint-x509.ts";
import { octetString, sequence, tlv } from "../x509/der-writer.ts";
import { certificatePem } from "../x509/issue-certificate.ts";
import { inspectEvidence } from "./describe.ts";
import { recogniseEvidence } from "./recognise.ts";

const { report } = mintSnp({ report: { measurement: new Uint8Array(48).fill(0xaa) } });
const base64 = Buffer.from(report).toString("base64");
const node = createNodeStatement(
  {
    userData: new Uint8Array(64),
    agentMeasurement: NODE_AGENT_MEASUREMENT,
    imageDigest: `sha256:${"ab".repeat(32)}`,
    fileSystemTag: "",
    program: "/usr/bin/redis-server",
    service: "patients-7/redis",
    instanceCounter: 1n,
    issuedAt: new Date(0),
  },
  generateKeyPairSync("ed25519").privateKey,
);

const spellings = {
  bytes: report,
  hex: Buffer.from(report.toHex()),
  "hex with 0x and line ends": Buffer.from(`0x${report.toHex().replace(/.{64}/g, "$&\n")}\n`),
  base64: Buffer.from(base64),
  base64url: Buffer.from(Buffer.from(report).toString("base64url")),
  PEM: Buffer.from(`-----BEGIN SNP REPORT-----\n${base64}\n-----END SNP REPORT-----\n`),
  "wire JSON": Buffer.from(JSON.stringify(encodeEvidence({ kind: "snp", bytes: report, endorsements: new Map([["signer", report]]) }))),
};
for (const [name, file] of Object.entries(spellings)) {
  test(`evidence is recognised as ${name}`, () => {
    const { format, fields } = inspectEvidence(file);
    assert.equal(format, "snp");
    assert.match(JSON.stringify(fields), /"measurement":"(?:aa){48}"/);
  });
}

const tagged = encode(new Tagged(60000, [Uint8Array.from(report), new Uint8Array(3)]));
const certificates = {
  "as Gramine writes it": certificateCarrying(INTEL_QUOTE, report),
  "wrapped once more": certificateCarrying(INTEL_QUOTE, octetString(report)),
  "as tagged evidence": certificateCarrying(TAGGED_EVIDENCE, tagged),
  "in PEM": Buffer.from(certificatePem(certificateCarrying(TAGGED_EVIDENCE, tagged))),
};
for (const [name, file] of Object.entries(certificates)) {
  test(`evidence is found in a certificate ${name}`, () => {
    assert.equal(inspectEvidence(file).format, "snp");
  });
}

test("evidence is found in one certificate of a chain in PEM, with words around it", () => {
  const [carrying, other] = [certificateCarrying(TAGGED_EVIDENCE, tagged), certificateCarrying("1.2.3.4", report)].map((der) =>
    certificatePem(der),
  );
  for (const chain of [`${carrying}${other}`, `Certificate:\n    Data: …\n${other}subject=CN = x\n${carrying}`])
    assert.equal(recogniseEvidence(Buffer.from(chain)).format, recogniseEvidence(certificateCarrying(TAGGED_EVIDENCE, tagged)).format);
  assert.throws(() => recogniseEvidence(Buffer.from(`${other}${other}`)), { message: /2 certificates, none of which carries a quote/ });
});

test("a Nitro document is found in a DNS name of a certificate", () => {
  const document = mintNitro();
  const named = (label: string) =>
    certificateCarrying("2.5.29.17", sequence(tlv(0x82, encodeUtf8("a.example")), tlv(0x82, encodeUtf8(`${label}.example`))));
  assert.deepEqual(recogniseEvidence(named(document.toHex())), { format: "nitro", bytes: Uint8Array.from(document) });
  assert.throws(() => recogniseEvidence(named("8444a1013822")), { message: /a certificate that carries no quote/ });
});

test("a certificate without evidence, or with tagged evidence that is none, is refused", () => {
  for (const value of [encode([1]), encode(new Tagged(60000, 5)), encode(new Tagged(60000, [])), Uint8Array.of(...tagged, 0)]) {
    assert.throws(() => inspectEvidence(certificateCarrying(TAGGED_EVIDENCE, value)), EvidenceError);
  }
  assert.throws(() => inspectEvidence(certificateCarrying("1.2.3.4", report)), EvidenceError);
});

test("the certificates inside a quote are shown by name and validity, with the platform that they certify", () => {
  const { fields } = inspectEvidence(mintIntel({ tee: "tdx" }).quote);
  const text = JSON.stringify(fields);
  assert.match(
    text,
    /"subject":"CN=Intel SGX PCK Certificate","issuer":"CN=Intel SGX PCK Platform CA","serial":"3","validFrom":"2026-01-01T/,
  );
  assert.match(text, /"platform":\{"authority":"platform","fmspc":"00906ed50000"/);
  assert.match(text, /"debug":false/);
  assert.doesNotMatch(text, /2d2d2d2d2d424547494e/); // -----BEGIN
});

test("a quote whose chain cannot be read shows its bytes, and says nothing about a platform", () => {
  const { quote } = mintIntel({ pckMembers: () => [] });
  const at = Buffer.from(quote).indexOf("-----BEGIN");
  const broken = Uint8Array.from(quote).fill(0x21, at, at + 5);
  for (const bytes of [quote, broken]) {
    assert.match(JSON.stringify(inspectEvidence(bytes).fields), /"certificationData":\{"type":5,"data":"/);
  }
});

test("the certificates of a Nitro document are shown by name", () => {
  assert.match(JSON.stringify(inspectEvidence(mintNitro()).fields), /"subject":"CN=enclave.test","issuer":"CN=region.test"/);
});

test("node statements and event logs are recognised", () => {
  assert.match(JSON.stringify(inspectEvidence(node.bytes)), /"format":"node".*redis-server/);
  assert.match(JSON.stringify(inspectEvidence(eventLogBytes(["sha384"], []))), /"format":"event-log".*"rtmrs"/);
});

test("inspectEvidence describes or says EVIDENCE_MALFORMED, whatever the input", () => {
  const seeds = [
    report,
    node.bytes,
    eventLogBytes(["sha384"], []),
    Buffer.from("[]"),
    Buffer.from("{}"),
    Buffer.from("ff5443478018", "hex"),
  ];
  const nearlyValid = fc
    .tuple(fc.constantFrom(...seeds), fc.nat(2000), fc.nat(255))
    .map(([seed, at, value]) => Uint8Array.from(seed).fill(value, at % seed.length, (at % seed.length) + 1));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), nearlyValid), (bytes) => {
      try {
        inspectEvidence(bytes);
      } catch (error) {
        assert(error instanceof EvidenceError, String(error));
      }
    }),
  );
});
