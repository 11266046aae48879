import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type BuildPlan, type BuildSettings, buildImage, openLocalRepository, planCuratedImage, pushImage } from "@vouchsafe/image";

/** Images of the platform, by the names under which scripts look for them (CL-93 to CL-96), with the bundled program of each. */
const PROGRAMS: Readonly<Record<string, string>> = {
  operator: "operator.js",
  las: "las.js",
  cas: "cas.js",
  check_cpufeatures: "check_cpufeatures.js",
  // For init containers of application charts (MF-121).
  runtime: "check_cpufeatures.js",
  sconecli: "sconecli.js",
};
export const PLATFORM_PROGRAMS = Object.keys(PROGRAMS);
export const CURATED_IMAGES = ["redis"] as const;

export interface PublishedImage {
  readonly name: string;
  readonly reference: string;
  readonly digest: string;
}

export interface PublishSettings extends Omit<BuildSettings, "runtimeBundle"> {
  /** Directory with one bundled program for each platform image. */
  readonly programs: string;
  /** Bundled runtime of curated images. */
  readonly runtimeBundle: string;
  readonly repository: string;
  readonly tags: readonly string[];
  readonly log: (line: string) => void;
}

const WAIT_FOR = '#!/bin/sh\nexec /vouchsafe/bin/launcher wait-for "$@"\n';

/** Builds the named images and pushes each under every tag. What did not change is neither built nor sent again. */
export async function publishImages(names: readonly string[], settings: PublishSettings): Promise<readonly PublishedImage[]> {
  const published: PublishedImage[] = [];
  const scratch = join(settings.cacheDir, "platform");
  await mkdir(scratch, { recursive: true });
  await writeFile(join(scratch, "wait-for"), WAIT_FOR, { mode: 0o755 });
  for (const name of names) {
    const [tag = "latest", ...others] = settings.tags;
    const reference = `${settings.repository}/${name}:${tag}`;
    const isCurated = CURATED_IMAGES.some((curated) => curated === name);
    const plan = isCurated ? planCuratedImage(reference) : planPlatformImage(name, reference, scratch);
    if (plan === undefined) throw new TypeError(`no image is called ${name}`);
    const runtimeBundle = isCurated ? settings.runtimeBundle : join(settings.programs, PROGRAMS[name] ?? "");
    const { digest, unchanged } = await buildImage(plan, { ...settings, runtimeBundle });
    const repository = openLocalRepository(settings.repositoryDir);
    for (const target of [tag, ...others]) await pushImage(repository, reference, `${settings.repository}/${name}:${target}`);
    settings.log(`${reference}@${digest}${unchanged ? " (unchanged)" : ""}`);
    published.push({ name, reference, digest });
  }
  return published;
}

/** A platform image is the runtime layer with another program: the launcher starts it with a clean environment, as it starts every program. */
function planPlatformImage(name: string, reference: string, scratch: string): BuildPlan {
  const hasWaitFor = PROGRAMS[name] === PROGRAMS["runtime"];
  return {
    name,
    kind: "curated",
    reference,
    mode: "production",
    base: { kind: "debian", packages: [] },
    command: ["true"],
    workingDirectory: hasWaitFor ? "/vouchsafe/bin" : "/",
    copy: hasWaitFor ? [{ source: join(scratch, "wait-for"), target: "/vouchsafe/bin/wait-for" }] : [],
    copyRoot: scratch,
    run: [],
    encrypt: false,
    runtimeSettings: {},
    volumes: [],
    aliases: [],
    metadata: { policyTemplate: "", secretsTemplate: "", environment: "", chart: new Map() },
  };
}
