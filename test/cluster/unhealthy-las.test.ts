import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { eventually, openCluster, preparePlatform, ROOT, reasonNotToRun } from "./cluster.ts";
import { provideDocker } from "./container-engine.ts";
import { openTutorial } from "./tutorial.ts";

/** cli.md section 17, as `tutorial-scripts.test.ts`; the node agents are away meanwhile. */
test("AC-9: an unhealthy LAS passes the script's check by accident, but nothing starts, and the log says why", {
  timeout: 20 * 60_000,
}, async (t) => {
  const reason = reasonNotToRun();
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  const { directory, repository, environment, run } = cluster;
  await preparePlatform(cluster);
  const docker = await provideDocker(cluster);
  await cluster.addPullSecret("default");
  cluster.atEnd(() => run("helm", "uninstall", "-n", "default", "alone", "--ignore-not-found"));
  const images = ["-i", `${repository}/apps`];
  const unhealthy = await openTutorial("flask", directory, environment, docker);
  for (const name of ["api.py", "requirements.txt"])
    await cp(join(ROOT, "examples/patient-records", name), join(unhealthy.directory, name));
  // An image that cannot be pulled: a mistake that needs a person.
  const patchLas = (patch: object[]) => run("kubectl", "patch", "las", "las", "--type=json", "-p", JSON.stringify(patch));
  await patchLas([{ op: "add", path: "/spec/image", value: "registry.invalid/las:none" }]);
  try {
    await run("kubectl", "-n", "scone-system", "delete", "pods", "-l", "app.kubernetes.io/name=las", "--wait");
    await eventually("LAS is unhealthy", async () => (/ UNHEALTHY /.test(await run("kubectl", "get", "las")) ? true : undefined));
    const stop = new AbortController();
    let said = "";
    const onOutput = (text: string) => {
      said += text;
    };
    const running = unhealthy.runScript([...images, "-r", "alone"], {}, { signal: stop.signal, onOutput });
    const log = await eventually(
      "the log says why",
      async () => {
        const text = await run("kubectl", "-n", "default", "logs", "-l", "app.kubernetes.io/name=redis,app.kubernetes.io/instance=alone");
        return /node agent/.test(text) ? text : undefined;
      },
      300_000,
    );
    await eventually("the script has passed its own check", async () => /STATUS: deployed/.test(said) || undefined);
    stop.abort(); // it would wait for 155 s
    await running;
    assert.doesNotMatch(log, /started after/);
  } finally {
    await patchLas([{ op: "remove", path: "/spec/image" }]);
  }
  return undefined;
});
