import assert from "node:assert/strict";
import { test } from "node:test";
import { readCorpus } from "./corpus.ts";
import { tryInput } from "./fuzz-target.ts";
import { FUZZ_TARGETS } from "./fuzz-targets.ts";
import { tokensOf } from "./input-tokens.ts";
import { mutateInput } from "./mutate-input.ts";
import { seededRandom } from "./seeded-random.ts";

const MUTANTS = 1500;
/** A whole verification takes as long as twenty parsers. */
const mutantsOf = (name: string): number => (name.startsWith("verify-") ? MUTANTS / 10 : MUTANTS);

for (const target of FUZZ_TARGETS) {
  test(`hazard A17: ${target.name}: the corpus, and ${mutantsOf(target.name)} inputs near it, are parsed or refused with a typed error`, () => {
    const seeds = target.seeds();
    const corpus = readCorpus(target.name);
    assert.ok(corpus.length > 0, "no corpus is kept for this target");
    const [others, tokens, random] = [[...seeds, ...corpus], tokensOf(seeds), seededRandom(20_260_601)];
    const mutants = Array.from({ length: mutantsOf(target.name) }, () => mutateInput(random.pick(others), random, { others, tokens }));
    for (const input of [...others, ...mutants]) {
      const crash = tryInput(target, input);
      assert.equal(crash, undefined, `${crash?.reason} (input in base64: ${crash?.input.toBase64()})`);
    }
  });

  test(`${target.name}: the first seed is accepted`, () => {
    const [seed] = target.seeds();
    assert.ok(seed);
    target.parse(seed);
  });
}
