import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";
import { test } from "node:test";
import { encode, Tagged } from "cborg";
import { VerificationCache } from "./collateral/verification-cache.ts";
import { OperationalError } from "./core/errors.ts";
import type { Evidence } from "./core/evidence.ts";
import type { VerificationContext } from "./core/trust.ts";
import { verifyEvidence } from "./core/verify.ts";
import { verifySignedCorim } from "./corim/signed-corim.ts";
import { signAttestationResult, verifyAttestationResult } from "./ear/attestation-result-token.ts";
import { signatureStructure } from "./nitro/cose-sign1.ts";
import { createNodeStatement } from "./node/create-node-statement.ts";
import { NODE_AGENT_MEASUREMENT } from "./node/node-statement.ts";
import { simulateEvidence } from "./simulated/simulated-platform.ts";
import { type IntelMint, mintIntel } from "./testing/mint-intel.ts";
import { mintNitro, nitroTrust } from "./testing/mint-nitro.ts";
import { mintedAt, mintSnp } from "./testing/mint-snp.ts";
import { newSimulatedPlatform } from "./testing/simulated-keys.ts";
import { formatCheckpoint } from "./tlog/checkpoint.ts";
import { formatVerifierKey, signNote } from "./tlog/sign-note.ts";
import { openNote, parseVerifierKey } from "./tlog/signed-note.ts";
import { readPublicKey } from "./x509/public-key.ts";

/*
 * Everything that somebody signed and this library verifies, of every kind: each byte changed, cut at every length, every place taken for a length
 * field and enlarged. A change is refused with a typed error, in bounded time and memory; where it stands in bytes that no signature covers, what is
 * proven stays the same.
 */
interface Structure {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** What is proven; throws typed errors. */
  readonly verify: (bytes: Uint8Array) => unknown;
  /** Places that no signature covers. */
  readonly isUnsigned?: (at: number) => boolean;
  /** Lengths at which it may be cut: what is missing then is at hand anyway. */
  readonly isWhole?: (length: number) => boolean;
  /** Every how many bytes: more than one where the tests of the kind take each (intel-evidence.fuzz, snp, nitro, certification-path). */
  readonly step?: number;
}

const withCache = (context: VerificationContext): VerificationContext => ({ ...context, cache: new VerificationCache() });
/** Hexadecimal digits mean the same in both cases. */
const isHexLetter = (bytes: Uint8Array) => (at: number) => /[a-f]/i.test(String.fromCharCode(bytes[at] ?? 0));
const isLineEnd = (bytes: Uint8Array) => (at: number) => bytes[at] === 0x0a;

function quote(name: string, mint: IntelMint): Structure {
  const { quote: bytes, context: plain } = mintIntel(mint);
  const context = withCache(plain);
  const kind = mint.tee ?? "sgx";
  // The chain of certificates is PEM, whose line ends mean nothing. intel-evidence.fuzz.test.ts takes every byte.
  return { name, bytes, verify: (changed) => verifyEvidence({ kind, bytes: changed }, context), isUnsigned: isLineEnd(bytes), step: 5 };
}

function intelDocuments(): readonly Structure[] {
  const { quote: bytes, context, collateral } = mintIntel({ tee: "tdx" });
  return (["tcbInfo", "qeIdentity", "tcbSigningChain", "pckCrl", "rootCaCrl"] as const).map((member) => {
    const original = collateral[member] ?? assert.fail();
    const verify = (changed: Uint8Array) => {
      const documents = { ...collateral, [member]: changed };
      return verifyEvidence({ kind: "tdx", bytes }, { ...context, collateral: { intel: () => documents } });
    };
    const text = Buffer.from(original).toString("latin1");
    const signatureAt = text.indexOf('"signature":"') + 13;
    const spellings = {
      // The root behind the signer is a trust anchor.
      tcbSigningChain: { isUnsigned: isLineEnd(original), isWhole: (at: number) => /END CERTIFICATE-----\n?$/.test(text.slice(0, at)) },
      tcbInfo: { isUnsigned: (at: number) => at >= signatureAt && isHexLetter(original)(at) },
      qeIdentity: { isUnsigned: (at: number) => at >= signatureAt && isHexLetter(original)(at) },
      pckCrl: {},
      rootCaCrl: {},
    };
    return { name: `Intel's ${member}`, bytes: original, verify, ...spellings[member], step: 5 };
  });
}

/** Of an attestation key's public area the certificate binds the key; its attributes were proven when it was certified. */
const UNSIGNED_MEMBERS: Readonly<Record<string, (bytes: Uint8Array) => (at: number) => boolean>> = {
  "attestation-key": () => (at) => at < 20,
  pcrs: isHexLetter,
};

function endorsed(name: string, evidence: Evidence, context: VerificationContext, member?: string): Structure {
  const cached = withCache(context);
  const step = evidence.bytes.length > 1000 ? 5 : 1;
  if (member === undefined) return { name, bytes: evidence.bytes, verify: (bytes) => verifyEvidence({ ...evidence, bytes }, cached), step };
  const original = evidence.endorsements?.get(member) ?? assert.fail(member);
  const isUnsigned = UNSIGNED_MEMBERS[member]?.(original);
  return {
    name: `${name}: ${member}`,
    bytes: original,
    ...(isUnsigned === undefined ? {} : { isUnsigned }),
    step,
    verify: (bytes) => verifyEvidence({ ...evidence, endorsements: new Map([...(evidence.endorsements ?? []), [member, bytes]]) }, cached),
  };
}

const { report, endorsementKey, signer, anchors } = mintSnp();
const snp: Evidence = {
  kind: "snp",
  bytes: report,
  endorsements: new Map([
    ["endorsement-key", endorsementKey.der],
    ["signer", signer.der],
  ]),
};
const snpContext = { now: mintedAt, trustAnchors: { snp: anchors.map(({ der }) => der) }, collateral: {} };

const now = new Date("2026-11-25T12:00:00Z");
const platform = newSimulatedPlatform(now);
const workload = { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "" };
const simulate = (kind: "snp" | "tpm" | "sgx" | "tdx") =>
  simulateEvidence(platform, kind, { userData: new Uint8Array(64).fill(7), workload });
const simulatedContext = { now, trustAnchors: { simulated: [platform.root] }, collateral: {} };
const tpm: Evidence = { ...simulate("tpm"), kind: "tpm", bytes: simulate("tpm").bytes.subarray(4) };
const tpmContext = { now, trustAnchors: { tpm: [platform.root] }, collateral: {} };

const agent = generateKeyPairSync("ed25519");
const statement = createNodeStatement(
  {
    ...{ userData: new Uint8Array(64), agentMeasurement: NODE_AGENT_MEASUREMENT, ...workload, program: "/usr/bin/env" },
    ...{ service: "a/b", instanceCounter: 1n, issuedAt: now },
  },
  agent.privateKey,
);
const agentSpki = agent.publicKey.export({ type: "spki", format: "der" });

function corim(): Structure {
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const payload = encode(
    new Tagged(
      501,
      new Map<number, unknown>([
        [0, "corim-7"],
        [1, []],
      ]),
    ),
  );
  const meta = encode(new Map([[0, new Map([[0, "ACME"]])]]));
  const header = encode(
    new Map<number, unknown>([
      [1, -7],
      [3, "application/rim+cbor"],
      [8, meta],
    ]),
  );
  const signature = sign("sha256", signatureStructure(header, payload), { key: key.privateKey, dsaEncoding: "ieee-p1363" });
  const keys = [readPublicKey(key.publicKey.export({ type: "spki", format: "der" }))];
  const bytes = encode(new Tagged(18, [header, new Map(), payload, Uint8Array.from(signature)]));
  // The header that is not signed is empty here; one that says more is not read.
  return { name: "signed CoRIM", bytes, verify: (changed) => verifySignedCorim(changed, { keys, now }) };
}

function checkpoint(): Structure {
  const log = generateKeyPairSync("ed25519");
  const text = formatCheckpoint({ origin: "log.example/1", size: 42n, root: new Uint8Array(32), extensions: [] });
  const keys = [parseVerifierKey(formatVerifierKey("log.example", log.publicKey))];
  return {
    name: "signed checkpoint",
    bytes: new TextEncoder().encode(signNote(text, "log.example", log.privateKey)),
    verify: (changed) => openNote(changed, keys).text,
  };
}

const structures: readonly Structure[] = [
  quote("SGX quote, version 3", {}),
  quote("SGX quote, version 5", { version: 5, bodyType: 1 }),
  quote("TDX quote, version 4", { tee: "tdx" }),
  quote("TDX quote, version 5, TDX 1.5", { tee: "tdx", version: 5, bodyType: 3 }),
  quote("TDX quote, version 5, TDX 1.5 extended", { tee: "tdx", version: 5, bodyType: 4 }),
  ...intelDocuments(),
  endorsed("SNP report", snp, snpContext),
  ...["endorsement-key", "signer"].map((member) => endorsed("SNP report", snp, snpContext, member)),
  endorsed(
    "Nitro document",
    { kind: "nitro", bytes: mintNitro() },
    {
      now: nitroTrust.now,
      trustAnchors: { nitro: nitroTrust.anchors.map(({ der }) => der) },
      collateral: {},
    },
  ),
  endorsed("TPM quote", tpm, tpmContext),
  ...["signature", "attestation-key", "attestation-key-certificate", "pcrs", "workload"].map((member) =>
    endorsed("TPM quote", tpm, tpmContext, member),
  ),
  ...(["snp", "tpm"] as const).map((kind) => endorsed(`simulated ${kind}`, simulate(kind), simulatedContext)),
  endorsed("node statement", statement, { now, trustAnchors: { node: [agentSpki] }, collateral: {} }),
  corim(),
  checkpoint(),
];

const TIME_MAX_US = 2_000_000;
const MEMORY_MAX_BYTES = 32 * 1024 * 1024;

/** Undefined: refused by a typed error. */
function attempt({ verify }: Structure, bytes: Uint8Array): { readonly proven: unknown } | undefined {
  const [time, memory] = [process.cpuUsage().user, process.memoryUsage().arrayBuffers];
  try {
    return { proven: verify(bytes) };
  } catch (error) {
    assert.ok(error instanceof OperationalError, `no typed error: ${String(error instanceof Error ? error.stack : error)}`);
    return undefined;
  } finally {
    assert.ok(process.cpuUsage().user - time < TIME_MAX_US, "takes too long");
    assert.ok(process.memoryUsage().arrayBuffers - memory < MEMORY_MAX_BYTES, "takes too much memory");
  }
}

function edited(bytes: Uint8Array, edit: (view: DataView) => void): Uint8Array {
  const copy = Uint8Array.from(bytes);
  edit(new DataView(copy.buffer));
  return copy;
}

for (const structure of structures) {
  const { name, bytes, verify, isUnsigned = () => false, isWhole = () => false, step = 1 } = structure;
  const places = Array.from({ length: Math.ceil(bytes.length / step) }, (_, index) => index * step);
  const genuine = verify(bytes);
  /** An accepted change proves what the original does, and stands where nothing is signed. */
  const assertHarmless = (changed: Uint8Array, at: number, what: string) => {
    const accepted = attempt(structure, changed);
    if (accepted === undefined) return;
    assert.deepEqual(accepted.proven, genuine, `${what} at ${at} proves something else`);
    assert.ok(isUnsigned(at), `${what} at ${at} of ${bytes.length} is accepted`);
  };

  test(`hazards A1, A2, A17: ${name}: each byte changed, cut at every length, every length field enlarged`, () => {
    for (const at of places) {
      assertHarmless(
        edited(bytes, (view) => view.setUint8(at, view.getUint8(at) ^ (1 << (at % 8)))),
        at,
        "a bit",
      );
      const cut = attempt(structure, bytes.subarray(0, at));
      assert.equal(cut === undefined || isWhole(at), true, `cut after ${at} of ${bytes.length} bytes`);
      if (cut !== undefined) assert.deepEqual(cut.proven, genuine);
    }
    for (let at = 0; at + 4 <= bytes.length; at += step) {
      for (const isLittle of [true, false]) {
        assertHarmless(
          edited(bytes, (view) => view.setUint32(at, 0xffff_fff0, isLittle)),
          at,
          "a length of 4 GiB",
        );
        assertHarmless(
          edited(bytes, (view) => view.setUint16(at, (view.getUint16(at, isLittle) + 1) & 0xffff, isLittle)),
          at,
          "a length",
        );
      }
    }
    assertHarmless(Uint8Array.from([...bytes, 1]), bytes.length, "a byte behind");
  });
}

test("hazards A1, A2: attestation result: each character changed, cut at every length", async () => {
  const key = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const trust = { publicKey: key.publicKey, algorithm: "ES256", audience: "relying.example", now } as const;
  const submodule = { status: "affirming", trustworthiness: { hardware: 2 }, appraisalPolicyId: "x", evidence: {} } as const;
  const token = await signAttestationResult(
    {
      ...{ verifier: { developer: "a", build: "b" }, audience: trust.audience, subject: "a/b", issuedAt: now },
      ...{ expiresAt: new Date(now.getTime() + 60_000), submodules: new Map([["snp", submodule]]) },
    },
    key.privateKey,
    "ES256",
  );
  for (let at = 0; at < token.length; at++) {
    const other = token[at] === "A" ? "B" : "A";
    await assert.rejects(
      verifyAttestationResult(`${token.slice(0, at)}${other}${token.slice(at + 1)}`, trust),
      OperationalError,
      `at ${at}`,
    );
    await assert.rejects(verifyAttestationResult(token.slice(0, at), trust), OperationalError, `cut at ${at}`);
  }
});
