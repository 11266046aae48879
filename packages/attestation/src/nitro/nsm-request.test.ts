import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "cborg";
import { encodeNsmAttestation, parseNsmAttestation } from "./nsm-request.ts";

test("a request carries user data of any length that the module takes, and no longer", () => {
  for (const length of [0, 23, 24, 255, 256, 512]) {
    const userData = new Uint8Array(length).fill(5);
    const request: unknown = decode(encodeNsmAttestation(userData));
    assert.deepEqual(request, { Attestation: { user_data: userData, nonce: null, public_key: null } });
  }
  assert.throws(() => encodeNsmAttestation(new Uint8Array(513)), { name: "TypeError", message: /513 bytes, at most 512 fit/ });
});

test("an answer that is no map is refused as such", () => {
  for (const answer of [[1], 5, null]) {
    assert.throws(() => parseNsmAttestation(encode(answer)), { code: "EVIDENCE_MALFORMED", message: /no map/ });
  }
});

test("an answer gives the document, or the module's own word", () => {
  const document = Uint8Array.of(1, 2);
  assert.deepEqual(parseNsmAttestation(encode({ Attestation: { document } })), document);
  assert.throws(() => parseNsmAttestation(encode({ Error: "InvalidArgument" })), { message: /it refuses with InvalidArgument/ });
  assert.throws(() => parseNsmAttestation(encode({ Attestation: { document: "x" } })), { message: /no document/ });
});
