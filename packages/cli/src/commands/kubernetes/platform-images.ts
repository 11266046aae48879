import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type BuildPlan,
  type BuildSettings,
  buildImage,
  curatedImages,
  type JavaKind,
  javaBase,
  openLocalRepository,
  planCuratedImage,
  pushImage,
} from "@vouchsafe/image";

/** What distinguishes an image of the platform from the bare runtime. */
interface PlatformImage {
  /** Bundled program that the runtime layer carries. */
  readonly program: string;
  /** Debian packages beside those of every base. */
  readonly packages?: readonly string[];
  /** Scripts that are added, by path. */
  readonly scripts?: Readonly<Record<string, string>>;
  /** Whether it holds the runtime's own bundle, with which it can build images. */
  readonly buildsImages?: boolean;
}

const WAIT_FOR = '#!/bin/sh\nexec /vouchsafe/bin/launcher wait-for "$@"\n';
const RUNTIME_BUNDLE = "/usr/local/share/vouchsafe/runtime.js";

/** The command line in its image: with the caller's environment, which the launcher would empty, and so with libraries of the base. */
const command = (program: string, word: string) => `#!/bin/sh
export VOUCHSAFE_RUNTIME_BUNDLE="\${VOUCHSAFE_RUNTIME_BUNDLE:-${RUNTIME_BUNDLE}}" VOUCHSAFE_PROGRAM=${program}
exec /vouchsafe/runtime/bin/node --disable-warning=ExperimentalWarning /vouchsafe/runtime/main.js ${word}"$@"
`;

/** Images of the platform, by the names under which scripts look for them (CL-93 to CL-96). */
const PLATFORM: Readonly<Record<string, PlatformImage>> = {
  operator: { program: "operator.js" },
  las: { program: "las.js" },
  cas: { program: "cas.js" },
  check_cpufeatures: { program: "check_cpufeatures.js" },
  // For init containers of application charts (MF-121).
  runtime: { program: "check_cpufeatures.js", scripts: { "/vouchsafe/bin/wait-for": WAIT_FOR } },
  sconecli: {
    program: "sconecli.js",
    packages: ["libatomic1", "libstdc++6"],
    scripts: {
      "/usr/local/bin/vouchsafe": command("vouchsafe", ""),
      "/usr/local/bin/sconectl": command("sconectl", ""),
      "/usr/local/bin/scone": command("scone", ""),
      "/usr/local/bin/kubectl-provision": command("sconectl", "provision "),
      ...Object.fromEntries(["apply", "genservice", "mesh"].map((word) => [`/usr/local/bin/${word}`, command("sconectl", `${word} `)])),
    },
    buildsImages: true,
  },
};

const javaImage = (kind: JavaKind) => ({ kind, base: javaBase(kind), command: ["java"] });
/** Bases of services: the layers that all images of their kind have in common, so that nodes can pull them ahead. */
const BASES: Readonly<Record<string, Pick<BuildPlan, "kind" | "base" | "command">>> = {
  python: { kind: "python", base: { kind: "debian", packages: ["python3"] }, command: ["python3"] },
  java17: javaImage("java17"),
  "java17-glibc": javaImage("java17"),
  java21: javaImage("java21"),
  "java21-ubuntu": javaImage("java21"),
};

/** Every image that `publish` knows, in the order in which it is made. */
export const PUBLISHED_IMAGES: readonly string[] = [...Object.keys(PLATFORM), ...Object.keys(BASES), ...curatedImages];

export interface PublishedImage {
  readonly name: string;
  readonly reference: string;
  readonly digest: string;
}

export interface PublishSettings extends Omit<BuildSettings, "runtimeBundle"> {
  /** Directory with one bundled program for each platform image. */
  readonly programs: string;
  /** Bundled runtime of bases and curated images. */
  readonly runtimeBundle: string;
  readonly repository: string;
  readonly tags: readonly string[];
  readonly log: (line: string) => void;
}

/** Builds the named images and pushes each under every tag. What did not change is neither built nor sent again. */
export async function publishImages(names: readonly string[], settings: PublishSettings): Promise<readonly PublishedImage[]> {
  const published: PublishedImage[] = [];
  for (const name of names) {
    const [tag = "latest", ...others] = settings.tags;
    const reference = `${settings.repository}/${name}:${tag}`;
    const { plan, bundle } = await planImage(name, reference, settings);
    const { digest, unchanged } = await buildImage(plan, { ...settings, runtimeBundle: bundle });
    const repository = openLocalRepository(settings.repositoryDir);
    for (const target of [tag, ...others]) await pushImage(repository, reference, `${settings.repository}/${name}:${target}`);
    settings.log(`${reference}@${digest}${unchanged ? " (unchanged)" : ""}`);
    published.push({ name, reference, digest });
  }
  return published;
}

async function planImage(name: string, reference: string, settings: PublishSettings): Promise<{ plan: BuildPlan; bundle: string }> {
  const platform = PLATFORM[name];
  if (platform !== undefined) {
    const plan = await planPlatformImage(name, platform, reference, settings);
    return { plan, bundle: join(settings.programs, platform.program) };
  }
  const base = BASES[name];
  const plan = base === undefined ? planCuratedImage(reference) : { ...bareImage(name, reference), ...base };
  if (plan === undefined) throw new TypeError(`no image is called ${name}`);
  return { plan, bundle: settings.runtimeBundle };
}

/** The runtime layer with another program: the launcher starts it with a clean environment, as it starts every program. */
async function planPlatformImage(name: string, image: PlatformImage, reference: string, settings: PublishSettings): Promise<BuildPlan> {
  const scratch = join(settings.cacheDir, "platform", name);
  const scripts = Object.entries(image.scripts ?? {});
  const copy = scripts.map(([target]) => ({ source: join(scratch, target), target }));
  for (const [target, text] of scripts) {
    await mkdir(dirname(join(scratch, target)), { recursive: true });
    await writeFile(join(scratch, target), text, { mode: 0o755 });
  }
  if (image.buildsImages === true) {
    const source = join(scratch, RUNTIME_BUNDLE);
    await mkdir(dirname(source), { recursive: true });
    await copyFile(settings.runtimeBundle, source);
    copy.push({ source, target: RUNTIME_BUNDLE });
  }
  await mkdir(scratch, { recursive: true });
  return {
    ...bareImage(name, reference),
    base: { kind: "debian", packages: image.packages ?? [] },
    copy,
    copyRoot: scratch,
    ...(image.buildsImages === true ? { startsWith: { entrypoint: [], command: ["sconectl", "--help"] } } : {}),
  };
}

const bareImage = (name: string, reference: string): BuildPlan => ({
  name,
  kind: "curated",
  reference,
  mode: "production",
  base: { kind: "debian", packages: [] },
  command: ["true"],
  workingDirectory: "/",
  copy: [],
  run: [],
  encrypt: false,
  runtimeSettings: {},
  volumes: [],
  aliases: [],
  metadata: { policyTemplate: "", secretsTemplate: "", environment: "", chart: new Map() },
});
