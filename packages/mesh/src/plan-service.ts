import { type BasePlan, type BuildPlan, type CopySource, javaBase, type ProtectionRule, type StableVersion } from "@vouchsafe/image";
import { type Region, withoutTrailingSlash } from "./build-section.ts";
import { userChart } from "./chart-template.ts";
import { Findings } from "./diagnostic.ts";
import { imageTemplates } from "./image-templates.ts";
import { checkJavaCommand, javaCommand, javaRelease, refusedKind } from "./java-command.ts";
import { isRuntimeSetting } from "./runtime-setting.ts";
import type { ReadResult, ServiceManifest } from "./service-manifest.ts";

/** What the file system says about the files that a manifest names. */
export interface BuildFiles {
  readonly copy: readonly CopySource[];
  /** Paths in the image of the Java archives among what `copy` brings. */
  readonly libraries?: readonly string[];
  readonly requirements?: { readonly text: string; readonly lock?: string };
  /** Text of `gen_policy.policy`. */
  readonly policyTemplate?: string;
}
export interface ServicePlanOptions {
  readonly mode: "production" | "debug";
  /** The image of `build.stable`. */
  readonly stable?: StableVersion;
  /** Files of the user's chart directory (`--helm-template`), instead of the built-in chart. */
  readonly chart?: { readonly directory: string; readonly files: ReadonlyMap<string, string> };
}

/** Debian packages of the base of kind `python`. */
const PYTHON_BASE: BasePlan = { kind: "debian", packages: ["python3", "python3-pip", "ca-certificates"] };
/** Interpreters load code, start programs, and some compile while they run (manifests section 3.2). */
const INTERPRETER_SETTINGS = { SCONE_ALLOW_DLOPEN: "1", SCONE_FORK: "1", SCONE_MPROTECT: "1" };

const PROTECTION = {
  dirs: "encrypted",
  fs_dirs: "authenticated",
  fs_files: "authenticated",
  plains: "not-protected",
  plain_files: "not-protected",
  host_paths: "not-protected",
} as const satisfies Record<Region["field"], ProtectionRule["protection"]>;

const protectionRule = ({ field, path }: Region): ProtectionRule => ({
  path: withoutTrailingSlash(path.text),
  protection: PROTECTION[field],
  field: `build.${field}`,
});

/** The plan of the image of a service manifest: a plain value, the same for the same inputs. */
export function planService(manifest: ServiceManifest, files: BuildFiles, options: ServicePlanOptions): ReadResult<BuildPlan> {
  const findings = new Findings();
  const { build, environment } = manifest;
  const refused = refusedKind(build);
  if (refused !== undefined) {
    findings.add(build.kindAt, "E-BUILD-KIND", refused.message, { expected: refused.expected });
    return { manifest: undefined, diagnostics: findings.list() };
  }
  const workingDirectory = build.pwd?.text ?? "/";
  const java = javaRelease(build.kind);
  const { libraries = [] } = files;
  if (java !== undefined) checkJavaCommand(manifest, libraries, findings);
  const command = java === undefined ? build.command : javaCommand(build.command, workingDirectory, libraries);
  const templates = imageTemplates({ ...manifest, build: { ...build, command } }, workingDirectory, files.policyTemplate);
  const plan: BuildPlan = {
    name: build.name.text,
    kind: java ?? "python",
    reference: build.to.text,
    mode: options.mode,
    base: build.from === undefined ? (java === undefined ? PYTHON_BASE : javaBase(java)) : { kind: "image", reference: build.from.text },
    command,
    workingDirectory,
    copy: files.copy,
    ...(files.requirements === undefined ? {} : { requirements: files.requirements }),
    run: build.run.map(({ text }) => text),
    encrypt: build.encrypt,
    ...(build.regions.length === 0 ? {} : { protection: build.regions.map(protectionRule) }),
    runtimeSettings: {
      ...INTERPRETER_SETTINGS,
      ...Object.fromEntries(environment.local.filter(({ name }) => isRuntimeSetting(name)).map(({ name, value }) => [name, value.text])),
    },
    volumes: build.volumes.map(({ name, path, updatePolicy, files: protection }) => ({ name, path, updatePolicy, files: protection })),
    ...(options.stable === undefined ? {} : { stable: options.stable }),
    aliases: [],
    metadata: {
      ...templates,
      ...(options.chart === undefined ? {} : { chart: userChart(options.chart.files, manifest, options.chart.directory, findings) }),
    },
  };
  return { manifest: findings.hasErrors ? undefined : plan, diagnostics: findings.list() };
}
