import assert from "node:assert/strict";
import { test } from "node:test";
import { mintSnp } from "../mint-snp.ts";
import { mintSubject } from "./minted-subjects.ts";
import { mutateSubject } from "./mutate-subject.ts";
import { SeededRandom } from "./random.ts";
import { judgeOurselves, type Subject } from "./subject.ts";

test("hazard A22: minted subjects and their mutants are judged, never crashed on, and some of each are accepted and refused", () => {
  const random = new SeededRandom(3);
  const { report, endorsementKey, signer, anchors, now } = mintSnp();
  const snp: Subject = {
    label: "snp",
    now,
    evidence: report,
    setting: {
      name: "snp",
      kind: "snp",
      root: anchors[0]?.der ?? Buffer.of(),
      snp: { endorsementKey: endorsementKey.der, signer: signer.der, isVlek: false, product: "Milan" },
    },
  };
  const minted = [snp, ...Array.from({ length: 40 }, (_, index) => mintSubject(index, random))];
  const mutants = Array.from({ length: 400 }, () => mutateSubject(random.pick(minted), random, minted));
  for (const subjects of [minted, mutants]) {
    const verdicts = subjects.map((subject) => ({ ...judgeOurselves(subject), label: subject.label }));
    assert.deepEqual(
      verdicts.filter(({ verdict }) => verdict === "crashed"),
      [],
    );
    assert.deepEqual([...new Set(verdicts.map(({ verdict }) => verdict))].sort(), ["accepted", "refused"]);
  }
});

test("the same seed gives the same mutants", () => {
  const mutate = () => {
    const random = new SeededRandom(9);
    const minted = [mintSubject(0, random), mintSubject(1, random)];
    return Array.from({ length: 50 }, () => mutateSubject(random.pick(minted), random, minted).label);
  };
  assert.deepEqual(mutate(), mutate());
});
