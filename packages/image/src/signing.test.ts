import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { obtainSigningKey, signMetadata, verifyMetadata } from "./signing.ts";
import { temporaryDirectory } from "./testing/small-image.ts";

test("MF-66, field/2026-08-readable-key: the signing key is made once, RSA 3072 with e = 3, readable by its owner only", async (context) => {
  const file = join(temporaryDirectory(context, "signing"), "target/identity.pem");
  const key = await obtainSigningKey(file);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert(key.equals(await obtainSigningKey(file)));
  assert.match(
    execFileSync("openssl", ["rsa", "-in", file, "-noout", "-text"], { encoding: "utf8" }),
    /3072 bit[\s\S]*publicExponent: 3 \(0x3\)/,
  );
  const signature = signMetadata('{"a":1}', key);
  assert.deepEqual(signMetadata('{"a":1}', key), signature, "deterministic");
  const bytes = new TextEncoder().encode('{"a":1}');
  assert.match(verifyMetadata(bytes, signature), /^[0-9a-f]{64}$/);
  assert.throws(() => verifyMetadata(new TextEncoder().encode('{"a":2}'), signature), {
    code: "E-META-SIGNATURE",
    message: /changed after it was signed by key [0-9a-f]{64}/,
  });
});

const wrong: readonly [rule: string, make: (file: string) => void][] = [
  ["no key at all", (file) => writeFileSync(file, "hello")],
  ["an RSA key of 2048 bits", (file) => execFileSync("openssl", ["genrsa", "-3", "-out", file, "2048"], { stdio: "ignore" })],
  ["an RSA key for another scheme", (file) => writeFileSync(file, pss().privateKey.export({ type: "pkcs8", format: "pem" }))],
  ["an RSA key with another exponent", (file) => execFileSync("openssl", ["genrsa", "-out", file, "3072"], { stdio: "ignore" })],
  [
    "an elliptic key",
    (file) => execFileSync("openssl", ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", file]),
  ],
];
const pss = () => generateKeyPairSync("rsa-pss", { modulusLength: 3072, publicExponent: 3 });

test("MF-66: metadata are signed with an RSA key of 3072 bits for that scheme and no other", () => {
  const signed = (publicKey: KeyObject) => {
    const signature = {
      algorithm: "RS256",
      publicKey: publicKey.export({ type: "spki", format: "pem" }).toString(),
      signature: "AAAA",
    } as const;
    return () => verifyMetadata(new Uint8Array(0), signature);
  };
  for (const { publicKey } of [
    pss(),
    generateKeyPairSync("ec", { namedCurve: "P-256" }),
    generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ])
    assert.throws(signed(publicKey), { code: "E-META-SIGNATURE", message: /not signed with an RSA key of 3072 bits/ });
  assert.throws(() => verifyMetadata(new Uint8Array(0), { algorithm: "RS256", publicKey: "x", signature: "" }), {
    ...{ code: "E-META-SIGNATURE", message: /its signature is malformed/ },
  });
});

test("#107: what is no file that can be read is no missing key, and no new one is made", async (context) => {
  const directory = temporaryDirectory(context, "signing");
  await assert.rejects(obtainSigningKey(directory), { code: "E-SIGN-KEY", message: /cannot be read/ });
});

for (const [rule, make] of wrong) {
  test(`#107: ${rule} is E-SIGN-KEY`, async (context) => {
    const file = join(temporaryDirectory(context, "signing"), "identity.pem");
    make(file);
    await assert.rejects(obtainSigningKey(file), { code: "E-SIGN-KEY", remedy: /3072|RSA/ });
  });
}
