import { generateKeyPairSync } from "node:crypto";
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import {
  createNodeStatement,
  type Evidence,
  encodeEvidence,
  NODE_AGENT_MEASUREMENT,
  SIMULATED_KINDS,
  type SignatureScheme,
  simulateEvidence,
  type VerificationContext,
} from "../../src/index.ts";
import { mintedNow, mintIntel } from "../../src/testing/mint-intel.ts";
import { mintNitro, nitroTrust } from "../../src/testing/mint-nitro.ts";
import { mintSnp } from "../../src/testing/mint-snp.ts";
import { newSimulatedPlatform } from "../../src/testing/simulated-keys.ts";
import { readLimboTests } from "../../src/vectors/judge-limbo.ts";
import { type Files, judgedFamilies, type Task } from "./task.ts";

const base64 = (bytes: Uint8Array): string => Uint8Array.from(bytes).toBase64();

/** Every case of the collection whose family needs nothing but the library. */
export function recordedCases(vectors: string): readonly Task[] {
  const roots = readFiles(join(vectors, "roots"));
  return judgedFamilies.flatMap((family) =>
    globSync(join(vectors, family, "*/expected.json")).map((file): Task => {
      const folder = dirname(file);
      return {
        kind: "case",
        family,
        name: basename(folder),
        expected: JSON.parse(readFileSync(file, "utf8")),
        files: readFiles(folder),
        roots,
      };
    }),
  );
}

function readFiles(folder: string): Files {
  const names = existsSync(folder) ? readdirSync(folder) : [];
  return Object.fromEntries(names.map((name) => [name, base64(readFileSync(join(folder, name)))]));
}

/** Every test of x509-limbo. */
export const certificationPaths = (vectors: string): readonly Task[] =>
  globSync(join(vectors, "x509-limbo/*/limbo.json.gz")).flatMap((file) =>
    readLimboTests(readFileSync(file)).map((test): Task => ({ kind: "path", test, now: "2026-11-25T00:00:00Z" })),
  );

interface WycheproofGroup extends Readonly<Record<string, unknown>> {
  readonly tests: readonly Readonly<Record<string, unknown>>[];
}

/** Every Wycheproof test of a signature that certificates and evidence may have. */
export const signatureTests = (vectors: string): readonly Task[] =>
  globSync(join(vectors, "wycheproof/*/vectors.json.gz")).flatMap((file) => {
    const { testGroups } = JSON.parse(gunzipSync(readFileSync(file)).toString("utf8")) as {
      readonly testGroups: readonly WycheproofGroup[];
    };
    return testGroups.flatMap((group) => {
      const scheme = schemeOf(group);
      const spki = Buffer.from(String(group["publicKeyDer"] ?? ""), "hex").toString("base64");
      const encode = (hex: unknown) => Buffer.from(String(hex), "hex").toString("base64");
      if (scheme === undefined) return [];
      return group.tests.map(({ msg, sig }): Task => ({ kind: "signature", scheme, spki, message: encode(msg), signature: encode(sig) }));
    });
  });

function schemeOf(group: WycheproofGroup): SignatureScheme | undefined {
  const digest = (["sha256", "sha384", "sha512"] as const).find((name) => name === String(group["sha"]).toLowerCase().replace("-", ""));
  if (group["type"] === "EddsaVerify" && (group["publicKey"] as { readonly curve: string }).curve === "edwards25519")
    return { kind: "eddsa" };
  if (digest === undefined) return undefined;
  switch (group["type"]) {
    case "EcdsaVerify":
      return { kind: "ecdsa", digest, encoding: "der" };
    case "EcdsaP1363Verify":
      return { kind: "ecdsa", digest, encoding: "ieee-p1363" };
    case "RsassaPkcs1Verify":
      return { kind: "rsa-pkcs1", digest };
    case "RsassaPssVerify":
      return { kind: "rsa-pss", digest, saltBytes: Number(group["sLen"]) };
    default:
      return undefined;
  }
}

const MUTANTS = 40;

/** Evidence of every kind that can be minted: as it should be, and with bytes changed all over it. */
export function mintedEvidence(): readonly Task[] {
  return [...intel("sgx"), ...intel("tdx"), ...snp(), ...nitro(), ...node(), ...simulated()];
}

function intel(tee: "sgx" | "tdx"): readonly Task[] {
  const { quote, root, collateral } = mintIntel({ tee });
  const files = Object.fromEntries(Object.entries(collateral).map(([name, bytes]) => [name, base64(bytes)]));
  return withMutants({ kind: tee, bytes: quote }, { now: mintedNow, trustAnchors: { [tee]: [root] }, collateral: {} }, files);
}

function snp(): readonly Task[] {
  const { report, endorsementKey, signer, anchors, now } = mintSnp();
  const endorsements = new Map([
    ["endorsement-key", endorsementKey.der],
    ["signer", signer.der],
  ]);
  return withMutants(
    { kind: "snp", bytes: report, endorsements },
    { now, trustAnchors: { snp: anchors.map(({ der }) => der) }, collateral: {} },
  );
}

const nitro = (): readonly Task[] =>
  withMutants(
    { kind: "nitro", bytes: mintNitro() },
    { now: nitroTrust.now, trustAnchors: { nitro: nitroTrust.anchors.map(({ der }) => der) }, collateral: {} },
  );

function node(): readonly Task[] {
  const pairs = [generateKeyPairSync("ed25519"), generateKeyPairSync("ec", { namedCurve: "P-256" })];
  return pairs.flatMap(({ publicKey, privateKey }) => {
    const statement = {
      ...{ userData: new Uint8Array(64).fill(7), agentMeasurement: NODE_AGENT_MEASUREMENT, imageDigest: `sha256:${"ab".repeat(32)}` },
      ...{ fileSystemTag: "0123", program: "/usr/bin/python3", service: "patients-7/api", instanceCounter: 3n, issuedAt: mintedNow },
    };
    const trustAnchors = { node: [publicKey.export({ type: "spki", format: "der" })] };
    return withMutants(createNodeStatement(statement, privateKey), { now: mintedNow, trustAnchors, collateral: {} });
  });
}

function simulated(): readonly Task[] {
  const platform = newSimulatedPlatform(mintedNow);
  const workload = { imageDigest: `sha256:${"cd".repeat(32)}`, fileSystemTag: "" };
  const guest = { userData: new Uint8Array(64).fill(7), workload };
  const context = { now: mintedNow, trustAnchors: { simulated: [platform.root] }, collateral: {} };
  return SIMULATED_KINDS.flatMap((kind) => withMutants(simulateEvidence(platform, kind, guest), context));
}

function withMutants(evidence: Evidence, { now, trustAnchors }: VerificationContext, intel?: Files): readonly Task[] {
  const anchors = Object.fromEntries(Object.entries(trustAnchors).map(([kind, roots]) => [kind, (roots ?? []).map(base64)]));
  const step = Math.ceil(evidence.bytes.length / MUTANTS);
  const mutants = Array.from({ length: MUTANTS }, (_, index) => {
    const bytes = Uint8Array.from(evidence.bytes);
    const at = Math.min(index * step, bytes.length - 1);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (index % 8));
    return bytes;
  });
  return [evidence.bytes, ...mutants].map((bytes) => ({
    kind: "evidence",
    evidence: encodeEvidence({ ...evidence, bytes }),
    now: now.toISOString(),
    anchors,
    ...(intel === undefined ? {} : { intel }),
  }));
}
