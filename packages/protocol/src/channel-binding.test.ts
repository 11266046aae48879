import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, hash } from "node:crypto";
import { test } from "node:test";
import { accessTokenProof, evidenceUserData, isEqualProof, signInstanceProof, verifyInstanceProof } from "./channel-binding.ts";
import { generateInstanceKey } from "./service-client.ts";

const channel = {
  exporter: new Uint8Array(32).fill(1),
  casKey: new Uint8Array(91).fill(2),
  instanceKey: new Uint8Array(91).fill(3),
  service: "shop/api",
};

test("C-35: user data changes with each field it binds, and has 64 bytes", () => {
  const base = evidenceUserData(channel);
  assert.equal(base.length, 64);
  const others = [
    { ...channel, exporter: new Uint8Array(32).fill(9) },
    { ...channel, casKey: new Uint8Array(91).fill(9) },
    { ...channel, instanceKey: new Uint8Array(91).fill(9) },
    { ...channel, service: "shop/apj" },
    // lengths are part of the hash: bytes cannot move from one field to the next
    { ...channel, casKey: new Uint8Array(90).fill(2), instanceKey: Uint8Array.of(2, ...channel.instanceKey) },
  ];
  for (const other of others) assert.notDeepEqual(evidenceUserData(other), base);
  assert.throws(() => evidenceUserData({ ...channel, exporter: new Uint8Array(31) }), TypeError);
});

test("C-35: user data is SHA-512 over label and fields, each behind its length", () => {
  const field = (bytes: Uint8Array) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    return Buffer.concat([length, bytes]);
  };
  const { exporter, casKey, instanceKey, service } = channel;
  const fields = [Buffer.from("vouchsafe/attest/1"), exporter, casKey, instanceKey, Buffer.from(service)];
  assert.equal(evidenceUserData(channel).toHex(), hash("sha512", Buffer.concat(fields.map(field))));
  // A field that looks like the end of one and the beginning of the next is neither.
  const moved = (casKey: readonly number[], instanceKey: readonly number[]) =>
    evidenceUserData({ ...channel, casKey: Uint8Array.from(casKey), instanceKey: Uint8Array.from(instanceKey) });
  assert.notDeepEqual(moved([1], [2, 0, 0, 0, 0, 3]), moved([1, 0, 0, 0, 0, 2], [3]));
});

test("an instance proof verifies for its key and channel only, and only P-256 or Ed25519 keys make one", () => {
  const userData = evidenceUserData(channel);
  for (const key of [generateInstanceKey(), generateKeyPairSync("ed25519").privateKey]) {
    const publicKey = createPublicKey(key.export({ type: "pkcs8", format: "pem" }));
    const proof = signInstanceProof(userData, key);
    assert.equal(verifyInstanceProof(userData, publicKey, proof), true);
    assert.equal(verifyInstanceProof(evidenceUserData({ ...channel, service: "shop/other" }), publicKey, proof), false);
  }
  const odd = generateKeyPairSync("ec", { namedCurve: "secp384r1" });
  assert.equal(verifyInstanceProof(userData, odd.publicKey, signInstanceProof(userData, odd.privateKey)), false);
});

test("C-39: the proofs of the two directions differ, so neither can be reflected", () => {
  const userData = evidenceUserData(channel);
  const service = accessTokenProof("token", "service", userData);
  assert.equal(isEqualProof(service, accessTokenProof("token", "service", userData)), true);
  assert.equal(isEqualProof(service, accessTokenProof("token", "cas", userData)), false);
  assert.equal(isEqualProof(service, service.subarray(1)), false);
});
