/**
 * One verification, everything checked, beside every independent verifier of the differential test and beside the bare signature checks in
 * `node:crypto` that it needs: CPU time, memory allocated by us, peak memory of each process. Peers answer over a pipe, so that reading a question
 * (hexadecimal in JSON, some 20 µs) counts for them. All on the same bytes and date; the peers are built on first use.
 *
 *   node --expose-gc --min-semi-space-size=256 --max-semi-space-size=256 bench/verifiers.ts [--rounds 7] [--count 100]
 *
 * Without these flags of V8 the allocations are not told: the collector would run in between.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { VerificationCache, verifyEvidence } from "@vouchsafe/attestation";
import type { SignatureQuestion } from "../packages/attestation/src/crypto/crypto-provider.ts";
import { withProvider } from "../packages/attestation/src/crypto/current-provider.ts";
import { platformProvider } from "../packages/attestation/src/crypto/node-provider.ts";
import { PEERS, Peer } from "../packages/attestation/src/testing/differential/peer.ts";
import { readRecordedSubjects } from "../packages/attestation/src/testing/differential/recorded-subjects.ts";
import type { Subject } from "../packages/attestation/src/testing/differential/subject.ts";
import { FMSPC, mintedNow, mintIntel } from "../packages/attestation/src/testing/mint-intel.ts";
import { measurePairs, median, report } from "./pairs.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "7" }, count: { type: "string", default: "100" } } });
const [rounds, count] = [Number(values.rounds), Number(values.count)];
const vectors = process.env["VOUCHSAFE_VECTORS"] ?? join(import.meta.dirname, "../../shared/vectors");
const TICKS_PER_SECOND = 100;
const KIB = 1024;

/** Minted evidence that every verifier accepts, and a recorded SEV-SNP report. */
function subjects(): readonly Subject[] {
  const minted = (["sgx", "tdx"] as const).map((kind): Subject => {
    const { quote, root, collateral } = mintIntel({ tee: kind, tcbInfo: (document) => void Object.assign(document, { fmspc: FMSPC }) });
    const text = Buffer.from(quote).toString("latin1");
    const pckCrlIssuerChain = Buffer.from(text.slice(text.indexOf("-----BEGIN", text.indexOf("-----END"))), "latin1");
    const setting = { name: kind, kind, root, intel: { ...collateral, pckCrlIssuerChain } };
    return { label: kind, now: mintedNow, evidence: quote, setting };
  });
  const snp = readRecordedSubjects(vectors).find(({ label }) => label === "snp/microsoft-v3-milan-vcek");
  return [...minted, ...(snp === undefined ? [] : [{ ...snp, label: "snp" }])];
}

function verification({ setting, evidence, now }: Subject, cache?: VerificationCache): () => void {
  const { kind, root, intel, snp } = setting;
  const endorsements = new Map(
    snp === undefined
      ? []
      : [
          ["endorsement-key", snp.endorsementKey],
          ["signer", snp.signer],
        ],
  );
  const collateral = intel === undefined ? {} : { intel: () => intel };
  const context = { now, trustAnchors: { [kind]: [root] }, collateral, ...(cache === undefined ? {} : { cache }) };
  return () => void verifyEvidence({ kind, bytes: evidence, endorsements }, context);
}

/** The signatures that a verification asks for, asked again and nothing else. Keys are imported anew, as they are in a cold verification. */
function bareSignatures(verify: () => void): { readonly run: () => void; readonly signatures: number } {
  const asked: SignatureQuestion[] = [];
  withProvider({ ...platformProvider, isSigned: (question) => asked.push(question) > 0 && platformProvider.isSigned(question) }, verify);
  const run = () => {
    for (const question of asked) platformProvider.isSigned({ ...question, key: { ...question.key } });
  };
  return { run, signatures: asked.length };
}

function cpuMs(run: () => void): number {
  const before = process.cpuUsage();
  for (let index = 0; index < count; index++) run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / count;
}

/** Bytes on the heap and in buffers that one call allocates; undefined where the collector cannot be kept away. */
function allocated(run: () => void): number | undefined {
  const collect = globalThis.gc;
  if (collect === undefined) return undefined;
  const calls = 20;
  const used = () => process.memoryUsage().heapUsed + process.memoryUsage().external;
  collect();
  const before = used();
  for (let index = 0; index < calls; index++) run();
  return Math.round((used() - before) / calls / KIB);
}

/** CPU milliseconds of a process until now (proc(5), stat: utime and stime). */
function processCpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /, "")
    .split(" ");
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1000;
}

const peakMib = (pid: number | "self"): number =>
  Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) / KIB);

/** Ticks are 10 ms: a peer gets as many questions as give a hundred of them. */
async function peerCpuMs(peer: Peer, subject: Subject, questions: number): Promise<number> {
  const { pid = 0 } = peer;
  const before = processCpuMs(pid);
  await Promise.all(Array.from({ length: questions }, () => peer.judge(subject)));
  return (processCpuMs(pid) - before) / questions;
}

for (const subject of subjects()) {
  const [cold, warm] = [verification(subject), verification(subject, new VerificationCache())];
  const { run: bare, signatures } = bareSignatures(cold);
  for (const run of [cold, warm, bare]) cpuMs(run); // compiles
  const [coldMs = 0, warmMs = 0, bareMs = 0] = [cold, warm, bare].map((run) => median(Array.from({ length: rounds }, () => cpuMs(run))));
  const [coldKib, warmKib] = [allocated(cold), allocated(warm)];
  const memory = coldKib === undefined ? "" : `; allocates ${coldKib} KiB cold, ${warmKib} KiB warm`;
  console.log(
    `${subject.label}: cold ${coldMs.toFixed(2)}, warm ${warmMs.toFixed(2)}, its ${signatures} bare signatures ${bareMs.toFixed(2)} CPU-ms${memory}`,
  );
  for (const recipe of PEERS) {
    if (!recipe.judges(subject)) continue;
    using peer = new Peer(recipe);
    const { verdict, reason } = await peer.judge(subject);
    if (verdict !== "accepted") throw new Error(`${peer.name} does not accept ${subject.label}: ${reason}`);
    await peerCpuMs(peer, subject, count);
    for (const [state, ours] of Object.entries({ cold, warm })) {
      const pairs = await measurePairs(
        rounds,
        async () => cpuMs(ours),
        async () => peerCpuMs(peer, subject, count * 3),
      );
      console.log(report(`${subject.label} ${state} against ${peer.name}`, "CPU-ms", pairs));
    }
    // With a young generation of that size this process's own peak says nothing.
    const own = globalThis.gc === undefined ? `, this process ${peakMib("self")} MiB` : "";
    console.log(`  peak memory: ${peer.name} ${peakMib(peer.pid ?? 0)} MiB${own}`);
  }
}
