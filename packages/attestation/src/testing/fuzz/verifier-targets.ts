import { concat, u32 } from "../../core/bytes.ts";
import type { VerificationContext } from "../../core/trust.ts";
import { verifyEvidence } from "../../core/verify.ts";
import { verifySignedCorim } from "../../corim/signed-corim.ts";
import { withProvider } from "../../crypto/current-provider.ts";
import { platformProvider } from "../../crypto/node-provider.ts";
import { simulateEvidence } from "../../simulated/simulated-platform.ts";
import { readPublicKey } from "../../x509/public-key.ts";
import { mintedNow, mintIntel } from "../mint-intel.ts";
import { mintNitro, nitroTrust } from "../mint-nitro.ts";
import { mintedAt, mintSnp } from "../mint-snp.ts";
import { newSimulatedPlatform } from "../simulated-keys.ts";
import type { FuzzTarget } from "./fuzz-target.ts";
import { signedCorims, verifierSpki } from "./result-seeds.ts";

/** Every signature holds: so that what stands behind one is reached although nobody can forge it. */
const TRUSTING = { ...platformProvider, isSigned: () => true };
const PARTS_MAX = 8;

/** Evidence and its documents in one input: each with its length (u32, big-endian) before it. */
const joinParts = (...parts: readonly (Uint8Array | undefined)[]): Uint8Array =>
  concat(...parts.flatMap((part = new Uint8Array(0)) => [u32(part.length), part]));

/** A length that leads beyond the end means the rest. */
function splitParts(input: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; at + 4 <= input.length && parts.length < PARTS_MAX; ) {
    const length = new DataView(input.buffer, input.byteOffset + at, 4).getUint32(0);
    parts.push(input.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return parts;
}

function intelParts(mint: Parameters<typeof mintIntel>[0]): Uint8Array {
  const { quote, collateral } = mintIntel(mint);
  const { tcbInfo, qeIdentity, tcbSigningChain, pckCrl, rootCaCrl } = collateral;
  return joinParts(quote, tcbInfo, qeIdentity, tcbSigningChain, pckCrl, rootCaCrl);
}

const intelRoot = mintIntel().root;

function verifyIntel(kind: "sgx" | "tdx", input: Uint8Array): void {
  const [bytes = input, tcbInfo, qeIdentity, tcbSigningChain, pckCrl, rootCaCrl] = splitParts(input);
  const given = Object.entries({ tcbInfo, qeIdentity, tcbSigningChain, pckCrl, rootCaCrl }).filter(([, part]) => part !== undefined);
  const intel = () => Object.fromEntries(given);
  trusting(() => verifyEvidence({ kind, bytes }, { now: mintedNow, trustAnchors: { [kind]: [intelRoot] }, collateral: { intel } }));
}

function snpParts(): readonly Uint8Array[] {
  const parts = [mintSnp(), mintSnp({ report: { version: 5 } }), mintSnp({ certificate: { kind: "VLEK" }, withoutHardwareId: true })];
  return parts.map(({ report, endorsementKey, signer }) => joinParts(report, endorsementKey.der, signer.der));
}

const snpRoots = mintSnp().anchors.map(({ der }) => der);

function verifySnp(input: Uint8Array): void {
  const [bytes = input, key = bytes, signer = bytes, workload] = splitParts(input);
  const endorsements = new Map([
    ["endorsement-key", key],
    ["signer", signer],
    ...(workload === undefined ? [] : [["workload", workload] as const]),
  ]);
  trusting(() => verifyEvidence({ kind: "snp", bytes, endorsements }, anchored("snp", snpRoots, mintedAt)));
}

const nitroRoots = nitroTrust.anchors.map(({ der }) => der);
const tpmPlatform = newSimulatedPlatform(mintedNow);
const TPM_PARTS = ["signature", "attestation-key", "attestation-key-certificate", "pcrs", "workload", "event-log"] as const;

/** The event log, which this evidence has none of, is for the fuzzer to make from other parts. */
function tpmParts(): Uint8Array {
  const workload = { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "" };
  const { bytes, endorsements } = simulateEvidence(tpmPlatform, "tpm", { userData: new Uint8Array(64), workload });
  return joinParts(bytes.subarray(4), ...TPM_PARTS.slice(0, 5).map((name) => endorsements?.get(name))); // behind the length and name of its kind
}

function verifyTpm(input: Uint8Array): void {
  const [bytes = input, ...parts] = splitParts(input);
  const endorsements = new Map(parts.flatMap((part, index) => (TPM_PARTS[index] === undefined ? [] : [[TPM_PARTS[index], part] as const])));
  trusting(() => verifyEvidence({ kind: "tpm", bytes, endorsements }, anchored("tpm", [tpmPlatform.root], mintedNow)));
}

const corimKeys = [readPublicKey(verifierSpki)];

const anchored = (kind: "snp" | "nitro" | "tpm", roots: readonly Uint8Array[], now: Date): VerificationContext => ({
  now,
  trustAnchors: { [kind]: roots },
  collateral: {},
});

const trusting = (verify: () => unknown): void => void withProvider(TRUSTING, verify);

/** Whole verifications for which every signature holds. */
export const VERIFIER_TARGETS: readonly FuzzTarget[] = [
  {
    name: "verify-sgx",
    seeds: () => [intelParts({}), intelParts({ version: 4 }), intelParts({ pceSvn: 12 })],
    parse: (input) => verifyIntel("sgx", input),
  },
  {
    name: "verify-tdx",
    seeds: () => [intelParts({ tee: "tdx" }), intelParts({ tee: "tdx", version: 5, bodyType: 3 })],
    parse: (input) => verifyIntel("tdx", input),
  },
  { name: "verify-snp", seeds: snpParts, parse: verifySnp },
  { name: "verify-tpm", seeds: () => [tpmParts()], parse: verifyTpm },
  {
    name: "verify-nitro",
    seeds: () => [mintNitro()],
    parse: (input) => trusting(() => verifyEvidence({ kind: "nitro", bytes: input }, anchored("nitro", nitroRoots, nitroTrust.now))),
  },
  {
    name: "signed-corim",
    seeds: signedCorims,
    parse: (input) => trusting(() => verifySignedCorim(input, { keys: corimKeys, now: mintedNow })),
  },
];
