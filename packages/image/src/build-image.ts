import { createHash, randomBytes } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TreeEntry } from "@vouchsafe/fileshield";
import { z } from "zod";
import { digestCopies, encryptedLayerEntries, plainLayerEntries, readCopies } from "./code-layer.ts";
import { obtainBaseLayer, obtainBaseRoot, PROGRAM_USER, resolveDebianBase } from "./debian-base.ts";
import { HOST_ARCHITECTURE, MEDIA_TYPES } from "./descriptor.ts";
import { DIVERSION_DIRECTORY, SEARCH_PATH } from "./executables.ts";
import { ImageError } from "./image-error.ts";
import { assertCopiedProgram, obtainIntegrity } from "./integrity-layer.ts";
import { isJavaKind } from "./java-base.ts";
import { compileJava } from "./java-code.ts";
import { type Layer, type LayerEntry, writeLayer } from "./layer.ts";
import { cacheKey, writeWhole } from "./layer-cache.ts";
import { type LocalRepository, openLocalRepository } from "./local-repository.ts";
import { CODE_PROTECTION_FILE, LAUNCHER_PATH, METADATA_LABEL, type ServiceMetadata } from "./metadata.ts";
import { METADATA_ANNOTATION, metadataEntries, metadataFiles, renderServiceJson } from "./metadata-layer.ts";
import type { BuildPlan, BuildSettings, BuiltImage } from "./plan.ts";
import { protectionOfCode } from "./protection.ts";
import { INSTALLER_PACKAGES, obtainRequirementsLayer, parseRequirements, readLock } from "./requirements.ts";
import { obtainRunLayer } from "./run-layer.ts";
import { obtainRuntimeLayers } from "./runtime-layer.ts";
import { renderSbom, SBOM_FILE } from "./sbom.ts";
import { obtainSigningKey } from "./signing.ts";

const KEY_BYTES = 32;

/** What a finished build remembers, so that an unchanged one does no work. Holds the code key: mode 0600. */
const BuildRecord = z.strictObject({
  inputs: z.string(),
  digest: z.string(),
  codeKey: z.string().optional(),
  tag: z.string().optional(),
  serviceJson: z.string(),
  lock: z.string().optional(),
  bytes: z.number(),
});
type BuildRecord = z.infer<typeof BuildRecord>;

const hashFile = async (path: string): Promise<string> =>
  createHash("sha256")
    .update(await readFile(path))
    .digest("hex");

/** Everything that decides the image, but the code key. */
async function hashInputs(plan: BuildPlan, settings: BuildSettings, copies: readonly TreeEntry[], signer: string): Promise<string> {
  const { metadata, copy, requirements, ...rest } = plan;
  const bundle = await hashFile(settings.runtimeBundle).catch((cause: unknown) => {
    throw new ImageError("E-FILE-MISSING", `the bundled runtime ${settings.runtimeBundle} cannot be read`, {
      cause,
      remedy: "Build it with node scripts/bundle-runtime.ts.",
    });
  });
  const targets = copy.map(({ target }) => target);
  const inputs = [
    "with list of contents",
    rest,
    // Not the lock: the first build writes it, and the second, which has it, would look like a changed one.
    requirements?.text ?? null,
    targets,
    [...metadataFiles(metadata)],
    digestCopies(copies),
    bundle,
    signer,
    settings.platformVersion,
    settings.codeKeyWrap?.recipient ?? null,
    process.version,
  ];
  return cacheKey(inputs);
}

const recordFile = (cacheDir: string, plan: BuildPlan): string => join(cacheDir, "builds", `${cacheKey([plan.reference])}.json`);

async function findRecord(file: string): Promise<BuildRecord | undefined> {
  const text = await readFile(file, "utf8").catch(() => undefined); // no build of this name yet
  return text === undefined ? undefined : BuildRecord.safeParse(JSON.parse(text)).data;
}

/** Whether what an earlier build installed is what the plan's lock asks for. A lock of other requirements asks for nothing. */
function followsLock({ requirements }: BuildPlan, installed: string | undefined): boolean {
  if (requirements?.lock === undefined) return true;
  const locked = readLock(requirements.lock, parseRequirements(requirements.text));
  return locked === undefined || requirements.lock === installed;
}

/** Words by which users start the interpreter of a kind: the launcher stands at their place (MF-68). */
const interpreterOf = ({ kind }: BuildPlan): readonly string[] => {
  if (kind === "python") return ["python3"];
  return isJavaKind(kind) ? ["java"] : [];
};

const directoryEntries = (path: string): LayerEntry[] => {
  const parts = path.split("/").filter((part) => part !== "");
  return parts.map((_, index): LayerEntry => ({ kind: "directory", path: `/${parts.slice(0, index + 1).join("/")}`, mode: 0o755 }));
};

/**
 * Builds the image of a plan into the local repository. Deterministic: the same plan, files and code key give the same digest, from an empty cache
 * too (MF-61). Without a change since the last build it does no work and says so. Throws `ImageError`s.
 * An abort leaves finished steps in the cache and no image.
 */
export async function buildImage(plan: BuildPlan, settings: BuildSettings): Promise<BuiltImage> {
  if (plan.base.kind !== "debian") {
    throw new ImageError("E-BUILD-KIND", `images on the base ${plan.base.reference} cannot be built in this release`, {
      field: "build.from",
      remedy: "Leave build.from out: the base is assembled from Debian packages.",
    });
  }
  const { cacheDir, signal } = settings;
  const report = settings.progress ?? (() => {});
  const repository = openLocalRepository(settings.repositoryDir);
  const signingKey = await obtainSigningKey(settings.signingKeyFile);
  const copies = await readCopies(plan.copy, plan.copyRoot ?? process.cwd());
  const inputs = await hashInputs(plan, settings, copies, await hashFile(settings.signingKeyFile));
  const file = recordFile(cacheDir, plan);
  const last = await findRecord(file);
  const hasKey = settings.codeKey === undefined || settings.codeKey === last?.codeKey;
  const isSame = last !== undefined && last.inputs === inputs && hasKey && followsLock(plan, last.lock);
  if (isSame && (await repository.find(plan.reference)) === last.digest && (await repository.isComplete(plan.reference))) {
    report({ step: "image", state: "cached", detail: last.digest });
    return result(plan, settings, last, true);
  }

  const step = async <T extends { cached: boolean }>(name: Parameters<typeof report>[0]["step"], action: () => Promise<T>): Promise<T> => {
    signal?.throwIfAborted();
    report({ step: name, state: "started" });
    const outcome = await action();
    report({ step: name, state: outcome.cached ? "cached" : "done" });
    return outcome;
  };
  // Installers are no part of the image, whoever asks for them.
  const basePackages = plan.base.packages.filter((name) => !INSTALLER_PACKAGES.includes(name));
  const { base } = await resolveDebianBase(cacheDir, { names: basePackages, suite: plan.base.suite }, signal);
  const programs = [...new Set([...interpreterOf(plan), plan.command[0] ?? ""])].sort();
  const [runtime, bottom] = await Promise.all([
    step("runtime", () => obtainRuntimeLayers(cacheDir, repository, settings.runtimeBundle, { nodeBinary: settings.nodeBinary, signal })),
    step("base", () => obtainBaseLayer(cacheDir, repository, base, programs, signal)),
  ]);
  const { requirements } = plan;
  const installed =
    requirements === undefined
      ? undefined
      : await step("requirements", () =>
          obtainRequirementsLayer({
            ...{ cacheDir, repository, base, basePackages, signal },
            requirements: parseRequirements(requirements.text),
            lock: requirements.lock,
          }),
        );
  const compiled = isJavaKind(plan.kind)
    ? await step("compile", async () => ({
        ...(await compileJava({ cacheDir, root: await obtainBaseRoot(cacheDir, base, signal), plan, copies, signal })),
        cached: false,
      }))
    : undefined;
  const brought = compiled?.entries ?? copies;
  const ran =
    plan.run.length === 0
      ? undefined
      : await step("run", async () => {
          const root = await obtainBaseRoot(cacheDir, base, signal);
          return obtainRunLayer({
            cacheDir,
            repository,
            root,
            installed: installed?.directory,
            plan,
            copies: brought,
            inputs: [base.key, installed?.layer.diffId],
            signal,
          });
        });
  const below = [
    bottom.layer,
    ...runtime.layers,
    ...(installed === undefined ? [] : [installed.layer]),
    ...(ran === undefined ? [] : [ran.layer]),
  ];
  const code = ran === undefined ? brought : ran.copies;
  const confidential = code.filter(({ path }) => protectionOfCode(plan, path) === "encrypted");
  const plain = code.filter(({ path }) => protectionOfCode(plan, path) !== "encrypted");
  const integrity = await obtainIntegrity(cacheDir, repository, plan, {
    below,
    plain,
    targets: compiled?.targets ?? plan.copy.map(({ target }) => target),
  });
  if (!integrity.hasProgram) assertCopiedProgram(plan, code);

  const hasSecrets = confidential.some(({ kind }) => kind === "file");
  const codeKey = hasSecrets
    ? Uint8Array.fromHex(settings.codeKey ?? (isSame ? last.codeKey : undefined) ?? randomBytes(KEY_BYTES).toString("hex"))
    : undefined;
  const { regions } = integrity;
  report({ step: "code", state: "started" });
  const workingDirectory = directoryEntries(plan.workingDirectory);
  const protectedCode = codeKey === undefined ? undefined : encryptedLayerEntries(confidential, codeKey, regions);
  const clear = plainLayerEntries(protectedCode === undefined ? code : plain);
  const codeEntries = new Map([...clear, ...(protectedCode?.entries ?? []), ...workingDirectory].map((entry) => [entry.path, entry]));
  const codeLayer = await writeLayer(repository, [...codeEntries.values()], { level: 3 });
  report({ step: "code", state: "done" });

  const texts = metadataFiles(plan.metadata);
  texts.set(SBOM_FILE, renderSbom({ name: plan.name, platformVersion: settings.platformVersion }, base.packages, installed?.lock));
  const hostPaths = (plan.protection ?? []).filter(({ field }) => field === "build.host_paths").map(({ path }) => path);
  const service: Omit<ServiceMetadata, "files"> = {
    format: 1,
    platformVersion: settings.platformVersion,
    name: plan.name,
    kind: plan.kind,
    mode: plan.mode,
    command: [...plan.command],
    workingDirectory: plan.workingDirectory,
    user: { ...PROGRAM_USER },
    environment: {},
    searchPath: [...SEARCH_PATH],
    diversions: bottom.diverted.map((path) => ({ path, original: `${DIVERSION_DIRECTORY}${path}` })),
    runtimeSettings: { ...plan.runtimeSettings },
    ...(protectedCode === undefined ? {} : { fileSystem: { path: CODE_PROTECTION_FILE, tag: protectedCode.tag } }),
    regions: regions.map(({ path, protection, digest }) => ({
      path,
      protection,
      ...(digest === undefined ? {} : { digest: digest.toHex() }),
    })),
    ...(hostPaths.length === 0 ? {} : { hostPaths }),
    ...(codeKey === undefined || settings.codeKeyWrap === undefined ? {} : { wrappedCodeKey: settings.codeKeyWrap.wrap(codeKey) }),
    volumes: plan.volumes.map((volume) => ({ ...volume })),
    ...(plan.stable === undefined ? {} : { stable: { ...plan.stable } }),
    aliases: [...plan.aliases],
    packages: base.packages.map(({ name, version, sha256 }) => ({ name, version, sha256 })),
    lock: installed === undefined ? [] : installed.lock.split("\n").filter((line) => line !== ""),
  };
  const serviceJson = renderServiceJson(service, texts);
  const metadata = await writeLayer(repository, metadataEntries(serviceJson, texts, signingKey), {
    level: 3,
    annotations: METADATA_ANNOTATION,
  });
  report({ step: "metadata", state: "done" });
  const layers = [...below, integrity.layer, codeLayer, metadata];
  const manifest = await writeManifest(repository, plan, layers, serviceJson);
  await repository.name(plan.reference, manifest);
  report({ step: "image", state: "done", detail: manifest.digest });
  const record: BuildRecord = {
    inputs,
    digest: manifest.digest,
    ...(codeKey === undefined ? {} : { codeKey: codeKey.toHex() }),
    ...(protectedCode === undefined ? {} : { tag: protectedCode.tag }),
    serviceJson,
    ...(installed === undefined ? {} : { lock: installed.lock }),
    bytes: layers.reduce((sum, { descriptor }) => sum + descriptor.size, 0),
  };
  await mkdir(join(cacheDir, "builds"), { recursive: true, mode: 0o700 });
  await writeWhole(file, JSON.stringify(record), 0o600);
  return result(plan, settings, record, false);
}

function result(plan: BuildPlan, settings: BuildSettings, record: BuildRecord, unchanged: boolean): BuiltImage {
  const { digest, codeKey, tag, serviceJson, lock, bytes } = record;
  return { reference: plan.reference, digest, layoutDir: settings.repositoryDir, codeKey, tag, serviceJson, lock, unchanged, bytes };
}

/** Config and manifest: no date, no builder, nothing of this machine (hazard G7). */
async function writeManifest(repository: LocalRepository, plan: BuildPlan, layers: readonly Layer[], serviceJson: string) {
  const label = createHash("sha256").update(serviceJson).digest("hex");
  const config = await repository.putDocument(MEDIA_TYPES.config, {
    architecture: HOST_ARCHITECTURE,
    os: "linux",
    config: {
      Env: [`PATH=${SEARCH_PATH.join(":")}`],
      Entrypoint: plan.startsWith?.entrypoint ?? [LAUNCHER_PATH],
      ...(plan.startsWith === undefined ? {} : { Cmd: plan.startsWith.command }),
      WorkingDir: plan.workingDirectory,
      Labels: { [METADATA_LABEL]: label, "org.opencontainers.image.title": plan.name },
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
  });
  return repository.putDocument(MEDIA_TYPES.manifest, {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config,
    layers: layers.map(({ descriptor }) => descriptor),
  });
}
