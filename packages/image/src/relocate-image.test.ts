import assert from "node:assert/strict";
import { createHash, createPublicKey } from "node:crypto";
import { existsSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { HOST_ARCHITECTURE, MEDIA_TYPES } from "./descriptor.ts";
import { type LayerEntry, writeLayer } from "./layer.ts";
import { LocalRepository } from "./local-repository.ts";
import { METADATA_LABEL, type ServiceMetadata } from "./metadata.ts";
import { METADATA_ANNOTATION, metadataEntries, renderServiceJson } from "./metadata-layer.ts";
import { readImageMetadata } from "./read-metadata.ts";
import { relocateImage } from "./relocate-image.ts";
import { obtainSigningKey, signerOf } from "./signing.ts";
import { temporaryDirectory } from "./testing/small-image.ts";
import { unpackImage } from "./unpack.ts";

const REFERENCE = "vouchsafe.local/relocated:1";
const SERVICE: Omit<ServiceMetadata, "files"> = {
  ...{ format: 1, platformVersion: "test", name: "shop", kind: "python", mode: "production", command: ["/bin/run"] },
  ...{ workingDirectory: "/", user: { uid: 1000, gid: 1000 }, environment: {}, searchPath: ["/bin"], diversions: [] },
  ...{ runtimeSettings: {}, regions: [], volumes: [], aliases: [], packages: [], lock: [] },
};

/** An image of two layers, of which the second hides a file of the first, and metadata with a policy template. */
async function image(context: TestContext) {
  const directory = temporaryDirectory(context);
  const repository = new LocalRepository(join(directory, "images"));
  const keyFile = join(directory, "identity.pem");
  const file = (path: string, text: string, mode = 0o644): LayerEntry => ({
    kind: "file",
    path,
    mode,
    content: new TextEncoder().encode(text),
  });
  const one = await writeLayer(
    repository,
    [file("/bin/run", "#!", 0o711), file("/etc/old", "old"), { kind: "link", path: "/l", target: "/bin/run" }],
    { level: 3 },
  );
  const two = await writeLayer(repository, [{ kind: "whiteout", path: "/etc/old" }, file("/etc/new", "new")], { level: 3 });
  const texts = new Map([["policy.yaml.template", "name: a policy for meshes"]]);
  const serviceJson = renderServiceJson(SERVICE, texts);
  const three = await writeLayer(repository, metadataEntries(serviceJson, texts, await obtainSigningKey(keyFile)), {
    level: 3,
    annotations: METADATA_ANNOTATION,
  });
  const layers = [one, two, three];
  const config = await repository.putDocument(MEDIA_TYPES.config, {
    architecture: HOST_ARCHITECTURE,
    os: "linux",
    config: { Entrypoint: ["/bin/run"], Labels: { [METADATA_LABEL]: createHash("sha256").update(serviceJson).digest("hex"), kept: "yes" } },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  });
  const manifest = await repository.putDocument(MEDIA_TYPES.manifest, {
    ...{ schemaVersion: 2, mediaType: MEDIA_TYPES.manifest, config },
    layers: layers.map(({ descriptor }) => descriptor),
  });
  await repository.name(REFERENCE, manifest);
  return { directory, repository, keyFile, digest: manifest.digest };
}

test("a copy without changes has the same digest under another name", async (context) => {
  const { repository, keyFile, digest } = await image(context);
  const target = "vouchsafe.local/copies/relocated:1";
  const plain = { target, strip: false, squash: false, signingKeyFile: keyFile };
  assert.equal((await repository.read(REFERENCE))?.digest, digest);
  const copy = await relocateImage(repository, REFERENCE, plain);
  assert.equal(copy, digest);
  assert.equal(await repository.find(target), digest);
});

test("strip leaves what a start needs, signed by the given key; the original stays as it was", async (context) => {
  const { directory, repository, digest } = await image(context);
  const target = "vouchsafe.local/copies/stripped:1";
  const signingKeyFile = join(directory, "other.pem");
  const relocation = { target, strip: true, squash: false, signingKeyFile };
  const copy = await relocateImage(repository, REFERENCE, relocation);
  assert.notEqual(copy, digest);
  assert.equal(await relocateImage(repository, REFERENCE, relocation), copy, "deterministic");
  const { service, files, signer } = await readImageMetadata(repository.directory, target);
  assert.equal(service.name, "shop");
  assert.equal(files.size, 0);
  assert.equal(signer, signerOf(createPublicKey(await obtainSigningKey(signingKeyFile))));
  const config = (await repository.read(target))?.config.config;
  assert.deepEqual(config?.Entrypoint, ["/bin/run"]);
  assert.equal(config?.Labels?.["kept"], "yes");
  assert.equal(await repository.find(REFERENCE), digest);
  assert.equal((await readImageMetadata(repository.directory, REFERENCE)).files.size, 1);
});

test("squash merges the layers: what the upper ones hide is gone, modes and links stay", async (context) => {
  const { directory, repository, keyFile } = await image(context);
  for (const strip of [true, false]) {
    const target = `vouchsafe.local/copies/squashed:${strip}`;
    await relocateImage(repository, REFERENCE, { target, strip, squash: true, signingKeyFile: keyFile });
    assert.equal((await repository.read(target))?.manifest.layers.length, 2, "files, and metadata");
    const root = join(directory, `root-${strip}`);
    await unpackImage(repository.directory, target, root);
    assert(!existsSync(join(root, "etc/old")));
    assert.equal(readFileSync(join(root, "etc/new"), "utf8"), "new");
    assert.equal(readlinkSync(join(root, "l")), "/bin/run");
    assert.equal(statSync(join(root, "bin/run")).mode & 0o777, 0o711);
    assert.equal(existsSync(join(root, "vouchsafe/mesh/policy.yaml.template")), !strip);
    assert.equal((await readImageMetadata(repository.directory, target)).service.name, "shop");
  }
});

test("an image that is not here is E-IMAGE-PULL; a key that cannot sign is E-SIGN-KEY", async (context) => {
  const { directory, repository } = await image(context);
  const relocation = { target: "vouchsafe.local/x:1", strip: true, squash: false, signingKeyFile: join(directory, "images/index.json") };
  await assert.rejects(relocateImage(repository, "vouchsafe.local/none:1", relocation), { code: "E-IMAGE-PULL" });
  await assert.rejects(relocateImage(repository, REFERENCE, relocation), { code: "E-SIGN-KEY" });
});
