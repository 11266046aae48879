import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openLocalRepository, pushImage } from "@vouchsafe/image";
import { Cluster } from "@vouchsafe/kubernetes";
import { packArchive, storeImage } from "../../../../image/src/testing/small-image.ts";
import { REGISTRY_PASSWORD, startRegistry } from "../../../../image/src/testing/start-registry.ts";
import { missingForApiServer, startApiServer } from "../../../../kubernetes/src/testing/api-server.ts";
import { parseOptions } from "../../parse-options.ts";
import type { Shell } from "../../shell.ts";
import { init } from "./init.ts";
import { INIT } from "./kubernetes-spec.ts";

const OPERATOR = { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "vouchsafe-operator", namespace: "scone-system" } };
interface Operator {
  readonly metadata: { readonly generation: number };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly containers: readonly [
          { readonly image: string; readonly env: readonly { readonly name: string; readonly value?: string }[] },
        ];
      };
    };
  };
}

test("init replaces operator and agents when the image behind their tag changed, and only then; without the registry what runs stays", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const directory = mkdtempSync(join(tmpdir(), "init-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const server = await startApiServer();
  t.after(() => server.stop());
  const registry = await startRegistry();
  t.after(() => registry[Symbol.dispose]());
  const auth = Buffer.from(`builder:${REGISTRY_PASSWORD}`).toString("base64");
  writeFileSync(join(directory, "config.json"), JSON.stringify({ auths: { [registry.host]: { auth } } }));
  writeFileSync(join(directory, "kubeconfig"), server.kubeconfig);
  process.env["DOCKER_CONFIG"] = directory;
  t.after(() => delete process.env["DOCKER_CONFIG"]);

  const publish = async (name: string, content: string): Promise<string> => {
    const reference = `${registry.host}/platform/${name}:1`;
    await storeImage(join(directory, "images"), reference, [await packArchive([[{ name: "program" }, content]])]);
    return `${reference}@${await pushImage(openLocalRepository(join(directory, "images")), reference, reference)}`;
  };
  const notes: string[] = [];
  const shell: Shell = {
    ...{ program: "vouchsafe", directory, casConfig: join(directory, "cas"), colour: false, isTerminal: false, isOutTerminal: false },
    environment: { HOME: directory, KUBECONFIG: join(directory, "kubeconfig"), SCONECTL_REPO: `${registry.host}/platform`, VERSION: "1" },
    out: () => {},
    outBytes: () => {},
    note: (text) => notes.push(text),
    readInput: async () => new Uint8Array(),
    signal: new AbortController().signal,
  };
  const cluster = new Cluster(server.config);
  /** Runs the command and says what the operator's Deployment wants then. */
  const initialise = async () => {
    notes.length = 0;
    assert.equal(await init(parseOptions(INIT.options, ["--no-wait"], { maxOperands: 0 }), shell), 0);
    const { metadata, spec } = (await cluster.find(OPERATOR)) as unknown as Operator; // as the API server keeps it
    const [{ image, env }] = spec.template.spec.containers;
    const variable = (name: string) => env.find((one) => one.name === name)?.value;
    return { generation: metadata.generation, operator: image, las: variable("VOUCHSAFE_LAS_IMAGE"), cas: variable("VOUCHSAFE_CAS_IMAGE") };
  };

  const before = await initialise();
  assert.deepEqual(
    [before.operator, before.las],
    ["operator", "las"].map((name) => `${registry.host}/platform/${name}:1`),
    "not published yet",
  );
  assert.match(notes.join("\n"), /warning: .*the nodes are given the tag /);

  const operator = await publish("operator", "first");
  const las = await publish("las", "first");
  const first = await initialise();
  assert.deepEqual({ ...first, generation: 0 }, { generation: 0, operator, las, cas: `${registry.host}/platform/cas:1` });
  assert.doesNotMatch(notes.join("\n"), /warning/);
  assert.deepEqual(await initialise(), first, "the same images: nothing is replaced");

  const newer = await publish("operator", "second");
  assert.notEqual(newer, operator);
  const second = await initialise();
  assert.deepEqual(second, { ...first, operator: newer, generation: first.generation + 1 });
  const agent = await publish("las", "second");
  assert.deepEqual(await initialise(), { ...second, las: agent, generation: second.generation + 1 }, "the operator brings the agents");

  registry[Symbol.dispose]();
  assert.deepEqual(await initialise(), { ...second, las: agent, generation: second.generation + 1 });
  assert.match(notes.join("\n"), /warning: .*what is installed stays: .*operator:1@sha256:/);
  return undefined;
});
