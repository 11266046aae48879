import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { test } from "node:test";
import { unwrapCodeKey, wrapCodeKey } from "./code-key-wrap.ts";

const client = () => ({ signingKey: generateKeyPairSync("ed25519").privateKey });

test("MF-59: a code key is wrapped for the client that built the image, always in the same way", () => {
  const [mine, other] = [client(), client()];
  const codeKey = randomBytes(32);
  const wrapped = wrapCodeKey(mine, codeKey);
  assert.equal(unwrapCodeKey(mine, wrapped), codeKey.toString("hex"));
  assert.equal(wrapCodeKey(mine, codeKey), wrapped);
  assert.equal(unwrapCodeKey(other, wrapped), undefined);
  assert.notEqual(wrapCodeKey(mine, randomBytes(32)).slice(0, 20), wrapped.slice(0, 20), "two keys never share a nonce");
});

test("MF-59: a wrapped key that was changed, cut or lengthened gives nothing", () => {
  const mine = client();
  const wrapped = wrapCodeKey(mine, randomBytes(32));
  const sealed = Buffer.from(wrapped.slice(4), "base64url");
  for (let at = 0; at < sealed.length; at++) {
    const changed = Buffer.from(sealed);
    changed.writeUInt8((changed[at] ?? 0) ^ 1, at);
    assert.equal(unwrapCodeKey(mine, `vw1.${changed.toString("base64url")}`), undefined, `byte ${at}`);
  }
  for (const text of ["", "vw1.", wrapped.slice(0, -4), `${wrapped}AAAA`, wrapped.replace("vw1.", "vw2.")])
    assert.equal(unwrapCodeKey(mine, text), undefined, text);
});
