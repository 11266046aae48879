import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { codeIdentity, NODE_AGENT_MEASUREMENT } from "@vouchsafe/attestation";
import {
  type BuildPlan,
  type BuildProgress,
  buildImage,
  defaultCacheDir,
  defaultRepositoryDir,
  findJavaLibraries,
  LOCAL_REGISTRY,
  openLocalRepository,
  parseImageReference,
  pushImage,
  targetKey,
} from "@vouchsafe/image";
import {
  type BuildFiles,
  planService,
  readBuildFiles,
  readServiceManifest,
  type ServiceManifest,
  type ServicePlanOptions,
  toYaml,
} from "@vouchsafe/mesh";
import { CliError } from "../cli-error.ts";
import { type ClientIdentity, obtainClientIdentity } from "../client-identity.ts";
import { wrapCodeKey } from "../code-key-wrap.ts";
import { givenValue, hasFlag } from "../command-spec.ts";
import { type ChosenEngine, chooseEngine, keepImage } from "../kept-image.ts";
import { Progress } from "../progress.ts";
import { obtainRuntimeBundle } from "../runtime-bundle.ts";
import { ExitCode } from "../shell.ts";
import { obtainStableImage } from "../stable-image.ts";
import { TargetDirectory } from "../target-directory.ts";
import type { ApplyContext } from "./apply-context.ts";

const STEPS: Readonly<Record<BuildProgress["step"], string>> = {
  base: "Base from Debian packages",
  runtime: "Runtime",
  requirements: "Requirements",
  compile: "Java sources",
  run: "Commands of the manifest",
  code: "Code, encrypted",
  metadata: "Metadata",
  image: "Image",
};

/** `apply` on a service manifest: validate, resolve, build, push, write `target/services/<key>` (CL-26). */
export async function applyService(context: ApplyContext): Promise<number> {
  const { shell, report, options, mode } = context;
  const chart = readChartTemplate(context);
  const read = readServiceManifest(context.text, context.file, { mode, allowUnknownFields: hasFlag(options, "allow-unknown-fields") });
  report.add(read.diagnostics);
  const manifest = read.manifest;
  if (manifest === undefined) return ExitCode.failed;
  if (hasFlag(options, "print-defaults")) {
    shell.out(hasFlag(options, "json") ? JSON.stringify(serviceDefaults(manifest)) : toYaml(serviceDefaults(manifest)).trimEnd());
    return ExitCode.ok;
  }
  const files = readBuildFiles(manifest.build, shell.directory);
  report.add(files.diagnostics);
  if (files.manifest === undefined) return ExitCode.failed;
  const key = targetKey(manifest.build.to.text);
  const target = await TargetDirectory.open(context.target);
  const progress = new Progress(shell, context.level);
  try {
    return await planAndBuild(manifest, files.manifest, chart, {
      key,
      target,
      progress,
      identity: await obtainClientIdentity(shell),
      context,
    });
  } finally {
    progress.end();
    await target.close();
  }
}

/** What one build works with. */
interface Workplace {
  /** Name of the image's directory below `target/services` (MF-130). */
  readonly key: string;
  readonly target: TargetDirectory;
  readonly progress: Progress;
  readonly identity: ClientIdentity;
  readonly context: ApplyContext;
}

async function planAndBuild(
  manifest: ServiceManifest,
  found: BuildFiles,
  chart: ServicePlanOptions["chart"],
  workplace: Workplace,
): Promise<number> {
  const { key, target, context } = workplace;
  const { shell, report, options, mode } = context;
  const stable = await obtainStableImage(manifest, { ...workplace, noPull: hasFlag(options, "no-push") });
  const lock = await target.read("services", key, "requirements.lock");
  const requirements =
    found.requirements === undefined ? {} : { requirements: { ...found.requirements, ...(lock === undefined ? {} : { lock }) } };
  const libraries = await findJavaLibraries(found.copy, shell.directory);
  const planned = planService(
    manifest,
    { ...found, ...requirements, libraries },
    {
      mode,
      ...(stable === undefined ? {} : { stable: stable.version }),
      ...(chart === undefined ? {} : { chart }),
    },
  );
  report.add(planned.diagnostics);
  const plan = planned.manifest;
  if (plan === undefined || (manifest.build.stable !== undefined && stable === undefined)) return ExitCode.failed;
  const engine = hasFlag(options, "no-push") ? chooseEngine(shell, report) : undefined;
  report.refuseWarnings();
  if (hasFlag(options, "dry-run")) {
    shell.out(hasFlag(options, "json") ? JSON.stringify(readablePlan(plan), null, 2) : toYaml(readablePlan(plan)).trimEnd());
    return ExitCode.ok;
  }
  return build(manifest, { ...plan, copyRoot: shell.directory }, stable?.codeKey, engine, workplace);
}

async function build(
  manifest: ServiceManifest,
  plan: BuildPlan,
  codeKey: string | undefined,
  engine: ChosenEngine | undefined,
  { key, target, progress, identity, context }: Workplace,
): Promise<number> {
  const { shell, options, report } = context;
  const keyFile =
    manifest.build.signatureKey === undefined ? target.file("identity.pem") : resolve(shell.directory, manifest.build.signatureKey.text);
  const runtimeBundle = await obtainRuntimeBundle(shell.environment);
  const built = await buildImage(plan, {
    cacheDir: defaultCacheDir(shell.environment as NodeJS.ProcessEnv), // the same mapping, read only
    repositoryDir: defaultRepositoryDir(shell.environment as NodeJS.ProcessEnv), // as above
    runtimeBundle,
    signingKeyFile: keyFile,
    platformVersion: context.platformVersion,
    ...(codeKey === undefined ? {} : { codeKey }),
    codeKeyWrap: { recipient: identity.signer, wrap: (code) => wrapCodeKey(identity, code) },
    signal: shell.signal,
    progress: ({ step, state, detail }) => {
      const name = STEPS[step];
      if (state === "started") progress.start(name);
      else progress.done(name, state === "cached" ? "unchanged" : detail);
    },
  });
  const isLocal = parseImageReference(plan.reference).registry === LOCAL_REGISTRY;
  const keeps = engine !== undefined || isLocal;
  if (engine !== undefined) {
    const kept = { layoutDir: built.layoutDir, reference: plan.reference, key };
    await keepImage(kept, engine, { target, progress, report, signal: shell.signal });
  } else await target.remove(`images/${key}`); // of an earlier build
  if (!keeps) await progress.run(`Push to ${plan.reference}`, () => push(built.layoutDir, plan.reference, shell.signal));
  const directory = join("services", key);
  const { policyTemplate, secretsTemplate, environment, chart } = plan.metadata;
  const texts: [string, string, number?][] = [
    ["service.json", built.serviceJson],
    ["policy.yaml.template", policyTemplate],
    ["secrets.yaml.template", secretsTemplate],
    ["env.yaml", environment],
    ...[...chart].map(([path, text]): [string, string] => [join("chart", path), text]),
    ...(built.lock === undefined ? [] : [["requirements.lock", built.lock] as [string, string]]),
    ...(built.codeKey === undefined ? [] : [["code.key", `${built.codeKey}\n`, 0o600] as [string, string, number]]),
    ["image.txt", `${built.reference}@${built.digest}\n`],
  ];
  for (const [path, text, mode] of texts) await target.write(join(directory, path), text, mode);
  if (built.unchanged) progress.detail(0, `${manifest.build.name.text} is unchanged: no work was done`);
  const identityOfNode = codeIdentity("node", NODE_AGENT_MEASUREMENT, { imageDigest: built.digest, fileSystemTag: built.tag ?? "" });
  progress.detail(0, `code identity where the node agent gives evidence: ${identityOfNode}`);
  const result = {
    image: `${built.reference}@${built.digest}`,
    unchanged: built.unchanged,
    bytes: built.bytes,
    pushed: !keeps,
    fileSystemTag: built.tag ?? null,
    codeIdentity: { node: identityOfNode },
  };
  shell.out(hasFlag(options, "json") ? JSON.stringify(result) : result.image);
  return ExitCode.ok;
}

async function push(layoutDir: string, reference: string, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted();
  return pushImage(openLocalRepository(layoutDir), reference);
}

/** MF-111, CL-24. */
function serviceDefaults({ build, environment, secrets }: ServiceManifest) {
  return {
    [build.name.text]: {
      required: environment.global.filter(({ value }) => value === undefined).map(({ name }) => name),
      defaults: Object.fromEntries(environment.global.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value.text]]))),
      imports: secrets.imports.map(({ name }) => name.text),
    },
  };
}

function readablePlan({ metadata: _metadata, ...plan }: BuildPlan) {
  const { requirements, copy, ...rest } = plan;
  return JSON.parse(
    JSON.stringify({
      ...rest,
      copy: copy.map(({ source, target }) => `${source} → ${target}`),
      ...(requirements === undefined ? {} : { requirements: requirements.text.split("\n").filter((line) => line !== "") }),
    }),
  );
}

/** Files of `--helm-template DIR` (MF-126), rendered as far as the service manifest allows. */
function readChartTemplate({ options, shell }: ApplyContext): ServicePlanOptions["chart"] {
  const given = givenValue(options, "helm-template");
  if (given === undefined) return undefined;
  const directory = resolve(shell.directory, given);
  if (!existsSync(directory) || !statSync(directory).isDirectory())
    throw new CliError("E-TEMPLATE-DIR", `the directory ${given} does not exist`, {
      remedy: "Name a directory with chart templates.",
      isUsage: true,
    });
  const files = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
  return { directory: given, files: new Map(files.map((file) => [relative(directory, file), readFileSync(file, "utf8")])) };
}
