import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, type KeyObject, sign, X509Certificate } from "node:crypto";
import { test } from "node:test";
import { parseCertificate } from "@vouchsafe/attestation";
import { keyHashOf } from "@vouchsafe/policy";
import { bitString, objectIdentifier, sequence } from "../../attestation/src/x509/der-writer.ts";
import { type CasPin, verifyCasChain, verifyCasChainPem } from "./cas-chain.ts";
import { casKeys, mintCasChain, NOW, newKey, pemOf } from "./testing/mint-cas-chain.ts";

const chain = mintCasChain();
const [leaf, software, root] = chain as [X509Certificate, X509Certificate, X509Certificate]; // three in, three out
const pin: CasPin = { casKeyHash: keyHashOf(createPublicKey(casKeys.root)), softwareKeyHash: keyHashOf(createPublicKey(casKeys.software)) };
const ENDED = { notAfter: new Date("2026-06-15T11:59:59Z") };
const TO_COME = { notBefore: new Date("2026-06-15T12:00:01Z") };
const bigKey = generateKeyPairSync("rsa", { modulusLength: 512 }).publicKey.export({ format: "jwk" });
const hugeKey = createPublicKey({ key: { ...bigKey, n: Buffer.alloc(1025, 0xff).toString("base64url") }, format: "jwk" });

test("C-12, hazard B11 a chain is who its keys are: the CAS key, the software key, and each pin is compared", () => {
  const identity = verifyCasChain(chain, pin, NOW);
  assert.deepEqual([identity.casKeyHash, identity.softwareKeyHash], [pin.casKeyHash, pin.softwareKeyHash]);
  assert.deepEqual(identity.chain, pemOf(chain));
  assert.equal(verifyCasChain(chain, {}, NOW).casKeyHash, pin.casKeyHash);
  assert.deepEqual(verifyCasChainPem(pemOf(chain), pin, NOW), identity);
  assert.equal(verifyCasChain(chain, {}, leaf.validFromDate).casKeyHash, pin.casKeyHash, "both ends belong to the validity");
  assert.equal(verifyCasChain(chain, {}, leaf.validToDate).casKeyHash, pin.casKeyHash);
});

/** It may sign certificates, and is no CA. */
function withoutFlag({ raw }: X509Certificate, issuerKey: KeyObject): X509Certificate {
  const flagged = Buffer.from(parseCertificate(raw).signedBytes).toString("hex");
  const tbs = Buffer.from(flagged.replace("0603551d130101ff040530030101ff", "0603551d130101ff04053003010100"), "hex");
  return new X509Certificate(sequence(tbs, sequence(objectIdentifier("1.2.840.10045.4.3.2")), bitString(sign("sha256", tbs, issuerKey))));
}

/** Names and key identifiers as they should be, under a signature that is not. */
const forged = ({ raw }: X509Certificate): X509Certificate => {
  const bytes = Buffer.from(raw);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  return new X509Certificate(bytes);
};

const refused: readonly { rule: string; chain: readonly X509Certificate[]; pin?: CasPin; says: RegExp }[] = [
  { rule: "no certificate", chain: [], says: /chain of 0 certificates, expected 3/ },
  { rule: "a chain without its CAS certificate", chain: [leaf, software], says: /chain of 2/ },
  { rule: "a chain that goes on", chain: [...chain, root], says: /chain of 4/ },
  { rule: "an ended TLS certificate", chain: mintCasChain({ leaf: ENDED }), says: /the TLS certificate is valid from/ },
  { rule: "an ended software certificate", chain: mintCasChain({ software: ENDED }), says: /the software certificate is valid from/ },
  { rule: "a CAS certificate of the future", chain: mintCasChain({ root: TO_COME }), says: /the CAS certificate is valid from/ },
  {
    rule: "hazard A17: an RSA key that costs more than an answer",
    chain: mintCasChain({ root: { publicKey: hugeKey } }),
    says: /the issuer of the software certificate has an RSA key of 8200 bits/,
  },
  { rule: "a TLS certificate of a CA", chain: mintCasChain({ leaf: { isCa: true } }), says: /the TLS certificate has the wrong CA flag/ },
  {
    rule: "a software certificate of no CA",
    chain: [leaf, withoutFlag(software, casKeys.root), root],
    says: /the software certificate has/,
  },
  {
    rule: "a CAS certificate of no CA",
    chain: [leaf, software, withoutFlag(root, casKeys.root)],
    says: /the CAS certificate has the wrong/,
  },
  {
    rule: "a TLS certificate that another key signed",
    chain: mintCasChain({ leaf: { issuerKey: newKey() } }),
    says: /the TLS certificate was not issued by the next/,
  },
  {
    rule: "a software certificate that another CAS signed",
    chain: mintCasChain({ software: { issuerKey: newKey() } }),
    says: /the software certificate was not issued by the next/,
  },
  { rule: "a TLS certificate whose signature is another's", chain: [forged(leaf), software, root], says: /the TLS certificate was not/ },
  { rule: "a software certificate that was changed", chain: [leaf, forged(software), root], says: /the software certificate was not/ },
  {
    rule: "a CAS certificate that is not its own",
    chain: mintCasChain({ root: { issuerKey: newKey() } }),
    says: /the CAS certificate was not/,
  },
  {
    rule: "a TLS certificate of another issuer's name",
    chain: mintCasChain({ leaf: { issuer: "other" } }),
    says: /the TLS certificate was not/,
  },
  { rule: "another CAS key", chain, pin: { casKeyHash: "x" }, says: /CAS key hash is .*, expected x/ },
  { rule: "another software key", chain, pin: { softwareKeyHash: "x" }, says: /CAS software key hash is .*, expected x/ },
];
for (const { rule, chain: sent, pin: expected = {}, says } of refused) {
  test(`C-12, hazard B11 a CAS is refused for ${rule}`, () => {
    assert.throws(() => verifyCasChain(sent, expected, NOW), { name: "ProtocolError", code: "CAS_IDENTITY", message: says });
  });
}

test("a chain that cannot be read says so in our words", () => {
  assert.throws(() => verifyCasChainPem(["x"], {}, NOW), { code: "CAS_IDENTITY", message: "a certificate of the chain cannot be read" });
});
