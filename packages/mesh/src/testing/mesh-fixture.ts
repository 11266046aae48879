import { createHash } from "node:crypto";
import { planCuratedImage, type ServiceMetadata } from "@vouchsafe/image";
import type { ManifestDiagnostic } from "../diagnostic.ts";
import type { MeshImage, MeshInputs } from "../mesh-inputs.ts";
import { type MeshReadOptions, readMeshManifest } from "../mesh-manifest.ts";
import { type MeshPlan, planMesh } from "../plan-mesh.ts";
import { planService } from "../plan-service.ts";
import { readServiceManifest } from "../service-manifest.ts";

/** A key hash, an encryption key and a signing key that are well-formed. */
export const CAS_KEY = "3RRDm6BpFxXD2yJNYTUJhdLuAN49ae9ivsWhmtqmMvicDszge9";
export const ENCRYPTION_KEY = "5f1de83b0ac94762d18e3c20b79a54f6e0d21b8c4a3975ee1066f2c98bd37a41";
export const SIGNER =
  "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAfdVD8pBeKiO4XKp9MEX6A45N8fMwvUEcry9BkHEfD7o=\n-----END PUBLIC KEY-----\n";
export const CODE_KEY = "c0de".repeat(16);

/** A service manifest; `parts` replace its sections by name, `null` leaves one out. */
export function serviceText(parts: Readonly<Record<string, string | null>> = {}): string {
  const sections: Record<string, string | null> = {
    apiVersion: "apiVersion: scone/5.8",
    kind: "kind: genservice",
    environment: "environment: {}",
    build: "build:\n  name: app\n  kind: python\n  to: reg.example.org/x/app:1\n  command: python3 app.py\n",
    ...parts,
  };
  return Object.values(sections)
    .filter((text) => text !== null)
    .join("\n");
}

/** Adds fields to the build section of the default service manifest. */
export const serviceWithBuild = (fields: string, without: readonly string[] = []): string => {
  const base = ["name: app", "kind: python", "to: reg.example.org/x/app:1", "command: python3 app.py"].filter(
    (line) => !without.some((field) => line.startsWith(`${field}:`)),
  );
  return serviceText({
    build: ["build:", ...base.map((line) => `  ${line}`), ...fields.split("\n").map((line) => `  ${line}`)].join("\n"),
  });
};

export function meshText(parts: Readonly<Record<string, string | null>> = {}): string {
  const sections: Record<string, string | null> = {
    apiVersion: "apiVersion: scone/5.8",
    kind: "kind: mesh",
    cas: `cas:\n  - cas_url: cas.scone-system\n    cas_key: ${CAS_KEY}\n    cas_encryption_key: ${ENCRYPTION_KEY}\n    mode: EncryptedManifest`,
    policy: "policy:\n  namespace: team-1",
    env: "env: []",
    services: "services:\n  - {name: app, image: 'reg.example.org/x/app:1'}",
    ...parts,
  };
  return Object.values(sections)
    .filter((text) => text !== null)
    .join("\n");
}

export const readService = (text: string, mode: "production" | "debug" = "production"): readonly ManifestDiagnostic[] =>
  readServiceManifest(text, "service.yaml", { mode }).diagnostics;
export const readMesh = (text: string, options: MeshReadOptions = {}): readonly ManifestDiagnostic[] =>
  readMeshManifest(text, "mesh.yaml", options).diagnostics;

export function metadata(name: string, command: readonly string[], more: Partial<ServiceMetadata> = {}): ServiceMetadata {
  return {
    format: 1,
    platformVersion: "1.0",
    name,
    kind: "python",
    mode: "production",
    command: [...command],
    workingDirectory: "/",
    user: { uid: 1000, gid: 1000 },
    environment: {},
    searchPath: ["/usr/bin"],
    diversions: [],
    runtimeSettings: {},
    regions: [],
    volumes: [],
    aliases: [],
    packages: [],
    lock: [],
    files: {},
    ...more,
  };
}

/** A curated image of the platform, without building it. */
export function curatedImage(name: string): MeshImage {
  const plan = planCuratedImage(`reg.example.org/vouchsafe/${name}:1.0`);
  if (plan === undefined) throw new TypeError(`no curated image is called ${name}`);
  const { policyTemplate, secretsTemplate, environment, chart } = plan.metadata;
  return {
    reference: plan.reference,
    digest: `sha256:${createHash("sha256").update(name).digest("hex")}`,
    service: metadata(name, plan.command, { kind: "curated", aliases: [...plan.aliases] }),
    files: new Map([
      ["policy.yaml.template", policyTemplate],
      ["secrets.yaml.template", secretsTemplate],
      ["env.yaml", environment],
      ...[...chart].map(([path, text]): [string, string] => [`chart/${path}`, text]),
    ]),
    overrides: {},
  };
}

/** An image as `apply` would build it from a service manifest, without building it. */
export function imageOf(
  text: string,
  more: {
    readonly overrides?: MeshImage["overrides"];
    readonly encrypted?: boolean;
    readonly metadata?: Partial<ServiceMetadata>;
  } = {},
): MeshImage {
  const { manifest, diagnostics } = readServiceManifest(text, "service.yaml", { mode: "debug" });
  const plan = manifest === undefined ? undefined : planService(manifest, { copy: [] }, { mode: "production" }).manifest;
  if (plan === undefined) throw new Error(`the fixture is no service: ${JSON.stringify(diagnostics)}`);
  const { policyTemplate, secretsTemplate, environment, chart } = plan.metadata;
  const encrypted = more.encrypted ?? false;
  return {
    reference: plan.reference,
    digest: `sha256:${createHash("sha256").update(text).digest("hex")}`,
    service: metadata(plan.name, plan.command, {
      ...(encrypted ? { fileSystem: { path: "/vouchsafe/code.fspf", tag: "7a".repeat(16) } } : {}),
      ...more.metadata,
    }),
    files: new Map([
      ["policy.yaml.template", policyTemplate],
      ["secrets.yaml.template", secretsTemplate],
      ["env.yaml", environment],
      ...[...chart].map(([path, chartText]): [string, string] => [`chart/${path}`, chartText]),
    ]),
    ...(encrypted ? { codeKey: CODE_KEY } : {}),
    overrides: more.overrides ?? {},
  };
}

export const codeIdentityOf = (kind: string, { imageDigest, fileSystemTag }: { imageDigest: string; fileSystemTag: string }): string =>
  createHash("sha256").update(`${kind} ${imageDigest} ${fileSystemTag}`).digest("hex");

export interface PlanResult {
  readonly plan: MeshPlan | undefined;
  readonly diagnostics: readonly ManifestDiagnostic[];
}

/** Reads and plans a mesh whose images are given by service name. */
export function planOf(
  text: string,
  images: Readonly<Record<string, MeshImage>>,
  more: Partial<MeshInputs> & { readonly read?: MeshReadOptions } = {},
): PlanResult {
  const { manifest, diagnostics } = readMeshManifest(text, "mesh.yaml", more.read ?? {});
  if (manifest === undefined) return { plan: undefined, diagnostics };
  const planned = planMesh(manifest, {
    images: new Map(Object.entries(images)),
    codeIdentity: codeIdentityOf,
    evidence: undefined,
    mode: "production",
    release: undefined,
    releaseVersion: 1,
    platformVersion: "1.0",
    platformImage: "reg.example.org/platform/runtime:1.0",
    client: { keyHash: CAS_KEY, signer: SIGNER, salt: (policy) => createHash("sha256").update(policy).digest("hex").slice(0, 32) },
    extraPolicies: new Map(),
    ...more,
  });
  return { plan: planned.manifest, diagnostics: [...diagnostics, ...planned.diagnostics] };
}
