import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { parseCertificate } from "../x509/certificate.ts";
import { objectIdentifier, octetString, sequence } from "../x509/der-writer.ts";
import { issueCertificate } from "../x509/issue-certificate.ts";
import { encodePckMembers, SGX_EXTENSION } from "./encode-pck-extension.ts";
import { readPckIdentity } from "./pck-certificate.ts";

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const at = new Date("2026-06-01T00:00:00Z");
const members = encodePckMembers({ fmspc: Uint8Array.of(0, 0x90, 0x6e, 0xd5, 0, 0), sgxComponents: Array(16).fill(1), pceSvn: 13 });

const read = (value: Uint8Array, isCa = false) =>
  readPckIdentity(
    parseCertificate(
      issueCertificate({
        ...{ subject: "Intel SGX PCK Certificate", issuer: "Intel SGX PCK Platform CA", publicKey: createPublicKey(privateKey) },
        ...{ issuerKey: privateKey, serial: 3n, isCa, notBefore: at, notAfter: at },
        extensions: [{ oid: SGX_EXTENSION, critical: false, value }],
      }),
    ),
  );

test("a PCK certificate names its platform", () => {
  const { authority, fmspc, pceSvn } = read(sequence(...members));
  assert.deepEqual([authority, fmspc.toHex(), pceSvn], ["platform", "00906ed50000", 13]);
});

test("hazard A8: a certificate that may issue others is no PCK certificate", () => {
  assert.throws(() => read(sequence(...members), true), { code: "EVIDENCE_SIGNATURE", reason: "bad-chain" });
});

test("bytes behind the extension, or behind one of its members, are malformed", () => {
  const malformed = { code: "EVIDENCE_MALFORMED", reason: "parse-error" };
  assert.throws(() => read(Uint8Array.of(...sequence(...members), 0)), malformed);
  const stranger = sequence(objectIdentifier(`${SGX_EXTENSION}.9`), octetString(Uint8Array.of(1)), octetString(Uint8Array.of(2)));
  assert.throws(() => read(sequence(...members, stranger)), malformed);
});
