import assert from "node:assert/strict";
import { test } from "node:test";
import { openCluster, preparePlatform, reasonNotToRun } from "./cluster.ts";

/** The first file of the suite: what all others stand on. */
test("the platform is published and installed on a real Kubernetes, and its CAS has an owner", { timeout: 20 * 60_000 }, async (t) => {
  const reason = reasonNotToRun();
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  await preparePlatform(cluster);
  for (const kind of ["las", "sgxplugin", "cas"])
    assert.match(await cluster.run("kubectl", "get", kind, "-n", "scone-system"), / HEALTHY /);
  return undefined;
});
