import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { test } from "node:test";
import { encode, Tagged } from "cborg";
import fc from "fast-check";
import { EvidenceError } from "../core/errors.ts";
import { signatureStructure } from "../nitro/cose-sign1.ts";
import { readPublicKey } from "../x509/public-key.ts";
import { verifySignedCorim } from "./signed-corim.ts";

const now = new Date("2026-06-15T12:00:00Z");
const seconds = now.getTime() / 1000;
const newPair = (curve: string) => generateKeyPairSync("ec", { namedCurve: curve });
const signer = newPair("P-384");
const stranger = newPair("P-384");
const publicKey = (key: KeyObject) => readPublicKey(key.export({ type: "spki", format: "der" }));
const keys = [publicKey(stranger.publicKey), publicKey(signer.publicKey)];
const payload = encode(
  new Tagged(
    501,
    new Map<number, unknown>([
      [0, "corim-7"],
      [1, []],
    ]),
  ),
);
const meta = (validity?: readonly [from: unknown, until: unknown]) =>
  encode(
    new Map<number, unknown>([
      [0, new Map([[0, "ACME"]])],
      ...(validity === undefined ? [] : [[1, new Map(validity.flatMap((at, index) => (at === undefined ? [] : [[index, at]])))] as const]),
    ]),
  );

/** A signed CoRIM; headers may be replaced, undefined leaves one out. */
function mint(
  changes: Readonly<Record<number, unknown>> = {},
  key: KeyObject = signer.privateKey,
  digest: string | null = "sha384",
): Uint8Array {
  const usual: Record<number, unknown> = { 1: -35, 3: "application/rim+cbor", 8: meta(), ...changes };
  const header = new Map(Object.entries(usual).flatMap(([label, value]) => (value === undefined ? [] : [[Number(label), value] as const])));
  const protectedHeader = encode(header);
  const signature = sign(digest, signatureStructure(protectedHeader, payload), { key, dsaEncoding: "ieee-p1363" });
  return encode(new Tagged(18, [protectedHeader, new Map(), payload, signature]));
}

const refusedFor = (reason: string) => (error: unknown) => error instanceof EvidenceError && error.reason === reason;

test("a CoRIM that a trusted key signed gives its content, its key and its signer's name", () => {
  const corim = verifySignedCorim(mint(), { keys, now });
  assert.deepEqual([corim.id, corim.signerName, corim.signedBy], ["corim-7", "ACME", keys[1]]);
  const claims = new Map<number, unknown>([
    [1, "https://acme.example"],
    [4, seconds],
    [5, seconds],
  ]);
  assert.equal(verifySignedCorim(mint({ 8: undefined, 15: claims }), { keys, now }).signerName, "https://acme.example");
});

test("every algorithm goes with one kind of key", () => {
  const others = [
    { algorithm: -7, pair: newPair("P-256"), digest: "sha256" },
    { algorithm: -36, pair: newPair("P-521"), digest: "sha512" },
    { algorithm: -8, pair: generateKeyPairSync("ed25519"), digest: null },
  ];
  for (const { algorithm, pair, digest } of others) {
    const trusted = [publicKey(pair.publicKey)];
    const signedAs = (label: number) => mint({ 1: label }, pair.privateKey, digest);
    assert.equal(verifySignedCorim(signedAs(algorithm), { keys: trusted, now }).id, "corim-7");
    assert.throws(() => verifySignedCorim(signedAs(-35), { keys: trusted, now }), refusedFor("bad-signature"));
  }
});

test("hazard A8: a trusted key on another curve than the algorithm's signs nothing, though its signature holds", () => {
  const pair = newPair("P-256");
  const signedAs384 = mint({}, pair.privateKey, "sha384");
  assert.throws(() => verifySignedCorim(signedAs384, { keys: [publicKey(pair.publicKey)], now }), refusedFor("bad-signature"));
});

test("what is not laid out as a COSE_Sign1 with tag 18 is told as that", () => {
  const [header, bytes] = [encode(new Map()), new Uint8Array(96)];
  const refused = (value: unknown, message: RegExp) =>
    assert.throws(() => verifySignedCorim(encode(value), { keys, now }), { code: "EVIDENCE_MALFORMED", message });
  for (const parts of [5, [header, new Map(), payload], [header, new Map(), payload, bytes, 1]])
    refused(new Tagged(18, parts), /not a COSE_Sign1/);
  refused([header, new Map(), payload, bytes], /not a COSE_Sign1/);
  for (const at of [0, 2, 3]) refused(new Tagged(18, [header, new Map(), payload, bytes].with(at, 5 as never)), /are not byte strings/);
  assert.throws(() => verifySignedCorim(mint({ 8: new Map() }), { keys, now }), { message: /not wrapped in a byte string/ });
});

test("who is not trusted says nothing: another key, no key, a key that comes along", () => {
  assert.throws(() => verifySignedCorim(mint(), { keys: keys.slice(0, 1), now }), refusedFor("bad-signature"));
  assert.throws(() => verifySignedCorim(mint(), { keys: [], now }), refusedFor("bad-signature"));
  const brought = mint({ 4: Buffer.from("kid"), 33: Buffer.from("certificate") }, newPair("P-384").privateKey);
  assert.throws(() => verifySignedCorim(brought, { keys, now }), refusedFor("bad-signature"));
});

test("a CoRIM serves from the first to the last second that its signer names", () => {
  const within = (from: unknown, until: unknown, at = now) => verifySignedCorim(mint({ 8: meta([from, until]) }), { keys, now: at });
  assert.equal(within(new Tagged(1, seconds), new Tagged(1, seconds)).id, "corim-7");
  assert.equal(within(undefined, seconds).id, "corim-7");
  assert.throws(() => within(seconds + 1, seconds + 2), refusedFor("collateral-not-yet-valid"));
  assert.throws(() => within(undefined, seconds - 1), refusedFor("collateral-expired"));
  const claims = new Map<number, unknown>([
    [1, "x"],
    [4, seconds - 1],
  ]);
  assert.throws(() => verifySignedCorim(mint({ 8: undefined, 15: claims }), { keys, now }), refusedFor("collateral-expired"));
});

const malformed: readonly { readonly rule: string; readonly headers: Readonly<Record<number, unknown>>; readonly reason?: string }[] = [
  { rule: "an unknown algorithm", headers: { 1: -257 }, reason: "unsupported-algorithm" },
  { rule: "no algorithm", headers: { 1: undefined }, reason: "unsupported-algorithm" },
  { rule: "another content type", headers: { 3: "text/plain" } },
  { rule: "no content type", headers: { 3: undefined } },
  { rule: "a critical parameter", headers: { 2: [99] } },
  { rule: "an unknown parameter", headers: { 99: 1 } },
  { rule: "nobody named", headers: { 8: undefined } },
  { rule: "the signer named twice", headers: { 15: new Map([[1, "x"]]) } },
  { rule: "claims without issuer", headers: { 8: undefined, 15: new Map() } },
  { rule: "a signer's map that is not wrapped", headers: { 8: new Map() } },
  { rule: "a signer without name", headers: { 8: encode(new Map([[0, new Map()]])) } },
  { rule: "bytes behind the signer's map", headers: { 8: Buffer.concat([meta(), Buffer.of(0)]) } },
  { rule: "a validity without end", headers: { 8: meta([seconds, undefined]) } },
  { rule: "a time that is a fraction", headers: { 8: meta([undefined, seconds + 0.5]) } },
  { rule: "a time before 1970", headers: { 8: meta([-1, seconds]) } },
  { rule: "a time that is text", headers: { 8: meta([undefined, "soon"]) } },
];
for (const { rule, headers, reason = "parse-error" } of malformed) {
  test(`a signed CoRIM with ${rule} is refused`, () => {
    assert.throws(() => verifySignedCorim(mint(headers), { keys, now }), refusedFor(reason));
  });
}

test("hazard A1, A2: each byte counts, nothing may follow, and anything else is no signed CoRIM", () => {
  const valid = mint();
  for (let at = 0; at < valid.length; at += 1) {
    const changed = Uint8Array.from(valid);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    if (changed[at] === 0xa0) continue;
    try {
      // The only byte that nobody signed is the empty other header.
      assert.deepEqual([verifySignedCorim(changed, { keys, now }).id, valid[at]], ["corim-7", 0xa0], `byte ${at}`);
    } catch (error) {
      assert(error instanceof EvidenceError, String(error));
    }
  }
  assert.throws(() => verifySignedCorim(Uint8Array.of(...valid, 0), { keys, now }), refusedFor("trailing-data"));
  assert.throws(() => verifySignedCorim(payload, { keys, now }), refusedFor("parse-error"));
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(valid.length - 1).map((length) => valid.subarray(0, length)),
      ),
      (bytes) => {
        assert.throws(() => verifySignedCorim(bytes, { keys, now }), EvidenceError);
      },
    ),
  );
});

test("hazard A19: no signed CoRIM holds at a time that is none", () => {
  assert.throws(() => verifySignedCorim(mint(), { keys, now: new Date("yesterday") }), { name: "TypeError", message: /`now`/ });
});
