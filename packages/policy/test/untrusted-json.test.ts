/** Signed and encrypted sessions come from anybody: whatever the bytes, the answer is a `PolicyError`. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import {
  decryptSession,
  encodeSignedSession,
  encryptSession,
  isEncryptedSession,
  isSignedSession,
  PolicyError,
  sessionEncryptionKeyText,
  signSession,
  verifySignedSession,
} from "../src/index.ts";

const signed = encodeSignedSession(signSession('version: "0.3.12"\nname: t\n', generateKeyPairSync("ed25519").privateKey));
const cas = generateKeyPairSync("x25519").privateKey;
const encrypted = encryptSession(signed, sessionEncryptionKeyText(cas), new Uint8Array(32).fill(7));

const changed = (text: string) =>
  fc.tuple(fc.nat(text.length - 1), fc.string({ maxLength: 3 })).map(([at, piece]) => text.slice(0, at) + piece + text.slice(at + 1));
const shaped = fc.jsonValue().map((value) => JSON.stringify(value));
const object = fc
  .dictionary(fc.constantFrom("policy", "signatures", "encryptionKey", "__proto__"), fc.jsonValue({ maxDepth: 3 }))
  .map((value) => JSON.stringify(value));

function answersWithPolicyError(read: (text: string) => unknown, accepted: string) {
  return (text: string): void => {
    isSignedSession(text);
    isEncryptedSession(text);
    try {
      const result = read(text);
      // White space and the spelling of JSON may change, the content may not.
      assert.deepEqual(result, read(accepted));
    } catch (error) {
      assert(error instanceof PolicyError, String(error));
    }
  };
}

test("SL-188, SL-190 a signed session is read as it was signed, or refused by name", () => {
  fc.assert(
    fc.property(
      fc.oneof(changed(signed), shaped, object, fc.string()),
      answersWithPolicyError((text) => verifySignedSession(text).policy, signed),
    ),
    { numRuns: 2000 },
  );
});

test("SL-194 an encrypted session is opened as it was sealed, or refused by name", () => {
  fc.assert(
    fc.property(
      fc.oneof(changed(encrypted), shaped, object, fc.string()),
      answersWithPolicyError((text) => decryptSession(text, [cas]), encrypted),
    ),
    { numRuns: 2000 },
  );
});
