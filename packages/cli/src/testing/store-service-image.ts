import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { targetKey } from "@vouchsafe/image";
import { planService, readServiceManifest } from "@vouchsafe/mesh";
import { HOST_ARCHITECTURE, MEDIA_TYPES } from "../../../image/src/descriptor.ts";
import { writeLayer } from "../../../image/src/layer.ts";
import { LocalRepository } from "../../../image/src/local-repository.ts";
import { METADATA_LABEL } from "../../../image/src/metadata.ts";
import { METADATA_ANNOTATION, metadataEntries, metadataFiles, renderServiceJson } from "../../../image/src/metadata-layer.ts";
import { obtainSigningKey } from "../../../image/src/signing.ts";
import type { CliWorkplace } from "./run-cli.ts";

/** A key that must be found nowhere but in `code.key` and in the signed policy. */
export const CODE_KEY = "c0de5ec7".repeat(8);

/** Stores an image that has the metadata of a service manifest and nothing else, signed with the key of the workplace's target directory. */
export async function storeServiceImage(
  place: CliWorkplace,
  manifestText: string,
  options: { readonly encrypted?: boolean } = {},
): Promise<{ reference: string; digest: string }> {
  const { manifest } = readServiceManifest(manifestText, "service.yaml");
  const plan = manifest === undefined ? undefined : planService(manifest, { copy: [] }, { mode: "production" }).manifest;
  if (plan === undefined) throw new Error("the fixture is no service");
  mkdirSync(place.path("target"), { recursive: true });
  const signingKey = await obtainSigningKey(place.path("target", "identity.pem"));
  const repository = new LocalRepository(place.path("state", "vouchsafe", "images"));
  const files = metadataFiles(plan.metadata);
  const tag = "7a".repeat(16);
  const serviceJson = renderServiceJson(
    {
      ...{ format: 1, platformVersion: "test", name: plan.name, kind: "python", mode: "production", command: [...plan.command] },
      ...{
        workingDirectory: plan.workingDirectory,
        user: { uid: 65_532, gid: 65_532 },
        environment: {},
        searchPath: ["/usr/bin"],
        diversions: [],
      },
      ...{ runtimeSettings: {}, regions: [], volumes: [], aliases: [], packages: [], lock: [] },
      ...(options.encrypted === true ? { fileSystem: { path: "/vouchsafe/code.fspf", tag } } : {}),
    },
    files,
  );
  const layer = await writeLayer(repository, metadataEntries(serviceJson, files, signingKey), {
    level: 3,
    annotations: METADATA_ANNOTATION,
  });
  const label = createHash("sha256").update(serviceJson).digest("hex");
  const config = await repository.putDocument(MEDIA_TYPES.config, {
    architecture: HOST_ARCHITECTURE,
    os: "linux",
    config: { Labels: { [METADATA_LABEL]: label } },
    rootfs: { type: "layers", diff_ids: [layer.diffId] },
  });
  const stored = await repository.putDocument(MEDIA_TYPES.manifest, {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config,
    layers: [layer.descriptor],
  });
  await repository.name(plan.reference, stored);
  const directory = place.path("target", "services", targetKey(plan.reference));
  const kept: [string, string][] = [
    ["image.txt", `${plan.reference}@${stored.digest}\n`],
    ...(options.encrypted === true ? [["code.key", `${CODE_KEY}\n`] as [string, string]] : []),
  ];
  for (const [name, text] of kept) {
    mkdirSync(dirname(join(directory, name)), { recursive: true });
    writeFileSync(join(directory, name), text, { mode: 0o600 });
  }
  return { reference: plan.reference, digest: stored.digest };
}
