import assert from "node:assert/strict";
import { test } from "node:test";
import { daemonSetProblem, deploymentProblem } from "./rollout.ts";

const deployment = (status: object, replicas = 2) => ({ metadata: { generation: 3 }, spec: { replicas }, status });
const complete = { observedGeneration: 3, replicas: 2, updatedReplicas: 2, availableReplicas: 2 };
const daemonSet = (status: object) => ({ metadata: { generation: 3 }, status });
const everywhere = { observedGeneration: 3, desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2 };

const cases: readonly { what: string; problem: string | undefined; says: RegExp | undefined }[] = [
  { what: "a Deployment that runs", problem: deploymentProblem(deployment(complete)), says: undefined },
  { what: "no Deployment", problem: deploymentProblem(undefined), says: /does not exist/ },
  {
    what: "what was seen of the former template",
    problem: deploymentProblem(deployment({ ...complete, observedGeneration: 2 })),
    says: /not taken note/,
  },
  {
    what: "former pods alone",
    problem: deploymentProblem(deployment({ ...complete, updatedReplicas: 0 })),
    says: /0 of 2 pods are of the new kind/,
  },
  { what: "a former pod beside", problem: deploymentProblem(deployment({ ...complete, replicas: 3 })), says: /1 pods of the former kind/ },
  {
    what: "a pod that starts",
    problem: deploymentProblem(deployment({ ...complete, availableReplicas: 1 })),
    says: /1 of 2 pods are available/,
  },
  { what: "a DaemonSet that runs", problem: daemonSetProblem(daemonSet(everywhere)), says: undefined },
  { what: "a new DaemonSet", problem: daemonSetProblem(daemonSet({})), says: /not taken note/ },
  {
    what: "a former agent",
    problem: daemonSetProblem(daemonSet({ ...everywhere, updatedNumberScheduled: 1 })),
    says: /1 of 2 pods are of the new kind/,
  },
  {
    what: "an agent that starts",
    problem: daemonSetProblem(daemonSet({ ...everywhere, numberAvailable: 1 })),
    says: /1 of 2 pods are available/,
  },
];
for (const { what, problem, says } of cases) {
  test(`init waits for what it applied: ${what}`, () => {
    if (says === undefined) assert.equal(problem, undefined);
    else assert.match(problem ?? "", says);
  });
}
