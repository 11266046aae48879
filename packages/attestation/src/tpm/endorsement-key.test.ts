import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import { concat, u16, u32 } from "../core/bytes.ts";
import { parseCertificate } from "../x509/certificate.ts";
import { issueCertificate } from "../x509/issue-certificate.ts";
import { type EndorsementTrust, endorsementKeyId, verifyEndorsementKey } from "./endorsement-key.ts";
import { ENDORSEMENT_KEYS } from "./endorsement-key-kinds.ts";
import { sized } from "./tpm-command.ts";
import { parseTpmPublic } from "./tpm-public.ts";

const holder = generateKeyPairSync("rsa", { modulusLength: 2048 });
const [maker, stranger] = [0, 1].map(() => generateKeyPairSync("ec", { namedCurve: "P-256" }));
const validity = { notBefore: new Date("2026-01-01T00:00:00Z"), notAfter: new Date("2027-01-01T00:00:00Z") };
const [rsa2048 = assert.fail()] = ENDORSEMENT_KEYS;
const modulus = Buffer.from(holder.publicKey.export({ format: "jwk" }).n ?? "", "base64url");
const publicArea = concat(rsa2048.template.subarray(0, -258), sized(modulus));
const id = endorsementKeyId(parseTpmPublic(publicArea));

const issue = (subject: string, publicKey: KeyObject, serial: bigint, by = maker?.privateKey ?? assert.fail()) =>
  parseCertificate(
    issueCertificate({ subject, issuer: "TPM maker", publicKey, issuerKey: by, serial, isCa: subject === "TPM maker", ...validity }),
  );
const root = issue("TPM maker", maker?.publicKey ?? assert.fail(), 1n);
const certificate = issue("TPM", holder.publicKey, 2n);
const trust: EndorsementTrust = { anchors: [root], keyIds: new Set(), now: new Date("2026-06-01T00:00:00Z") };

test("an endorsement key is believed for its maker's certificate, or because it is known", () => {
  assert.equal(verifyEndorsementKey(publicArea, [certificate], trust).id, id);
  assert.equal(verifyEndorsementKey(publicArea, [], { ...trust, anchors: [], keyIds: new Set([id]) }).id, id);
});

test("hazard A13: an endorsement key that nobody vouches for is refused, with what would help", () => {
  const refused = (certificates: readonly (typeof certificate)[], changed: Partial<EndorsementTrust>, expected: object) =>
    assert.throws(() => verifyEndorsementKey(publicArea, certificates, { ...trust, ...changed }), expected);
  const unknown = { code: "EVIDENCE_SIGNATURE", reason: "collateral-missing", remedy: new RegExp(`^Enrol the endorsement key ${id}`) };
  refused([], {}, unknown);
  refused([], { keyIds: new Set(["00".repeat(32)]) }, unknown);
  refused([root], {}, { reason: "bad-chain", message: /that of another key/, remedy: /certificates that the vendor issued/ });
  refused([certificate], { anchors: [] }, { reason: "untrusted-root", remedy: /endorsement_roots/ });
  const forged = issue("TPM", holder.publicKey, 2n, stranger?.privateKey);
  refused([forged], {}, { code: "EVIDENCE_SIGNATURE" });
  refused([certificate], { now: new Date("2028-01-01T00:00:00Z") }, { reason: "cert-expired" });
});

test("hazard A13: a key that would open a credential for whoever loaded it is no endorsement key, known or not", () => {
  const attributes = 0x000300b2;
  const withAttributes = (bits: number) => concat(publicArea.subarray(0, 4), u32(bits), publicArea.subarray(8));
  for (const bit of [1, 4, 16, 17, 18]) {
    const area = withAttributes(attributes ^ (1 << bit));
    const known = { ...trust, keyIds: new Set([endorsementKeyId(parseTpmPublic(area))]) };
    assert.throws(
      () => verifyEndorsementKey(area, [certificate], known),
      { code: "EVIDENCE_SIGNATURE", reason: "policy" },
      `attribute ${bit}`,
    );
  }
  const cipher = 10 + 32;
  const withoutCipher = concat(publicArea.subarray(0, cipher), u16(0x0010), publicArea.subarray(cipher + 6));
  assert.throws(() => verifyEndorsementKey(withoutCipher, [certificate], trust), { reason: "policy" });
});
