import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { examineCluster } from "./examine-cluster.ts";

const question = { cas: "cas", casNamespace: "scone-system" };

/** A directory with a kubectl that answers by a shell `case`, and a helm. */
function withTools(t: { after: (action: () => void) => void }, answers: string): string {
  const directory = mkdtempSync(join(tmpdir(), "doctor-"));
  t.after(() => rmSync(directory, { recursive: true }));
  writeFileSync(
    join(directory, "kubectl"),
    `#!/bin/sh\ncase "$*" in\n"version --client") echo "Client Version: v1.34.0";;\n${answers}\nesac\n`,
    { mode: 0o755 },
  );
  writeFileSync(join(directory, "helm"), "#!/bin/sh\necho v3.21.4\n", { mode: 0o755 });
  return `${directory}:/usr/bin:/bin`;
}
const outcomes = (findings: readonly { name: string; outcome: string }[]) => findings.map(({ name, outcome }) => `${name} ${outcome}`);

test("CL-82: without kubectl the check ends with its remedy", async () => {
  const findings = await examineCluster({ ...question, environment: { PATH: "/nowhere" } });
  assert.deepEqual(outcomes(findings), ["kubectl failed", "helm failed"]);
  assert.equal(findings[0]?.remedy, "Install kubectl.");
});

test("a healthy cluster has agents and a CAS that say HEALTHY", async (t) => {
  const PATH = withTools(
    t,
    `"get pods"*) echo pod/a;;\n"get las"*) echo "HEALTHY HEALTHY";;\n"get cas cas --namespace scone-system"*) echo HEALTHY;;`,
  );
  assert.deepEqual(outcomes(await examineCluster({ ...question, environment: { PATH } })), [
    "kubectl ok",
    "helm ok",
    "cluster ok",
    "node agents (las) ok",
    "CAS ok",
  ]);
});

test("one agent that is not HEALTHY, and a CAS that is not there, are told with their own words", async (t) => {
  const PATH = withTools(
    t,
    `"get pods"*) ;;\n"get las"*) echo "HEALTHY PENDING";;\n*) echo 'Error from server (NotFound): cas "cas" not found' >&2; exit 1;;`,
  );
  const [, , , agents, cas] = await examineCluster({ ...question, environment: { PATH } });
  assert.deepEqual([agents?.outcome, agents?.detail], ["failed", "HEALTHY PENDING"]);
  assert.deepEqual([cas?.outcome, cas?.detail], ["failed", 'Error from server (NotFound): cas "cas" not found']);
  assert.match(cas?.remedy ?? "", /kubectl provision cas cas -n scone-system/);
});

test("a cluster that does not answer ends the check", async (t) => {
  const PATH = withTools(t, `*) echo "connection refused" >&2; exit 1;;`);
  const findings = await examineCluster({ ...question, environment: { PATH } });
  assert.deepEqual(outcomes(findings), ["kubectl ok", "helm ok", "cluster failed"]);
  assert.equal(findings.at(-1)?.detail, "connection refused");
});
