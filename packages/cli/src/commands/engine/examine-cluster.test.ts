import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { examineCluster } from "./examine-cluster.ts";

const question = { cas: "cas", casNamespace: "scone-system", namespace: undefined };
const outcomes = (findings: readonly { name: string; outcome: string }[]) => findings.map(({ name, outcome }) => `${name} ${outcome}`);

/** A directory with a kubectl and a helm that work, and a kubeconfig for an address where nothing listens. */
function withTools(t: { after: (action: () => void) => void }) {
  const directory = mkdtempSync(join(tmpdir(), "doctor-"));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const [tool, says] of [
    ["kubectl", "Client Version: v1.34.0"],
    ["helm", "v3.21.4"],
  ]) {
    writeFileSync(join(directory, tool ?? ""), `#!/bin/sh\necho ${says}\n`, { mode: 0o755 });
  }
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:9" } }],
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    users: [{ name: "u", user: {} }],
    "current-context": "c",
  };
  writeFileSync(join(directory, "kubeconfig"), JSON.stringify(config));
  return { PATH: `${directory}:/usr/bin:/bin`, HOME: directory, kubeconfig: join(directory, "kubeconfig") };
}

test("CL-82: without tools and without a kubeconfig each is told with its remedy", async () => {
  const findings = await examineCluster({ ...question, environment: { PATH: "/nowhere", HOME: "/nowhere" } });
  assert.deepEqual(outcomes(findings), ["kubectl failed", "helm failed", "cluster failed"]);
  assert.equal(findings[0]?.remedy, "Install kubectl.");
  assert.match(findings[2]?.remedy ?? "", /KUBECONFIG/);
});

test("a cluster that does not answer ends the check", async (t) => {
  const { PATH, HOME, kubeconfig } = withTools(t);
  const findings = await examineCluster({ ...question, environment: { PATH, HOME, KUBECONFIG: kubeconfig } });
  assert.deepEqual(outcomes(findings), ["kubectl ok", "helm ok", "cluster failed"]);
  assert.match(findings.at(-1)?.detail ?? "", /https:\/\/127\.0\.0\.1:9 does not answer/);
});
