import assert from "node:assert/strict";
import { test } from "node:test";
import { KubeConfig } from "@kubernetes/client-node";
import { z } from "zod";
import { Cluster, ClusterError } from "../cluster/cluster.ts";
import { CUSTOM_RESOURCE_DEFINITIONS } from "../custom-resources/definitions.ts";
import { missingForApiServer, startApiServer } from "../testing/api-server.ts";
import { installDefinitions } from "./install-definitions.ts";

const Listed = z.object({ kind: z.string().endsWith("List"), items: z.array(z.unknown()) });
const patience = { timeoutMs: 60_000, signal: new AbortController().signal, log: () => undefined };
const pace = { intervalMs: 1, now: Date.now };
const definitions = CUSTOM_RESOURCE_DEFINITIONS.map((definition) => ({ ...definition }));

test("a definition that was just created, with conditions null, is waited for until its resources are really served", async (t) => {
  const [definition] = definitions;
  assert(definition !== undefined);
  const cluster = new Cluster(new KubeConfig());
  const applied = t.mock.method(cluster, "apply", async () => ({}));
  const established = { conditions: [{ type: "Established", status: "True" }] };
  const refused = { conditions: [{ type: "Established", status: "False" }] };
  const states: (object | undefined)[] = [undefined, {}, { conditions: null }, { conditions: [] }, refused, established];
  t.mock.method(cluster, "find", async () => ({ ...definition, status: states.length > 1 ? states.shift() : states[0] }));
  let notYet = 2;
  const read = t.mock.method(cluster, "read", async () => {
    if (notYet-- > 0) throw new ClusterError(404, "404 page not found");
    return {};
  });
  await installDefinitions(cluster, [definition], { ...patience, pace });
  assert.equal(applied.mock.callCount(), 1);
  assert.equal(read.mock.callCount(), 3);
  assert.match(String(read.mock.calls[0]?.arguments[0]), /^\/apis\/[a-z.]+\/v1beta1\/[a-z]+\?limit=1$/);
  assert.equal(states.length, 1);
});

test("a definition that the cluster does not take up is an error that says so", async (t) => {
  const [definition] = definitions;
  assert(definition !== undefined);
  const cluster = new Cluster(new KubeConfig());
  t.mock.method(cluster, "apply", async () => ({}));
  t.mock.method(cluster, "find", async () => ({ ...definition, status: { conditions: null } }));
  await assert.rejects(installDefinitions(cluster, [definition], { ...patience, timeoutMs: 20, pace }), {
    code: "E-CLUSTER",
    message: new RegExp(`the definition ${definition.metadata.name} did not become ready: it is not served yet`),
  });
});

test("CL-54: on a real API server every resource can be made at once after its definition was installed", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const server = await startApiServer();
  t.after(() => server.stop());
  const cluster = new Cluster(server.config);
  await installDefinitions(cluster, definitions, patience);
  for (const { metadata } of definitions) {
    const [plural = "", ...group] = metadata.name.split(".");
    const list = Listed.parse(await cluster.read(`/apis/${group.join(".")}/v1beta1/${plural}`));
    assert.deepEqual(list.items, [], plural);
  }
  await installDefinitions(cluster, definitions, patience);
  return undefined;
});
