import assert from "node:assert/strict";
import { createCipheriv } from "node:crypto";
import { test } from "node:test";
import { SECRET_KINDS } from "@vouchsafe/policy";
import fc from "fast-check";
import { vaultValue } from "./vault-value.ts";

const bytes = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max });

function encrypted(plain: Uint8Array, key: Uint8Array, iv: Uint8Array): string {
  const cipher = createCipheriv("aes-256-gcm", key, iv);
  const payload = Buffer.concat([cipher.update(plain), cipher.final()]);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(payload.length);
  return Buffer.concat([Buffer.from("00a10002", "hex"), length, iv, payload, cipher.getAuthTag()]).toBase64();
}

test("SL-152 any bytes come back from their encrypted form, and from no changed one", () => {
  fc.assert(
    fc.property(bytes(0, 2000), bytes(32, 32), bytes(12, 12), fc.nat(), (plain, key, iv, at) => {
      const value = encrypted(plain, key, iv);
      assert.deepEqual(vaultValue({ value, contentType: "binary" }, key, undefined), {
        kind: "ok",
        value: { kind: "binary", hex: plain.toHex() },
      });
      const changed = Uint8Array.fromBase64(value);
      const index = at % changed.length;
      changed[index] = (changed[index] ?? 0) ^ 0x10;
      assert.equal(vaultValue({ value: changed.toBase64(), contentType: "binary" }, key, undefined).kind, "unusable");
    }),
    { numRuns: 200 },
  );
});

test("SL-152 the published layout by hand: header, length, IV, payload, tag", () => {
  // AES-256-GCM test case 14 of the GCM specification: key and IV of zeros, one block of zeros.
  const value = Buffer.from(
    `00a100020010${"00".repeat(12)}cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919`,
    "hex",
  ).toBase64();
  const found = vaultValue({ value, contentType: "binary" }, new Uint8Array(32), "binary");
  assert.deepEqual(found, { kind: "ok", value: { kind: "binary", hex: "00".repeat(16) } });
});

test("SL-5, SL-151 to SL-153 whatever a vault answers gives a value or a problem that quotes nothing of it", () => {
  const canary = "canary7f3a";
  const texts = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }).map((text) => `${canary}${text}`),
    fc.constantFrom(
      `-----BEGIN CERTIFICATE-----\n${canary}\n-----END CERTIFICATE-----\n`,
      `-----BEGIN PRIVATE KEY-----\n${canary}\n-----END PRIVATE KEY-----\n`,
      `{"a": "${canary}"`,
    ),
  );
  const kind = fc.constantFrom(undefined, ...SECRET_KINDS);
  fc.assert(
    fc.property(
      texts,
      kind,
      fc.constantFrom("", "binary", "PKCS#1", "application/x-pem-file"),
      fc.option(bytes(32, 32)),
      (value, wanted, contentType, key) => {
        const found = vaultValue({ value, contentType }, key ?? undefined, wanted);
        if (found.kind === "unusable") assert.equal(found.problem.includes(canary), false);
        else if (wanted !== undefined) assert.equal(found.value.kind, wanted);
      },
    ),
    { numRuns: 1000 },
  );
});
