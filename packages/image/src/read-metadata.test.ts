import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { HOST_ARCHITECTURE, MEDIA_TYPES } from "./descriptor.ts";
import { type LayerEntry, writeLayer } from "./layer.ts";
import { LocalRepository } from "./local-repository.ts";
import { METADATA_LABEL, type ServiceMetadata } from "./metadata.ts";
import { METADATA_ANNOTATION, metadataEntries, metadataFiles, renderServiceJson } from "./metadata-layer.ts";
import { readImageMetadata } from "./read-metadata.ts";
import { obtainSigningKey } from "./signing.ts";
import { packArchive, storeImage, temporaryDirectory } from "./testing/small-image.ts";

const REFERENCE = "vouchsafe.local/described:1";
const service: Omit<ServiceMetadata, "files"> = {
  ...{
    format: 1,
    platformVersion: "0",
    name: "described",
    kind: "python",
    mode: "production",
    command: ["python3"],
    workingDirectory: "/",
  },
  ...{
    user: { uid: 1, gid: 1 },
    environment: {},
    searchPath: [],
    diversions: [],
    runtimeSettings: {},
    regions: [],
    volumes: [],
    aliases: [],
    packages: [],
    lock: [],
  },
};
const texts = metadataFiles({
  policyTemplate: "policy",
  secretsTemplate: "[]",
  environment: "[]",
  chart: new Map([["values.yaml.template", "a: 1"]]),
});

/** An image that is nothing but metadata; `change` tampers with its files after they were signed, `label` with the label. */
async function describedImage(
  context: TestContext,
  change: (entries: LayerEntry[]) => LayerEntry[] = (entries) => entries,
  label?: string,
): Promise<string> {
  const directory = temporaryDirectory(context);
  const repository = new LocalRepository(directory);
  const serviceJson = renderServiceJson(service, texts);
  const entries = change(metadataEntries(serviceJson, texts, await obtainSigningKey(join(directory, "identity.pem"))));
  const layer = await writeLayer(repository, entries, { level: 3, annotations: METADATA_ANNOTATION });
  const hash = (text: string) => createHash("sha256").update(text).digest("hex");
  const changed = entries.find(({ path }) => path.endsWith("/service.json"));
  const found = changed?.kind === "file" && changed.content instanceof Uint8Array ? Buffer.from(changed.content).toString() : serviceJson;
  const config = await repository.putDocument(MEDIA_TYPES.config, {
    ...{ architecture: HOST_ARCHITECTURE, os: "linux" },
    config: { Labels: { [METADATA_LABEL]: label ?? hash(found) } },
    rootfs: { type: "layers", diff_ids: [layer.diffId] },
  });
  await repository.name(
    REFERENCE,
    await repository.putDocument(MEDIA_TYPES.manifest, {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.manifest,
      config,
      layers: [layer.descriptor],
    }),
  );
  return directory;
}
const replace = (name: string, edit: (text: string) => string) => (entries: LayerEntry[]) =>
  entries.map((entry) =>
    entry.kind === "file" && entry.path.endsWith(`/${name}`) && entry.content instanceof Uint8Array
      ? { ...entry, content: new TextEncoder().encode(edit(Buffer.from(entry.content).toString())) }
      : entry,
  );

test("MF-64 to MF-66: metadata comes back, with the key that signed it", async (context) => {
  const metadata = await readImageMetadata(await describedImage(context), REFERENCE);
  assert.equal(metadata.service.name, "described");
  assert.deepEqual([...metadata.files.keys()].sort(), [
    "chart/values.yaml.template",
    "env.yaml",
    "policy.yaml.template",
    "secrets.yaml.template",
  ]);
  assert.match(metadata.signer, /^[0-9a-f]{64}$/);
});

const tampered: readonly [rule: string, change: (entries: LayerEntry[]) => LayerEntry[], says: RegExp][] = [
  ["a changed policy template", replace("policy.yaml.template", () => "evil"), /policy\.yaml\.template was changed/],
  ["a changed chart", replace("values.yaml.template", (text) => `${text}\nb: 2`), /chart\/values\.yaml\.template was changed/],
  [
    "a changed service.json, label and all",
    replace("service.json", (text) => text.replace('"described"', '"other"')),
    /changed after it was signed by key [0-9a-f]{64}/,
  ],
  ["a missing file", (entries) => entries.filter(({ path }) => !path.endsWith("/env.yaml")), /env\.yaml is missing/],
  [
    "a further file",
    (entries) => [...entries, { kind: "file", path: "/vouchsafe/mesh/extra", mode: 0o644, content: new Uint8Array() }],
    /extra was changed/,
  ],
  ["no signature", (entries) => entries.filter(({ path }) => !path.endsWith("/signature.json")), /signature\.json is missing/],
  ["a signature that is none", replace("signature.json", () => "{}"), /signature\.json is missing or malformed/],
];
for (const [rule, change, says] of tampered) {
  test(`#150: ${rule} is E-META-SIGNATURE`, async (context) => {
    await assert.rejects(readImageMetadata(await describedImage(context, change), REFERENCE), { code: "E-META-SIGNATURE", message: says });
  });
}

test("#150: a label that names another service.json is E-META-SIGNATURE", async (context) => {
  const directory = await describedImage(context, undefined, "0".repeat(64));
  await assert.rejects(readImageMetadata(directory, REFERENCE), { code: "E-META-SIGNATURE", message: /label io\.vouchsafe\.mesh/ });
});

test("#149: an image without metadata is E-META-MISSING, an unknown one E-IMAGE-PULL", async (context) => {
  const directory = temporaryDirectory(context);
  await storeImage(directory, REFERENCE, [await packArchive([[{ name: "a" }, "x"]])]);
  await assert.rejects(readImageMetadata(directory, REFERENCE), { code: "E-META-MISSING", remedy: /image_policy/ });
  await assert.rejects(readImageMetadata(directory, "vouchsafe.local/none:1"), {
    code: "E-IMAGE-PULL",
    message: /vouchsafe\.local\/none:1/,
  });
});

test("two builds at once do not lose each other's entry, and the lock of a dead process is taken over", async (context) => {
  const directory = temporaryDirectory(context);
  const archive = await packArchive([[{ name: "a" }, "x"]]);
  const { pid } = spawnSync("true");
  writeFileSync(join(directory, ".lock"), String(pid));
  await Promise.all(Array.from({ length: 8 }, (_, index) => storeImage(directory, `vouchsafe.local/many:${index}`, [archive])));
  assert.equal((await new LocalRepository(directory).list()).length, 8);
});
