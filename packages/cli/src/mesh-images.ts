import { createHash, createPrivateKey, createPublicKey } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import {
  buildImage,
  defaultCacheDir,
  defaultRepositoryDir,
  ImageError,
  type ImageMetadata,
  LOCAL_REGISTRY,
  openLocalRepository,
  parseImageReference,
  planCuratedImage,
  pullImage,
  pushImage,
  readImageMetadata,
  relocateImage,
  targetKey,
} from "@vouchsafe/image";
import {
  Findings,
  MANIFEST_CODES,
  type MeshImage,
  type MeshManifest,
  type MeshService,
  readNamedFile,
  relocatedReference,
} from "@vouchsafe/mesh";
import type { ClientIdentity } from "./client-identity.ts";
import { unwrapCodeKey } from "./code-key-wrap.ts";
import { hasFlag } from "./command-spec.ts";
import type { ApplyContext } from "./commands/apply-context.ts";
import type { Progress } from "./progress.ts";
import { obtainRuntimeBundle } from "./runtime-bundle.ts";
import type { TargetDirectory } from "./target-directory.ts";

/** Where images and their keys are looked for. */
export interface ImageSources {
  readonly target: TargetDirectory;
  /** Take what the local store has, without asking a registry. */
  readonly noPull: boolean;
  readonly identity: ClientIdentity;
  readonly context: ApplyContext;
  readonly progress: Progress;
}

/** The image of every service of a mesh with its metadata: from the local store, from a registry, or, for curated images, built on demand. */
export async function obtainMeshImages(mesh: MeshManifest, sources: ImageSources): Promise<ReadonlyMap<string, MeshImage>> {
  const { context } = sources;
  const findings = new Findings();
  const images = new Map<string, MeshImage>();
  for (const service of mesh.services) {
    const overrides = readOverrides(service, context, findings);
    try {
      const metadata = await obtainImageMetadata(service.image.text, sources);
      const codeKey = await findCodeKey(metadata, sources);
      images.set(service.name, {
        ...(await relocate(service.image.text, metadata, mesh, sources)),
        layoutDir: repositoryDirectory(context),
        service: metadata.service,
        files: metadata.files,
        overrides,
        ...(codeKey === undefined ? {} : { codeKey }),
      });
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      const code = MANIFEST_CODES.find((each) => each === error.code) ?? "E-IMAGE-PULL";
      findings.add(service.image.at, code, error.message, error.remedy === undefined ? {} : { hint: error.remedy });
    }
  }
  context.report.add(findings.list());
  return images;
}

/** The image that the chart names: the one of the mesh, or its copy where `repo` asks for one (MF-68a). A dry run pushes nothing. */
async function relocate(
  reference: string,
  { digest }: ImageMetadata,
  { repo }: MeshManifest,
  { target, context, progress }: ImageSources,
): Promise<{ reference: string; digest: string }> {
  if (repo === undefined || repo.configId !== undefined || hasFlag(context.options, "print-defaults")) return { reference, digest };
  const { shell } = context;
  const copy = relocatedReference(repo.destination, reference);
  const repository = openLocalRepository(repositoryDirectory(context));
  const signingKeyFile = repo.keyFile === undefined ? target.file("identity.pem") : resolve(shell.directory, repo.keyFile.text);
  const copied = await progress.run(`Copy as ${copy}`, () =>
    relocateImage(repository, reference, { target: copy, strip: repo.strip, squash: repo.squash, signingKeyFile }),
  );
  const isPushed = repo.push && !hasFlag(context.options, "dry-run") && parseImageReference(copy).registry !== LOCAL_REGISTRY;
  if (isPushed) await progress.run(`Push to ${copy}`, () => pushImage(repository, copy));
  return { reference: copy, digest: copied };
}

const repositoryDirectory = ({ shell }: ApplyContext): string => defaultRepositoryDir(shell.environment as NodeJS.ProcessEnv); // the same mapping, read only

/** The code key of an image: from the build in this target directory, else from the image, where this client built it (MF-59). */
export async function findCodeKey(
  { reference, digest, service }: ImageMetadata,
  { target, identity }: ImageSources,
): Promise<string | undefined> {
  const key = targetKey(reference);
  const [code, image] = [await target.read("services", key, "code.key"), await target.read("services", key, "image.txt")];
  // The key belongs to the build whose digest stands beside it.
  if (code !== undefined && image?.trim().endsWith(`@${digest}`) === true) return code.trim();
  return service.wrappedCodeKey === undefined ? undefined : unwrapCodeKey(identity, service.wrappedCodeKey);
}

/** The checked metadata of an image that was built elsewhere or before. Throws `ImageError`s. */
export async function obtainImageMetadata(reference: string, { target, noPull, context, progress }: ImageSources): Promise<ImageMetadata> {
  const directory = repositoryDirectory(context);
  const isLocal = parseImageReference(reference).registry === LOCAL_REGISTRY;
  const repository = openLocalRepository(directory);
  const curated = isLocal && reference.startsWith(`${context.platformRepository}/`) ? planCuratedImage(reference) : undefined;
  if (curated !== undefined) await buildCurated(curated, directory, context, progress);
  else if (!isLocal && !noPull && !isPlatformKept(reference, context)) {
    await progress.run(`Image ${reference}`, () => pullImage(repository, reference));
  }
  const metadata = await readImageMetadata(directory, reference);
  const accepted = acceptedSigners(target, directory, context);
  if (!accepted.has(metadata.signer)) {
    throw new ImageError(
      "E-META-SIGNATURE",
      `the metadata of ${reference} is signed by the key ${metadata.signer}, which is not accepted`,
      {
        remedy: "Build the image in this target directory, or list the key in trusted-image-keys of the client configuration directory.",
      },
    );
  }
  return metadata;
}

/** `SCONECTL_NOPULL`: platform images are taken from the local store. */
function isPlatformKept(reference: string, { shell, platformRepository, report }: ApplyContext): boolean {
  if (shell.environment["SCONECTL_NOPULL"] === undefined || !reference.startsWith(`${platformRepository}/`)) return false;
  report.warn("W-NOPULL", `SCONECTL_NOPULL is set: nothing is pulled, ${reference} is taken from the local store`);
  return true;
}

async function buildCurated(
  plan: NonNullable<ReturnType<typeof planCuratedImage>>,
  directory: string,
  context: ApplyContext,
  progress: Progress,
): Promise<void> {
  const { shell } = context;
  const name = `Curated image ${plan.name}`;
  const runtimeBundle = await obtainRuntimeBundle(shell.environment);
  await progress.run(
    name,
    () =>
      buildImage(
        { ...plan, mode: "production" },
        {
          cacheDir: defaultCacheDir(shell.environment as NodeJS.ProcessEnv), // the same mapping, read only
          repositoryDir: directory,
          runtimeBundle,
          signingKeyFile: platformKeyFile(directory),
          platformVersion: context.platformVersion,
          signal: shell.signal,
          progress: ({ step, state }) => progress.detail(1, `  ${step}: ${state}`),
        },
      ),
    ({ unchanged }) => (unchanged ? "unchanged" : undefined),
  );
}

/** Key of the curated images that this machine builds for itself. */
const platformKeyFile = (repositoryDir: string): string => join(dirname(repositoryDir), "platform-images.pem");

/** Hashes of accepted signers (MF-66): this target's key, the platform's, and those of the client configuration. */
function acceptedSigners(target: TargetDirectory, repositoryDir: string, { shell, report: _report }: ApplyContext): ReadonlySet<string> {
  const fromFiles = [target.file("identity.pem"), platformKeyFile(repositoryDir)].flatMap((file) =>
    existsSync(file) ? [signerOf(readFileSync(file, "utf8"))] : [],
  );
  const list = join(shell.casConfig, "trusted-image-keys");
  const listed = existsSync(list)
    ? readFileSync(list, "utf8")
        .split("\n")
        .map((line) => line.replace(/#.*/, "").trim())
        .filter((line) => line !== "")
    : [];
  return new Set([...fromFiles, ...listed]);
}

const signerOf = (pem: string): string =>
  createHash("sha256")
    .update(createPublicKey(createPrivateKey(pem)).export({ type: "spki", format: "der" }))
    .digest("hex");

/** Files that the mesh names in place of parts of an image. */
function readOverrides(service: MeshService, context: ApplyContext, findings: Findings): MeshImage["overrides"] {
  const read = (path: MeshService["env"]): string | undefined => {
    if (path === undefined) return undefined;
    const { manifest, diagnostics } = readNamedFile(path, context.shell.directory);
    for (const diagnostic of diagnostics) findings.push(diagnostic);
    if (manifest !== undefined) context.sources.set(path.text, manifest);
    return manifest;
  };
  const secrets = read(service.imageSecrets);
  const policy = read(service.imagePolicy);
  const environment = read(service.env);
  const chart = service.helmChart === undefined ? undefined : readChart(resolve(context.shell.directory, service.helmChart.text));
  return {
    ...(secrets === undefined ? {} : { secrets }),
    ...(policy === undefined ? {} : { policy }),
    ...(environment === undefined ? {} : { environment }),
    ...(chart === undefined ? {} : { chart }),
  };
}

function readChart(directory: string): ReadonlyMap<string, string> {
  if (!existsSync(directory) || !statSync(directory).isDirectory()) return new Map();
  const files = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(files.map((file) => [relative(directory, file), readFileSync(file, "utf8")]));
}
