/**
 * Asks independent verifiers the same as ours, about recorded evidence, thousands of mutants of it, and minted evidence with every signature
 * valid: verdict and TCB status. A case that we accept and every other verifier refuses fails the run (hazard A22); every other difference is
 * listed with its count and one example.
 *
 *   node packages/attestation/src/testing/differential/compare-verifiers.ts [--mutants 200] [--minted 2000] [--seed 1]
 *
 * `--mutants` is for each recorded case of `VOUCHSAFE_VECTORS`. The peers are built below the cache directory on first use, from their registries,
 * with cargo, go and npm; one that cannot be built is left out and named. Exits 1 for a failed run, 2 when there is no peer at all.
 */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ARGUED } from "./argued-differences.ts";
import { mintSubject } from "./minted-subjects.ts";
import { mutateSubject } from "./mutate-subject.ts";
import { PEERS, Peer } from "./peer.ts";
import { SeededRandom } from "./random.ts";
import { readRecordedSubjects } from "./recorded-subjects.ts";
import { judgeOurselves, type Subject, type Verdict } from "./subject.ts";

const { values } = parseArgs({
  options: {
    mutants: { type: "string", default: "200" },
    minted: { type: "string", default: "2000" },
    seed: { type: "string", default: "1" },
  },
});
const random = new SeededRandom(Number(values.seed));
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

const tallies = new Map<string, Tally>();
const differences = new Map<string, Difference>();
const failures: string[] = [];
/** By the reason why it is right: how often we alone accept. */
const alone = new Map<string, number>();

/** Words for a verdict, fine enough to tell differences apart: of refusals only that they are refusals. */
const word = ({ verdict, status }: Verdict): string => (status === undefined ? verdict : `${verdict} ${status}`);

function isSame(ours: Verdict, theirs: Verdict): boolean {
  if (ours.verdict !== theirs.verdict) return false;
  return theirs.status === undefined || (ours.status === theirs.status && isSameList(ours.advisories, theirs.advisories));
}

const isSameList = (a: readonly string[] = [], b: readonly string[] = []): boolean =>
  JSON.stringify([...new Set(a)].sort()) === JSON.stringify([...new Set(b)].sort());

async function ask(subject: Subject, peers: readonly Peer[]): Promise<void> {
  const ours = judgeOurselves(subject);
  if (ours.verdict === "crashed") failures.push(`we crash: ${subject.label} (${subject.setting.name}): ${ours.reason}`);
  const theirs: Verdict[] = [];
  for (const peer of peers) theirs.push(await peer.judge(subject)); // each answers in order
  const judged = theirs.filter(({ verdict }) => verdict !== "not judged");
  if (ours.verdict === "accepted" && judged.length > 0 && judged.every(({ verdict }) => verdict !== "accepted")) {
    const reasons = judged.map(({ reason }) => reason).join(" | ");
    const argued = ARGUED.find((known) => known.label.test(subject.label) && known.reasons.test(reasons));
    if (argued === undefined) failures.push(`we alone accept: ${subject.label} (${subject.setting.name}): ${reasons}`);
    else alone.set(argued.why, (alone.get(argued.why) ?? 0) + 1);
  }
  for (const [index, verdict] of theirs.entries()) count(subject, ours, verdict, peers[index]?.name ?? "");
}

function count(subject: Subject, ours: Verdict, theirs: Verdict, peer: string): void {
  const tally = tallies.get(peer) ?? { asked: 0, judged: 0, accepted: 0, agreed: 0 };
  tallies.set(peer, tally);
  tally.asked += 1;
  if (theirs.verdict === "not judged") return;
  tally.judged += 1;
  if (theirs.verdict === "accepted") tally.accepted += 1;
  if (isSame(ours, theirs)) {
    tally.agreed += 1;
    return;
  }
  const advisories = word(ours) === word(theirs) ? " with other advisories" : "";
  const key = `${peer}: ${word(theirs)}${advisories}, we: ${word(ours)}${ours.reason === undefined ? "" : ` (${ours.reason})`} | ${subject.label}`;
  const known = differences.get(key);
  if (known !== undefined) known.count += 1;
  else
    differences.set(key, {
      count: 1,
      example: `${subject.setting.name}${theirs.reason === undefined ? "" : `: ${theirs.reason.slice(0, 160)}`}`,
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
try {
  const recorded = readRecordedSubjects(vectors);
  for (const subject of recorded) await ask(subject, peers);
  for (const subject of recorded)
    for (let index = 0; index < Number(values.mutants); index += 1) await ask(mutateSubject(subject, random, recorded), peers);
  for (let index = 0; index < Number(values.minted); index += 1) await ask(mintSubject(index, random), peers);
} finally {
  for (const peer of peers) peer[Symbol.dispose]();
}

for (const [key, { count: times, example }] of [...differences].sort(([a], [b]) => a.localeCompare(b)))
  console.log(`${times} × ${key} | ${example}`);
for (const [peer, { asked, judged, accepted, agreed }] of tallies) {
  console.log(`${peer}: asked ${asked}, judged ${judged}, accepted ${accepted}, agrees with us in ${agreed}`);
}
for (const [why, times] of alone) console.log(`${times} × we alone accept, argued: ${why}`);
for (const failure of failures.slice(0, 50)) console.log(`FAILED ${failure}`);
console.log(`${failures.length} failures`);
process.exitCode = failures.length === 0 ? 0 : 1;
