/**
 * Asks independent verifiers the same as ours, about recorded evidence, thousands of mutants of it, and minted evidence with every signature
 * valid: verdict and TCB status. Every difference is listed under the argument why it is right; one without an argument fails the run, above
 * all a case that we alone accept (hazard A22).
 *
 *   node packages/attestation/src/testing/differential/compare-verifiers.ts [--mutants 3000] [--minted 3000] [--seed 1]
 *
 * `--mutants` is for each kind: of the recorded cases of `VOUCHSAFE_VECTORS`, for SGX and TDX as many of minted evidence besides. The peers are built below the cache directory on first use, from their registries,
 * with cargo, go and npm; one that cannot be built is left out and named. Exits 1 for a failed run, 2 when there is no peer at all.
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { argumentFor } from "./argued-differences.ts";
import { mintSubject } from "./minted-subjects.ts";
import { mutateSubject } from "./mutate-subject.ts";
import { PEERS, Peer } from "./peer.ts";
import { SeededRandom } from "./random.ts";
import { readRecordedSubjects } from "./recorded-subjects.ts";
import { judgeOurselves, type Subject, type Verdict } from "./subject.ts";

const { values } = parseArgs({
  options: {
    mutants: { type: "string", default: "3000" },
    minted: { type: "string", default: "3000" },
    seed: { type: "string", default: "1" },
  },
});
const random = new SeededRandom(Number(values.seed));
/** Questions under way at a time: verifiers work while others do. */
const UNDER_WAY = 64;
const vectors = resolve(process.env["VOUCHSAFE_VECTORS"] ?? join(import.meta.dirname, "../../../../../../shared/vectors"));

interface Difference {
  count: number;
  readonly example: string;
}

interface Tally {
  asked: number;
  judged: number;
  accepted: number;
  agreed: number;
}

/** By kind and peer. */
const tallies = new Map<string, Tally>();
const differences = new Map<string, Difference>();
const failures: string[] = [];
/** How often we alone accept: each refusal of the others has to be argued. */
let alone = 0;

/** Words for a verdict, fine enough to tell differences apart: of refusals only that they are refusals. */
const word = ({ verdict, status }: Verdict): string => (status === undefined ? verdict : `${verdict} ${status}`);

function isSame(ours: Verdict, theirs: Verdict): boolean {
  if (ours.verdict !== theirs.verdict) return false;
  return theirs.status === undefined || (ours.status === theirs.status && isSameList(ours.advisories, theirs.advisories));
}

const isSameList = (a: readonly string[] = [], b: readonly string[] = []): boolean =>
  JSON.stringify([...new Set(a)].sort()) === JSON.stringify([...new Set(b)].sort());

async function ask(subject: Subject, peers: readonly Peer[]): Promise<void> {
  const answers = Promise.all(peers.map((peer) => peer.judge(subject)));
  const ours = judgeOurselves(subject);
  const theirs = await answers;
  if (ours.verdict === "crashed") failures.push(`we crash: ${subject.label} (${subject.setting.name}): ${ours.reason}`);
  const judged = theirs.filter(({ verdict }) => verdict !== "not judged");
  if (ours.verdict === "accepted" && judged.length > 0 && judged.every(({ verdict }) => verdict !== "accepted")) alone += 1;
  for (const [index, verdict] of theirs.entries()) count(subject, ours, verdict, peers[index]?.name ?? "");
}

function count(subject: Subject, ours: Verdict, theirs: Verdict, peer: string): void {
  const tallied = `${subject.setting.kind}: ${peer}`;
  const tally = tallies.get(tallied) ?? { asked: 0, judged: 0, accepted: 0, agreed: 0 };
  tallies.set(tallied, tally);
  tally.asked += 1;
  if (theirs.verdict === "not judged") return;
  tally.judged += 1;
  if (theirs.verdict === "accepted") tally.accepted += 1;
  if (isSame(ours, theirs)) {
    tally.agreed += 1;
    return;
  }
  const advisories = word(ours) === word(theirs) ? " with other advisories" : "";
  const group = (theirs.reason ?? "").replace(/0x[0-9a-f]+|[0-9a-f]{6,}|\d+/gi, "#").slice(0, 90);
  const key = `${peer}: ${word(theirs)}${advisories}, we: ${word(ours)}${ours.reason === undefined ? "" : ` (${ours.reason})`} | ${group}`;
  const known = differences.get(key);
  if (known === undefined && argumentFor(key) === undefined)
    failures.push(`nobody argued: ${key} (${subject.label}, ${subject.setting.name}: ${theirs.reason ?? ""})`);
  if (known !== undefined) known.count += 1;
  else
    differences.set(key, {
      count: 1,
      example: `${subject.label} / ${subject.setting.name}${theirs.reason === undefined ? "" : `: ${theirs.reason.slice(0, 160)}`}`,
    });
}

function startPeers(): Peer[] {
  return PEERS.flatMap((recipe) => {
    try {
      return [new Peer(recipe)];
    } catch (error) {
      console.log(`${recipe.name} is left out: ${String(error instanceof Error ? error.message : error).slice(0, 200)}`);
      return [];
    }
  });
}

const peers = startPeers();
if (peers.length === 0) {
  console.log("no peer could be built: nothing was compared");
  process.exit(2);
}
/** The recorded cases, mutants of each kind in turn, minted evidence, and mutants of that. */
function* subjects(): Generator<Subject> {
  const recorded = readRecordedSubjects(vectors);
  if (recorded.length === 0) console.log(`no recorded evidence at ${vectors}: minted evidence alone is compared (see VOUCHSAFE_VECTORS)`);
  yield* recorded;
  for (const kind of ["sgx", "tdx", "snp"] as const) yield* mutants(recorded.filter(({ setting }) => setting.kind === kind));
  const minted = Array.from({ length: Number(values.minted) }, (_, index) => mintSubject(index, random));
  yield* minted;
  for (const kind of ["sgx", "tdx"] as const) yield* mutants(minted.filter(({ setting }) => setting.kind === kind));
}

function* mutants(of: readonly Subject[]): Generator<Subject> {
  for (let index = 0; index < Number(values.mutants) && of.length > 0; index += 1)
    yield mutateSubject(of[index % of.length] ?? random.pick(of), random, of);
}

try {
  let asked: Promise<void>[] = [];
  for (const subject of subjects()) {
    asked.push(ask(subject, peers));
    if (asked.length < UNDER_WAY) continue;
    await Promise.all(asked);
    asked = [];
  }
  await Promise.all(asked);
} finally {
  for (const peer of peers) peer[Symbol.dispose]();
}

const byArgument = Map.groupBy([...differences], ([key]) => argumentFor(key) ?? "NOT ARGUED");
for (const [why, group] of byArgument) {
  console.log(`${group.reduce((sum, [, { count: times }]) => sum + times, 0)} × ${why}`);
  for (const [key, { count: times, example }] of group.sort(([a], [b]) => a.localeCompare(b)))
    console.log(`    ${times} × ${key} | ${example}`);
}
for (const [tallied, { asked, judged, accepted, agreed }] of tallies) {
  console.log(`${tallied}: asked ${asked}, judged ${judged}, accepted ${accepted}, agrees with us in ${agreed}`);
}
console.log(`${alone} × we alone accept`);
for (const failure of failures.slice(0, 50)) console.log(`FAILED ${failure}`);
console.log(`${failures.length} failures`);
process.exitCode = failures.length === 0 ? 0 : 1;
