import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { VerificationCache } from "../../src/index.ts";
import { findBrowserFault, startBrowser, type TestBrowser } from "./chromium.ts";
import { certificationPaths, mintedEvidence, recordedCases, signatureTests } from "./make-tasks.ts";
import { answerTask, type Task } from "./task.ts";

const vectors = process.env["VOUCHSAFE_VECTORS"] ?? join(import.meta.dirname, "../../../../../shared/vectors");
const fault = findBrowserFault();
const noVectors = existsSync(vectors) ? undefined : `no vectors at ${vectors}`;
let browser: TestBrowser | undefined;
before(async () => {
  if (fault === undefined) browser = await startBrowser();
});
after(() => browser?.[Symbol.asyncDispose]());

const sets = [
  { what: "minted evidence of every kind, and its mutants", tasks: mintedEvidence, needs: undefined, atLeast: 280 },
  { what: "recorded evidence of every family", tasks: () => recordedCases(vectors), needs: noVectors, atLeast: 100 },
  { what: "certification paths of x509-limbo", tasks: () => certificationPaths(vectors), needs: noVectors, atLeast: 100 },
  { what: "Wycheproof's signatures", tasks: () => signatureTests(vectors), needs: noVectors, atLeast: 1000 },
] as const;

for (const { what, tasks: makeTasks, needs, atLeast } of sets) {
  test(`a browser answers as Node does: ${what}`, { skip: fault ?? needs ?? false }, async (context) => {
    assert.ok(browser);
    const tasks = makeTasks();
    assert.ok(tasks.length >= atLeast, `${tasks.length} tasks`);
    const { answers, milliseconds } = await browser.answer(tasks);
    const cache = new VerificationCache();
    const differing: unknown[] = [];
    for (const [index, task] of tasks.entries()) {
      const here = await answerTask(task, cache);
      if (answers[index] !== here) differing.push({ task: nameOf(task, index), node: here, browser: answers[index] });
    }
    assert.deepEqual(differing, []);
    context.diagnostic(`${tasks.length} answers, ${milliseconds.toFixed(0)} ms in Chromium ${browser.version}`);
  });
}

function nameOf(task: Task, index: number): string {
  if (task.kind === "case") return `${task.family}/${task.name}`;
  return task.kind === "path" ? task.test.id : `${task.kind} ${index}`;
}
