import assert from "node:assert/strict";
import { test } from "node:test";
import { AES_128_GCM, deriveKeyPair, open, rawX25519, seal } from "./hpke.ts";

const hex = (text: string) => Uint8Array.fromHex(text);

// RFC 9180 appendix A.1.1: base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, first encryption.
const vector = {
  info: hex("4f6465206f6e2061204772656369616e2055726e"),
  ikmE: hex("7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234"),
  pkEm: "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
  ikmR: hex("6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037"),
  pkRm: "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
  plaintext: hex("4265617574792069732074727574682c20747275746820626561757479"),
  aad: hex("436f756e742d30"),
  ciphertext: "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a",
};
const options = { info: vector.info, associatedData: vector.aad, aead: AES_128_GCM };

test("SL-195 HPKE gives the encapsulated key and ciphertext of RFC 9180 A.1.1", () => {
  const recipient = deriveKeyPair(vector.ikmR);
  assert.equal(rawX25519(recipient).toHex(), vector.pkRm);
  const sealed = seal(vector.plaintext, recipient, vector.ikmE, options);
  assert.equal(sealed.subarray(0, 32).toHex(), vector.pkEm);
  assert.equal(sealed.subarray(32).toHex(), vector.ciphertext);
  assert.deepEqual(open(sealed, recipient, options), vector.plaintext);
});

test("SL-195 HPKE opens nothing that was changed, cut, or sealed with other parameters", () => {
  const recipient = deriveKeyPair(vector.ikmR);
  const sealed = seal(vector.plaintext, recipient, vector.ikmE, options);
  for (let at = 0; at < sealed.length; at += 1) {
    const changed = sealed.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal(open(changed, recipient, options), undefined, `byte ${at}`);
    assert.equal(open(sealed.subarray(0, at), recipient, options), undefined, `cut at ${at}`);
  }
  assert.equal(open(sealed, recipient, { ...options, info: hex("00") }), undefined);
  assert.equal(open(sealed, recipient, { ...options, associatedData: hex("00") }), undefined);
  assert.equal(open(new Uint8Array(64), recipient, options), undefined, "a low-order point");
});
