import assert from "node:assert/strict";
import { generateKeyPairSync, hash } from "node:crypto";
import { test } from "node:test";
import { encode } from "cborg";
import fc from "fast-check";
import { VerificationCache } from "../collateral/verification-cache.ts";
import { EvidenceError } from "../core/errors.ts";
import { verifyEvidence } from "../core/verify.ts";
import { encodeWorkload } from "../core/workload.ts";
import { extendRegister, zeroRegister } from "../eventlog/replay.ts";
import { certifyNitroKey, mintNitro, type NitroMint, nitroPayload, nitroTrust, pcr } from "../testing/mint-nitro.ts";
import { parseNitroDocument } from "./nitro-document.ts";
import { verifyNitroDocument } from "./verify-nitro-document.ts";

const refusedFor = (reason: string) => (error: unknown) => error instanceof EvidenceError && error.reason === reason;

test("a document gives its members, tagged or not", () => {
  const document = mintNitro();
  for (const bytes of [document, Uint8Array.of(0xd2, ...document)]) {
    const verified = verifyNitroDocument(bytes, { ...nitroTrust, nonce: Uint8Array.of(1, 2, 3) });
    assert.equal(verified.moduleId, nitroPayload.module_id);
    assert.deepEqual([...verified.pcrs.keys()], [0, 1, 2, 3, 16]);
    assert.equal(verified.debug, false);
  }
});

test("the NSM of 2025 writes its payload map with indefinite length", () => {
  const members = Object.entries(nitroPayload).flatMap(([name, value]) => [encode(name), encode(value)]);
  const payloadBytes = Buffer.concat([Uint8Array.of(0xbf), ...members, Uint8Array.of(0xff)]);
  assert.equal(verifyNitroDocument(mintNitro({ payloadBytes }), nitroTrust).moduleId, nitroPayload.module_id);
});

test("hazard A9: PCR 0 to 2 all zero, or absent, is debug mode", () => {
  const zeros = new Map([0, 1, 2, 3].map((index) => [index, pcr(index < 3 ? 0 : 1)]));
  assert.equal(verifyNitroDocument(mintNitro({ payload: { pcrs: zeros } }), nitroTrust).debug, true);
  assert.equal(verifyNitroDocument(mintNitro({ payload: { pcrs: new Map([[3, pcr(1)]]) } }), nitroTrust).debug, true);
});

const duplicateKeys = Buffer.concat([Uint8Array.of(0xa2), encode(1), encode(-35), encode(1), encode(-35)]);
const refused: readonly { readonly rule: string; readonly mint: NitroMint; readonly reason: string }[] = [
  { rule: "algorithm ES256", mint: { protectedHeader: encode(new Map([[1, -7]])) }, reason: "unsupported-algorithm" },
  { rule: "no algorithm", mint: { protectedHeader: encode(new Map()) }, reason: "unsupported-algorithm" },
  {
    rule: "algorithm in the unprotected header",
    mint: { protectedHeader: new Uint8Array(0), header: new Map([[1, -35]]) },
    reason: "parse-error",
  },
  { rule: "protected header with a duplicate key", mint: { protectedHeader: duplicateKeys }, reason: "parse-error" },
  {
    rule: "a critical header",
    mint: {
      protectedHeader: encode(
        new Map<number, unknown>([
          [1, -35],
          [2, [99]],
        ]),
      ),
    },
    reason: "parse-error",
  },
  { rule: "module id missing", mint: { payload: { module_id: undefined } }, reason: "parse-error" },
  { rule: "module id empty", mint: { payload: { module_id: "" } }, reason: "parse-error" },
  { rule: "timestamp missing", mint: { payload: { timestamp: undefined } }, reason: "parse-error" },
  { rule: "timestamp beyond all dates", mint: { payload: { timestamp: 9e15 } }, reason: "parse-error" },
  { rule: "certificate missing", mint: { payload: { certificate: undefined } }, reason: "parse-error" },
  { rule: "certificate of 1025 bytes", mint: { payload: { certificate: new Uint8Array(1025) } }, reason: "parse-error" },
  { rule: "cabundle empty", mint: { payload: { cabundle: [] } }, reason: "parse-error" },
  {
    rule: "cabundle of 17 certificates",
    mint: { payload: { cabundle: Array.from({ length: 17 }, () => Uint8Array.of(1)) } },
    reason: "parse-error",
  },
  { rule: "public key empty", mint: { payload: { public_key: new Uint8Array(0) } }, reason: "parse-error" },
  { rule: "a payload that is no map", mint: { payloadBytes: encode([1]) }, reason: "parse-error" },
  { rule: "pcrs missing", mint: { payload: { pcrs: undefined } }, reason: "parse-error" },
  { rule: "pcrs empty", mint: { payload: { pcrs: new Map() } }, reason: "parse-error" },
  { rule: "PCR index 32", mint: { payload: { pcrs: new Map([[32, pcr(1)]]) } }, reason: "parse-error" },
  { rule: "PCR index -1", mint: { payload: { pcrs: new Map([[-1, pcr(1)]]) } }, reason: "parse-error" },
  { rule: "PCR index 1.5", mint: { payload: { pcrs: new Map([[1.5, pcr(1)]]) } }, reason: "parse-error" },
  { rule: "PCR of 47 bytes", mint: { payload: { pcrs: new Map([[0, new Uint8Array(47)]]) } }, reason: "parse-error" },
  { rule: "PCR as text", mint: { payload: { pcrs: new Map([[0, "0".repeat(48)]]) } }, reason: "parse-error" },
  { rule: "cabundle as text", mint: { payload: { cabundle: "certificates" } }, reason: "parse-error" },
  { rule: "a member named by a number", mint: { payloadBytes: encode(new Map<unknown, unknown>([[1, 2]])) }, reason: "parse-error" },
  { rule: "PCR index as text", mint: { payload: { pcrs: new Map([["0", pcr(1)]]) } }, reason: "parse-error" },
  { rule: "cabundle in the wrong order", mint: { payload: { cabundle: nitroPayload.cabundle.toReversed() } }, reason: "bad-chain" },
  {
    rule: "cabundle of 100,000 certificates",
    mint: { payload: { cabundle: Array.from({ length: 100_000 }, () => 0) } },
    reason: "parse-error",
  },
  { rule: "digest of another name", mint: { payload: { digest: "SHA256" } }, reason: "parse-error" },
  { rule: "timestamp zero", mint: { payload: { timestamp: 0 } }, reason: "parse-error" },
  { rule: "timestamp as a float", mint: { payload: { timestamp: 1.5 } }, reason: "parse-error" },
  { rule: "user data of 513 bytes", mint: { payload: { user_data: new Uint8Array(513) } }, reason: "parse-error" },
  { rule: "a member that selects something", mint: { payload: { test_purpose: true } }, reason: "parse-error" },
  { rule: "signed by another key", mint: { key: "stranger" }, reason: "bad-signature" },
];
for (const { rule, mint, reason } of refused) {
  test(`hazard A14: ${rule} → ${reason}`, () => {
    assert.throws(() => verifyNitroDocument(mintNitro(mint), nitroTrust), refusedFor(reason));
  });
}

test("hazard A14: what is no array of four parts is malformed", () => {
  const [header, unprotected, payload, signature] = [encode(new Map([[1, -35]])), new Map(), encode(new Map()), new Uint8Array(96)];
  for (const parts of [[], [header, unprotected, payload], [header, unprotected, payload, signature, 1], new Map(), 5, null, "x"]) {
    assert.throws(() => parseNitroDocument(encode(parts)), refusedFor("parse-error"));
  }
  for (const parts of [[], [header, unprotected, payload], [header, unprotected, payload, signature, 1]]) {
    assert.throws(() => parseNitroDocument(encode(parts)), { message: /not an array of protected header/ });
  }
  const trailing = Uint8Array.of(...header, 0);
  assert.throws(() => parseNitroDocument(encode([trailing, unprotected, payload, signature])), {
    message: /protected header is not a map/,
  });
  for (const parts of [
    [1, unprotected, payload, signature],
    [header, unprotected, 1, signature],
    [header, unprotected, payload, 1],
  ]) {
    assert.throws(() => parseNitroDocument(encode(parts)), { reason: "parse-error", message: /are not byte strings/ });
  }
  assert.throws(() => parseNitroDocument(encode([header, [], payload, signature])), { message: /the unprotected header is not empty/ });
  assert.throws(() => parseNitroDocument(encode([encode([1]), unprotected, payload, signature])), refusedFor("parse-error"));
  assert.throws(() => parseNitroDocument(encode([header, unprotected, payload, new Uint8Array(95)])), { message: /signature of 95 bytes/ });
});

test("hazard A14, field/2026-unsigned-field: a genuine document with anything in the header that nobody signed is refused", () => {
  for (const header of [new Map([[1, -35]]), new Map([[4, Uint8Array.of(1)]])]) {
    assert.throws(() => verifyNitroDocument(mintNitro({ header }), nitroTrust), { message: /the unprotected header is not empty/ });
  }
  assert.throws(() => parseNitroDocument(mintNitro({ payloadBytes: encode([1]) })), { message: /the payload is not a map/ });
});

test("hazard A17: a bundle of more certificates than any region has is refused before they are read", () => {
  const cabundle = Array.from({ length: 17 }, () => Uint8Array.of(1));
  assert.throws(() => parseNitroDocument(mintNitro({ payload: { cabundle } })), { message: /17 certificates, at most 16/ });
});

test("hazard A8: a certified key on another curve signs no document", () => {
  const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const document = mintNitro({ payload: { certificate: certifyNitroKey(publicKey) } });
  assert.throws(() => verifyNitroDocument(document, nitroTrust), refusedFor("unsupported-algorithm"));
});

test("hazard A14: bytes behind the document, and behind its payload", () => {
  assert.throws(() => parseNitroDocument(Uint8Array.of(...mintNitro(), 0)), refusedFor("trailing-data"));
  // Text, which begins like a short CBOR value, is no document with bytes behind it.
  assert.throws(() => parseNitroDocument(Buffer.from(Buffer.from(mintNitro()).toString("base64"))), refusedFor("parse-error"));
  const payloadBytes = Buffer.concat([encode(new Map(Object.entries(nitroPayload))), Uint8Array.of(0)]);
  assert.throws(() => parseNitroDocument(mintNitro({ payloadBytes })), refusedFor("parse-error"));
});

test("C-49: certificates that are over are refused", () => {
  assert.throws(
    () => verifyNitroDocument(mintNitro(), { ...nitroTrust, now: new Date("2028-01-01T00:00:00Z") }),
    refusedFor("cert-expired"),
  );
});

test("a cache keeps the chain, never its dates", () => {
  const trust = { ...nitroTrust, cache: new VerificationCache() };
  verifyNitroDocument(mintNitro(), trust);
  assert.equal(trust.cache.size, 1);
  verifyNitroDocument(mintNitro(), trust);
  assert.throws(() => verifyNitroDocument(mintNitro(), { ...trust, now: new Date("2028-01-01T00:00:00Z") }), refusedFor("cert-expired"));
  assert.throws(() => verifyNitroDocument(mintNitro({ key: "stranger" }), trust), refusedFor("bad-signature"));
});

test("field/unchecked-nonce: a nonce is compared whole, and its absence is no match", () => {
  for (const nonce of [Uint8Array.of(1, 2), Uint8Array.of(1, 2, 3, 4), new Uint8Array(0)]) {
    assert.throws(() => verifyNitroDocument(mintNitro(), { ...nitroTrust, nonce }), refusedFor("nonce-mismatch"));
  }
  assert.throws(
    () => verifyNitroDocument(mintNitro({ payload: { nonce: null } }), { ...nitroTrust, nonce: Uint8Array.of(1) }),
    refusedFor("nonce-mismatch"),
  );
});

test("claims name the nonce if there is one; members that may be absent are then not there", () => {
  const cache = new VerificationCache();
  const context = { now: nitroTrust.now, trustAnchors: { nitro: nitroTrust.anchors.map(({ der }) => der) }, collateral: {}, cache };
  const nonceOf = (payload: object) =>
    verifyEvidence({ kind: "nitro", bytes: mintNitro({ payload: { ...payload } }) }, context).details["nonce"];
  assert.deepEqual([nonceOf({}), nonceOf({ nonce: null }), nonceOf({ nonce: undefined })], ["010203", undefined, undefined]);
  assert.equal(cache.size, 2, "the anchor, and the chain");
  const { publicKey, userData } = parseNitroDocument(mintNitro({ payload: { public_key: undefined, user_data: undefined } }));
  assert.deepEqual([publicKey, userData], [undefined, undefined]);
});

test("a workload is bound by PCR 16 alone", () => {
  const workload = { imageDigest: `sha256:${"cd".repeat(32)}`, fileSystemTag: "00ff" };
  const descriptor = encodeWorkload(workload);
  const measured = extendRegister("sha384", zeroRegister("sha384"), hash("sha384", descriptor, "buffer"));
  const context = { now: nitroTrust.now, trustAnchors: { nitro: nitroTrust.anchors.map(({ der }) => der) }, collateral: {} };
  const endorsements = new Map([["workload", descriptor]]);
  const bytes = mintNitro({ payload: { pcrs: new Map([...nitroPayload.pcrs, [16, measured]]) } });
  const claims = verifyEvidence({ kind: "nitro", bytes, endorsements }, context);
  assert.deepEqual(claims.workload, workload);
  assert.notEqual(claims.codeIdentity, verifyEvidence({ kind: "nitro", bytes }, context).codeIdentity);
  assert.throws(() => verifyEvidence({ kind: "nitro", bytes: mintNitro(), endorsements }, context), refusedFor("runtime-data-mismatch"));
});

test("hazard A1: no byte of a document may change", () => {
  const document = mintNitro();
  for (let at = 0; at < document.length; at += 3) {
    const changed = Uint8Array.from(document);
    changed[at] = (document[at] ?? 0) ^ (1 << (at % 8));
    assert.throws(() => verifyNitroDocument(changed, nitroTrust), EvidenceError, `byte ${at}`);
  }
});

test("hazard A17: deep nesting is refused in bounded time", () => {
  for (const opener of [0x81, 0xa1, 0xc6, 0x9f]) {
    assert.throws(() => parseNitroDocument(new Uint8Array(60_000).fill(opener)), refusedFor("parse-error"));
    assert.throws(() => parseNitroDocument(mintNitro({ payloadBytes: new Uint8Array(60_000).fill(opener) })), refusedFor("parse-error"));
  }
});

test("parseNitroDocument accepts or says EVIDENCE_MALFORMED, whatever the input", () => {
  const valid = mintNitro();
  const nearlyValid = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, value]) => Uint8Array.from(valid).fill(value, at, at + 1));
  const nearlyPayload = fc.uint8Array({ maxLength: 200 }).map((payloadBytes) => mintNitro({ payloadBytes }));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), nearlyValid, nearlyPayload), (bytes) => {
      try {
        parseNitroDocument(bytes);
      } catch (error) {
        assert(error instanceof EvidenceError && error.code === "EVIDENCE_MALFORMED", String(error));
      }
    }),
  );
});
