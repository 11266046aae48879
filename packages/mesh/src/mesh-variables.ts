import type { CasInstance } from "./cas-section.ts";
import type { Findings, Place } from "./diagnostic.ts";
import type { MeshManifest } from "./mesh-manifest.ts";
import type { PlainValue } from "./plain-value.ts";
import type { Declaration } from "./service-manifest.ts";
import { type ScopeEntry, VariableScope } from "./variable-scope.ts";

/** Names that the platform defines for each service (MF-24). */
const RESERVED = [
  "service_name",
  "image_name",
  "namespace",
  "session",
  "cas_service_name",
  "command",
  "predecessor",
  "CREATOR",
  "SIGNER",
  "SESSION_CREATOR",
];
const CAS_FIELDS = ["name", "cas_url", "cas_key", "cas_encryption_key", "tolerance", "mode"] as const;

/** Variables that act as chart values, with their defaults (manifests section 12.3). */
export const CHART_VARIABLES: ReadonlyMap<string, string | undefined> = new Map([
  ["imagePullSecrets", "sconeapps"],
  ["APP_SERVICE_PORT", undefined],
  ["restartPolicy", "Always"],
  ["useSGXDevPlugin", "scone"],
  ["sgxEpcMem", undefined],
  ["replicaCount", "1"],
  ["serviceType", "ClusterIP"],
  ["workloadKind", "deployment"],
  ["SCONE_LOG", undefined],
  ["SCONE_VERSION", undefined],
  ["session_secrets", undefined],
]);

/** The platform's own names of one service. */
export type BuiltIns = Readonly<Record<string, string>>;

export function casBuiltIns(instances: readonly CasInstance[]): BuiltIns {
  const fields = instances.flatMap((instance) => {
    const values: Readonly<Record<(typeof CAS_FIELDS)[number], string>> = {
      name: instance.name,
      cas_url: instance.host,
      cas_key: instance.key ?? "",
      cas_encryption_key: instance.encryptionKey ?? "",
      tolerance: instance.tolerance.join(" "),
      mode: instance.mode,
    };
    return [...new Set([instance.name, ...instance.aliases])].flatMap((name) =>
      CAS_FIELDS.flatMap((field) => [
        [`cas.${name}.${field}`, values[field]],
        [`cas_${name}_${field}`, values[field]],
      ]),
    );
  });
  return Object.fromEntries(fields);
}

/** A mesh must not define the platform's names. */
export function refuseReservedNames(mesh: MeshManifest, cas: BuiltIns, findings: Findings): void {
  for (const { variables } of mesh.env) {
    for (const { name, at } of variables) {
      if (RESERVED.includes(name) || Object.hasOwn(cas, name)) {
        findings.add(at, "E-VAR-RESERVED", `the variable ${name} belongs to the platform`, {
          expected: `another name; reserved names are ${RESERVED.join(", ")}`,
        });
      }
    }
  }
}

export interface ScopeInputs {
  readonly service: string;
  readonly mesh: MeshManifest;
  readonly declarations: readonly Declaration[];
  readonly builtIns: BuiltIns;
  readonly release: string | undefined;
  /** Defaults of the platform's chart variables are visible. */
  readonly structures?: ReadonlyMap<string, PlainValue>;
  readonly constants?: ReadonlyMap<string, PlainValue>;
}

/** Names visible to one service, highest precedence first: its section, `helm`, `global`, its declarations, chart defaults (MF-23). */
export function serviceScope({ service, mesh, declarations, builtIns, release, structures, constants }: ScopeInputs): VariableScope {
  const entries = new Map<string, ScopeEntry>();
  for (const [name, value] of CHART_VARIABLES) if (value !== undefined) entries.set(name, { kind: "constant", value });
  if (release !== undefined) entries.set("RELEASE", { kind: "constant", value: release });
  for (const { name, value } of declarations) if (value !== undefined) entries.set(name, { kind: "variable", value });
  for (const section of ["global", "helm", service]) {
    for (const { name, value } of mesh.env.find((each) => each.service === section)?.variables ?? [])
      entries.set(name, { kind: "variable", value });
  }
  for (const [name, value] of Object.entries(builtIns)) entries.set(name, { kind: "constant", value });
  for (const [name, value] of constants ?? []) {
    entries.set(name, typeof value === "string" ? { kind: "constant", value } : { kind: "structure", value });
  }
  for (const [name, value] of structures ?? []) entries.set(name, { kind: "structure", value });
  return new VariableScope(service, entries);
}

/** Variables for documents that belong to no service: `global` and `helm` (manifests section 5.8). */
export function sharedScope(mesh: MeshManifest, builtIns: BuiltIns, release: string | undefined): VariableScope {
  return serviceScope({ service: "global", mesh, declarations: [], builtIns, release });
}

/** Warnings about variables that nobody uses, are used without declaration, or look like mistakes (MF-26 to MF-27, MF-128, MF-129). */
export function reviewVariables(
  mesh: MeshManifest,
  services: readonly {
    readonly name: string;
    readonly declarations: readonly Declaration[];
    readonly used: ReadonlyMap<string, Place>;
    readonly objectName: string;
  }[],
  release: string | undefined,
  findings: Findings,
): void {
  for (const { service, variables } of mesh.env) {
    const concerned = services.filter(({ name }) => service === "global" || service === "helm" || service === name);
    for (const { name, value, at } of variables) {
      const declared = concerned.some(({ declarations }) => declarations.some((each) => each.name === name));
      const used = concerned.filter((each) => each.used.has(name));
      const users = [...used].filter((each) => !each.declarations.some((declaration) => declaration.name === name));
      if (!declared && used.length === 0 && !CHART_VARIABLES.has(name) && name !== "RELEASE" && !usedByOthers(mesh, name)) {
        findings.add(at, "W-VAR-UNUSED", `no service declares or uses the variable ${name}`, { hint: "check its spelling" });
      }
      const user = users[0];
      if (user !== undefined && !CHART_VARIABLES.has(name) && name !== "RELEASE") {
        findings.add(user.used.get(name) ?? at, "W-VAR-UNDECLARED", `${user.name} uses the variable ${name} without declaring it`, {
          hint: "declare it in environment.global",
        });
      }
      if (name === "K8sNAMESPACE" && value.text === "")
        findings.add(value.at, "W-K8S-NAMESPACE", "K8sNAMESPACE is empty: names are searched as the container's own name service does");
      if (/(?:_HOST|_host|_server_name)$/.test(name)) {
        const objects = services.map(({ objectName }) => objectName);
        if (value.text.startsWith("-"))
          findings.add(value.at, "W-HOST-UNKNOWN", `${name} starts with '-': the release was empty when the template was rendered`);
        else if (release !== undefined && value.text.startsWith(`${release}-`) && !objects.includes(value.text)) {
          findings.add(value.at, "W-HOST-UNKNOWN", `${name} is ${value.text}, which is no host of this mesh`, {
            hint: `hosts are ${objects.join(", ")}`,
          });
        }
      }
    }
  }
}

/** Whether another variable's value mentions the name. */
const usedByOthers = (mesh: MeshManifest, name: string): boolean =>
  mesh.env.some(({ variables }) => variables.some(({ value }) => new RegExp(`\\{\\{[ \\t]*${name}[ \\t]*\\}\\}`).test(value.text)));
