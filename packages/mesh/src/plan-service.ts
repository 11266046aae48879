import type { BuildPlan, CopySource } from "@vouchsafe/image";
import { userChart } from "./chart-template.ts";
import { Findings } from "./diagnostic.ts";
import { imageTemplates } from "./image-templates.ts";
import { isRuntimeSetting } from "./runtime-setting.ts";
import type { ReadResult, ServiceManifest } from "./service-manifest.ts";

/** What the file system says about the files that a manifest names. */
export interface BuildFiles {
  readonly copy: readonly CopySource[];
  readonly requirements?: { readonly text: string; readonly lock?: string };
  /** Text of `gen_policy.policy`. */
  readonly policyTemplate?: string;
}
export interface ServicePlanOptions {
  readonly mode: "production" | "debug";
  /** Files of the user's chart directory (`--helm-template`), instead of the built-in chart. */
  readonly chart?: { readonly directory: string; readonly files: ReadonlyMap<string, string> };
}

/** Debian packages of the base of kind `python`. */
const PYTHON_PACKAGES = ["python3", "python3-pip", "ca-certificates"];

/** The plan of the image of a service manifest: a plain value, the same for the same inputs. */
export function planService(manifest: ServiceManifest, files: BuildFiles, options: ServicePlanOptions): ReadResult<BuildPlan> {
  const findings = new Findings();
  const { build, environment } = manifest;
  if (build.kind !== "python") {
    findings.add(build.kindAt, "E-BUILD-KIND", `images of kind ${build.kind} are not built by this release`, { expected: "python" });
    return { manifest: undefined, diagnostics: findings.list() };
  }
  const unsupported = [
    ...build.regions.filter(({ field }) => field === "dirs").map(({ path, field }) => ({ at: path.at, field })),
    ...(build.stable === undefined ? [] : [{ at: build.stable.at, field: "stable" }]),
  ];
  for (const { at, field } of unsupported) {
    findings.add(at, "E-BUILD-FIELD", `this release does not carry out build.${field}`, {
      expected: field === "dirs" ? "files to be encrypted in build.copy" : "a manifest without it",
    });
  }
  const workingDirectory = build.pwd?.text ?? "/";
  const templates = imageTemplates(manifest, workingDirectory, files.policyTemplate);
  const plan: BuildPlan = {
    name: build.name.text,
    kind: "python",
    reference: build.to.text,
    mode: options.mode,
    base: build.from === undefined ? { kind: "debian", packages: PYTHON_PACKAGES } : { kind: "image", reference: build.from.text },
    command: build.command,
    workingDirectory,
    copy: files.copy,
    ...(files.requirements === undefined ? {} : { requirements: files.requirements }),
    run: build.run.map(({ text }) => text),
    encrypt: build.encrypt,
    runtimeSettings: Object.fromEntries(
      environment.local.filter(({ name }) => isRuntimeSetting(name)).map(({ name, value }) => [name, value.text]),
    ),
    volumes: build.volumes.map(({ name, path, updatePolicy, files: protection }) => ({ name, path, updatePolicy, files: protection })),
    aliases: [],
    metadata: {
      ...templates,
      ...(options.chart === undefined ? {} : { chart: userChart(options.chart.files, manifest, options.chart.directory, findings) }),
    },
  };
  return { manifest: findings.hasErrors ? undefined : plan, diagnostics: findings.list() };
}
