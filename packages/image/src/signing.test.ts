import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
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
  ["an RSA key with another exponent", (file) => execFileSync("openssl", ["genrsa", "-out", file, "3072"], { stdio: "ignore" })],
  [
    "an elliptic key",
    (file) => execFileSync("openssl", ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", file]),
  ],
];
for (const [rule, make] of wrong) {
  test(`#107: ${rule} is E-SIGN-KEY`, async (context) => {
    const file = join(temporaryDirectory(context, "signing"), "identity.pem");
    make(file);
    await assert.rejects(obtainSigningKey(file), { code: "E-SIGN-KEY", remedy: /3072|RSA/ });
  });
}
