import assert from "node:assert/strict";
import { test } from "node:test";
import { type Cluster, ClusterError } from "../cluster/cluster.ts";
import type { Attested } from "./inspect-cas.ts";
import { readClaim } from "./provision-cas.ts";

const TOKEN = "0123456789abcdef0123456789abcdef";
const ATTESTED = { kind: "answered", keyHash: "KeyHash" } as Attested;
const WAIT = { cas: { name: "cas", namespace: "scone-system" }, signal: new AbortController().signal };
const LINES = ["2026-11-28T12:00:00Z info cas: CAS key hash: KeyHash", `2026-11-28T12:00:00Z info cas: CAS provisioning token: ${TOKEN}`];

/** A cluster of which only the log is asked for: each time the next answer. */
const clusterWith = (answers: (string | Error)[]) =>
  ({
    podLog: () => {
      const answer = answers.shift() ?? assert.fail("asked once more");
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  }) as unknown as Cluster;

test("CL-46: a CAS that answers before the cluster knows that it runs is claimed as soon as its log can be read", async () => {
  const answers = [new ClusterError(400, "waiting to start: ContainerCreating"), LINES[0] ?? "", LINES.join("\n")];
  assert.equal(await readClaim(clusterWith(answers), WAIT, ATTESTED), TOKEN);
  assert.deepEqual(answers, []);
});

test("a log that this client may not read, or of another CAS, is told at once", async () => {
  await assert.rejects(readClaim(clusterWith([new ClusterError(403, "forbidden")]), WAIT, ATTESTED), { code: "E-CLUSTER" });
  const other = clusterWith([LINES.join("\n").replace("KeyHash", "OtherHash")]);
  await assert.rejects(readClaim(other, WAIT, ATTESTED), { code: "E-CAS-ATTESTATION", message: /OtherHash/ });
});
