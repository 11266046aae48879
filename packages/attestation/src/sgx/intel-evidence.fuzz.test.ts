import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { VerificationCache } from "../collateral/verification-cache.ts";
import { EvidenceError } from "../core/errors.ts";
import { verifyEvidence } from "../core/verify.ts";
import { mintIntel } from "../testing/mint-intel.ts";
import { parseQuote } from "./quote.ts";

const vectors = process.env["VOUCHSAFE_VECTORS"] ?? join(import.meta.dirname, "../../../../../shared/vectors");

function isRefused(verify: () => unknown): boolean {
  try {
    verify();
    return false;
  } catch (error) {
    assert.ok(error instanceof EvidenceError, `not a typed error: ${String(error instanceof Error ? error.stack : error)}`);
    return true;
  }
}

for (const tee of ["sgx", "tdx"] as const) {
  test(`hazard A1: a quote of ${tee} with any bit flipped is refused, line ends of PEM excepted`, () => {
    const { quote, context } = mintIntel({ tee });
    const withCache = { ...context, cache: new VerificationCache() };
    const text = Buffer.from(quote).toString("latin1");
    const isLineEnd = (at: number) => text[at] === "\n" && at > text.indexOf("-----BEGIN");
    const tolerated: number[] = [];
    for (let at = 0; at < quote.length; at++) {
      const mutant = Uint8Array.from(quote);
      mutant[at] = (mutant[at] ?? 0) ^ (1 << (at % 8));
      if (!isRefused(() => verifyEvidence({ kind: tee, bytes: mutant }, withCache))) tolerated.push(at);
    }
    assert.deepEqual(
      tolerated.filter((at) => !isLineEnd(at)),
      [],
    );
  });

  test(`hazard A2: a quote of ${tee} cut off at any length, or with anything but zeros behind it, is refused`, () => {
    const { quote, context } = mintIntel({ tee });
    for (let length = 0; length < quote.length; length += 1) {
      assert.throws(() => parseQuote(quote.subarray(0, length)), { code: "EVIDENCE_MALFORMED" });
    }
    for (const extra of [1, 2, 64, 4096]) {
      assert.throws(() => parseQuote(Buffer.concat([quote, Buffer.alloc(extra, 1)])), { reason: "trailing-data" });
    }
    const padded = Buffer.concat([quote, Buffer.alloc(4096)]);
    assert.equal(verifyEvidence({ kind: tee, bytes: padded }, context).tcb.status, "UpToDate");
  });

  test(`hazard A17: length fields of a ${tee} quote that lie are refused before memory is spent`, () => {
    const { quote } = mintIntel({ tee });
    const signatureAt = 48 + (tee === "sgx" ? 384 : 584);
    for (const length of [0xffff_ffff, 0x7fff_ffff, 0, 1, quote.length]) {
      const mutant = Buffer.from(quote);
      mutant.writeUInt32LE(length, signatureAt);
      assert.throws(() => parseQuote(mutant), { code: "EVIDENCE_MALFORMED" });
    }
  });
}

test("mutants of recorded quotes and collateral give claims or a typed error, never anything else", (context) => {
  const folders = globSync(join(vectors, "{sgx,tdx}/*-v[345]-*/")).slice(0, 6);
  if (folders.length === 0) context.diagnostic(`no vectors at ${vectors}: minted quotes only`);
  const recorded = folders.map((folder) => Uint8Array.from(readFileSync(join(folder, "quote.bin"))));
  const minted = mintIntel({ tee: "tdx" });
  const seeds = [minted.quote, mintIntel().quote, ...recorded];
  const edits = fc.array(fc.record({ at: fc.nat(12_000), value: fc.nat(255) }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(fc.constantFrom(...seeds), edits, fc.constantFrom("sgx" as const, "tdx" as const), (seed, changes, kind) => {
      const mutant = Uint8Array.from(seed);
      for (const { at, value } of changes) mutant[at % mutant.length] = value;
      isRefused(() => verifyEvidence({ kind, bytes: mutant }, minted.context));
    }),
    { numRuns: 300 },
  );
});

test("mutants of collateral give claims or a typed error, and no claim other than the genuine one", () => {
  const { quote, context, collateral } = mintIntel({ tee: "tdx" });
  const genuine = verifyEvidence({ kind: "tdx", bytes: quote }, context);
  const members = ["tcbInfo", "qeIdentity", "tcbSigningChain", "pckCrl", "rootCaCrl"] as const;
  fc.assert(
    fc.property(fc.constantFrom(...members), fc.nat(5000), fc.nat(255), (member, at, value) => {
      const bytes = Uint8Array.from(collateral[member] ?? []);
      bytes[at % bytes.length] = value;
      const changed = { ...context, collateral: { intel: () => ({ ...collateral, [member]: bytes }) } };
      let claims: unknown;
      const verify = () => {
        claims = verifyEvidence({ kind: "tdx", bytes: quote }, changed);
      };
      if (!isRefused(verify)) assert.deepEqual(claims, genuine);
    }),
    { numRuns: 300 },
  );
});
