import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import type { Evidence } from "./core/evidence.ts";
import type { VerificationContext } from "./core/trust.ts";
import { verifyEvidence } from "./core/verify.ts";
import { platformProvider } from "./crypto/node-provider.ts";
import { createNodeStatement } from "./node/create-node-statement.ts";
import { NODE_AGENT_MEASUREMENT } from "./node/node-statement.ts";
import { verifyNodeStatement } from "./node/verify-node-statement.ts";
import { simulateEvidence } from "./simulated/simulated-platform.ts";
import { mintIntel } from "./testing/mint-intel.ts";
import { mintNitro, nitroTrust } from "./testing/mint-nitro.ts";
import { mintedAt, mintSnp } from "./testing/mint-snp.ts";
import { newSimulatedPlatform } from "./testing/simulated-keys.ts";

/*
 * Hazard A19. Whatever a verifier is made of can fail: here any call of the language's own methods throws, one after the other, whoever makes it.
 * Then nothing may come out. A step that were skipped on an error of its own would give claims.
 */
const TYPED_ARRAY = Object.getPrototypeOf(Uint8Array.prototype);
const METHODS: readonly (readonly [object, readonly string[]])[] = [
  [TYPED_ARRAY, ["subarray", "slice", "set", "every", "some", "reduceRight"]],
  [Uint8Array.prototype, ["toHex", "toBase64"]],
  [Uint8Array, ["fromHex", "fromBase64"]],
  [Object.getPrototypeOf(Uint8Array), ["from"]],
  [DataView.prototype, ["getUint8", "getUint16", "getUint32", "getBigUint64"]],
  [Map.prototype, ["get", "set", "has"]],
  [Set.prototype, ["has"]],
  [Array.prototype, ["map", "every", "some", "find", "filter", "flatMap", "includes", "toSorted"]],
  [String.prototype, ["slice", "startsWith", "indexOf", "split", "replace"]],
  [RegExp.prototype, ["exec", "test"]],
  [TextDecoder.prototype, ["decode"]],
  [JSON, ["parse"]],
  [Date.prototype, ["getTime", "toISOString"]],
  [platformProvider, ["hash", "isSigned", "isUsableKey"]],
];
/** So many of the calls of each verification fail, evenly spread; a whole verification has some thousands. */
const FAILURES_OF_EACH = 500;

class Planted extends Error {}

/** Counts the calls that `run` makes; the one with the number `failAt` throws. */
function withFailure(failAt: number, run: () => unknown): { readonly calls: number; readonly outcome: unknown } {
  let calls = 0;
  const originals = METHODS.flatMap(([owner, names]) =>
    names.map((name) => [owner, name, Object.getOwnPropertyDescriptor(owner, name) ?? assert.fail(name)] as const),
  );
  for (const [owner, name, { value, ...rest }] of originals) {
    const original: (...parameters: unknown[]) => unknown = value;
    const counting = function (this: unknown, ...parameters: unknown[]): unknown {
      if (calls++ === failAt) throw new Planted(`planted in ${name}`);
      return original.apply(this, parameters);
    };
    Object.defineProperty(owner, name, { ...rest, value: counting });
  }
  let outcome: unknown;
  try {
    outcome = run();
  } catch {
    outcome = undefined;
  } finally {
    for (const [owner, name, descriptor] of originals) Object.defineProperty(owner, name, descriptor);
  }
  return { calls, outcome };
}

const now = new Date("2026-11-25T12:00:00Z");
const platform = newSimulatedPlatform(now);
const workload = { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "" };
const simulated = (kind: "tpm" | "tdx") => simulateEvidence(platform, kind, { userData: new Uint8Array(64).fill(7), workload });
const agent = generateKeyPairSync("ed25519");
const statement = createNodeStatement(
  {
    ...{ userData: new Uint8Array(64), agentMeasurement: NODE_AGENT_MEASUREMENT, ...workload, program: "/usr/bin/env" },
    ...{ service: "a/b", instanceCounter: 1n, issuedAt: now },
  },
  agent.privateKey,
);

function intel(mint: Parameters<typeof mintIntel>[0]): readonly [Evidence, VerificationContext] {
  const { quote, context } = mintIntel(mint);
  return [{ kind: mint?.tee ?? "sgx", bytes: quote }, context];
}

function snp(): readonly [Evidence, VerificationContext] {
  const { report, endorsementKey, signer, anchors } = mintSnp();
  const endorsements = new Map([
    ["endorsement-key", endorsementKey.der],
    ["signer", signer.der],
  ]);
  return [
    { kind: "snp", bytes: report, endorsements },
    anchored(
      "snp",
      anchors.map(({ der }) => der),
      mintedAt,
    ),
  ];
}

const anchored = (kind: Evidence["kind"], roots: readonly Uint8Array[], at: Date): VerificationContext => ({
  now: at,
  trustAnchors: { [kind]: roots },
  collateral: {},
});

const genuine: Readonly<Record<string, readonly [Evidence, VerificationContext]>> = {
  "an SGX quote": intel({}),
  "a TDX quote": intel({ tee: "tdx" }),
  "an SNP report": snp(),
  "a Nitro document": [
    { kind: "nitro", bytes: mintNitro() },
    anchored(
      "nitro",
      nitroTrust.anchors.map(({ der }) => der),
      nitroTrust.now,
    ),
  ],
  "a TPM quote": [{ ...simulated("tpm"), kind: "tpm", bytes: simulated("tpm").bytes.subarray(4) }, anchored("tpm", [platform.root], now)],
  "simulated TDX": [simulated("tdx"), anchored("simulated", [platform.root], now)],
  "a node statement": [statement, anchored("node", [agent.publicKey.export({ type: "spki", format: "der" })], now)],
};

for (const [what, [evidence, context]] of Object.entries(genuine)) {
  test(`hazard A19, field/2026-03-failed-open: of ${what} no claim leaves the verifier when anything in it fails`, () => {
    const whole = withFailure(-1, () => verifyEvidence(evidence, context));
    assert.notEqual(whole.outcome, undefined, "verifies as long as nothing fails");
    assert.ok(whole.calls > 20, `${whole.calls} calls`);
    const step = Math.max(1, Math.floor(whole.calls / FAILURES_OF_EACH));
    let failures = 0;
    for (let failAt = 0; failAt < whole.calls; failAt += step) {
      const { calls, outcome } = withFailure(failAt, () => verifyEvidence(evidence, context));
      if (calls <= failAt) continue; // keys that were read before are not read again: fewer calls than the first time
      failures += 1;
      assert.equal(outcome, undefined, `claims in spite of a failure in call ${failAt} of ${whole.calls}`);
    }
    assert.ok(failures > whole.calls / step / 2, `${failures} of ${whole.calls} calls failed`);
  });
}

for (const [what, [evidence, context]] of Object.entries(genuine)) {
  test(`hazard A19: ${what} proves nothing at a time that is none: it would be neither too old nor too new`, () => {
    const at = (time: Date) => () => verifyEvidence(evidence, { ...context, now: time });
    const noTime = { name: "TypeError", message: /^`now` is not a Date with a time/ };
    assert.throws(at(new Date("yesterday")), noTime);
    assert.throws(at(new Date(8.64e15 + 1)), noTime);
    const notGiven = undefined as unknown as Date; // what plain JavaScript may pass
    assert.throws(at(notGiven), noTime);
  });
}

test("hazard A19: limits of age that are no numbers are kept by nothing", () => {
  const [quote, context] = intel({ tee: "tdx" });
  const fresh = (intelFreshness: NonNullable<VerificationContext["intelFreshness"]>) => () =>
    verifyEvidence(quote, { ...context, intelFreshness });
  fresh({ maxAgeDays: 30, minEvaluationNumber: 0 })();
  assert.throws(fresh({ maxAgeDays: Number.NaN }), { reason: "collateral-expired" });
  assert.throws(fresh({ minEvaluationNumber: Number.NaN }), { reason: "collateral-expired" });
  const agentKeys = [agent.publicKey.export({ type: "spki", format: "der" })];
  const aged = (maxAgeSeconds: number) => () => verifyNodeStatement(statement.bytes, { now, agentKeys, maxAgeSeconds });
  aged(0)();
  assert.throws(aged(Number.NaN), { reason: "stale" });
});

test("evidence that TypeScript would refuse is told what is wrong with it", () => {
  const context = anchored("tdx", [], now);
  const verify = (evidence: object) => () => verifyEvidence(evidence as Evidence, context);
  for (const kind of ["tarot", "__proto__", "toString", undefined])
    assert.throws(verify({ kind, bytes: new Uint8Array(1) }), {
      name: "TypeError",
      message: /none of sgx, tdx, snp, nitro, tpm, node, simulated/,
    });
  for (const bytes of ["abc", [1, 2], new ArrayBuffer(4), undefined])
    assert.throws(verify({ kind: "tdx", bytes }), { name: "TypeError", message: /not a Uint8Array/ });
});
