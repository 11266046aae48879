import type { Findings, Place } from "./diagnostic.ts";
import { toYaml } from "./image-templates.ts";
import type { PlacedText } from "./manifest-reader.ts";
import type { ManifestNode } from "./manifest-yaml.ts";
import { isPlainMapping, type PlainMapping, type PlainValue, toPlainValue } from "./plain-value.ts";
import type { ResolvedImport, SecretSharing, ServiceSecrets } from "./resolve-imports.ts";

/** Every text of a rendered policy in which a program finds secrets: environment, arguments, files (MF-84). */
export function secretUses(policy: ManifestNode): { readonly text: PlacedText; readonly isFile: boolean }[] {
  const uses: { text: PlacedText; isFile: boolean }[] = [];
  const take = (node: ManifestNode | undefined, isFile: boolean): void => {
    if (node?.kind === "scalar") uses.push({ text: { text: node.text, at: node.at }, isFile });
    else if (node?.kind === "list") for (const item of node.items) take(item, isFile);
    else if (node?.kind === "mapping") for (const { value } of node.entries) take(value, isFile);
  };
  for (const service of listAt(policy, "services")) {
    take(child(service, "command"), false);
    take(child(service, "environment"), false);
  }
  for (const image of listAt(policy, "images")) for (const file of listAt(image, "injection_files")) take(child(file, "content"), true);
  return uses;
}

export const child = (node: ManifestNode | undefined, key: string): ManifestNode | undefined =>
  node?.kind === "mapping" ? node.entries.find((entry) => entry.key === key)?.value : undefined;
export const listAt = (node: ManifestNode | undefined, key: string): readonly ManifestNode[] => {
  const list = child(node, key);
  return list?.kind === "list" ? list.items : [];
};

/** The secrets of a policy: own definitions with their exports, then imports (manifests section 8.1). */
export function policySecrets(secrets: ServiceSecrets, sharing: SecretSharing, explicit: readonly PlainValue[]): PlainValue[] {
  const exported = sharing.exports.get(secrets.service);
  const own = secrets.definitions.map(({ name, node }): PlainValue => {
    const plain = toPlainValue(node);
    if (!isPlainMapping(plain)) return plain;
    const { local: _local, ...definition } = plain;
    return withExports(definition, exported?.get(name) ?? []);
  });
  const imports = sharing.imports.filter(({ to }) => to === secrets.service).map(importEntry);
  return [...own, ...imports, ...explicit];
}

const importEntry = ({ as, definition, fromPolicy, secret }: ResolvedImport): PlainMapping => ({
  name: as,
  kind: definition.kind,
  import: { session: fromPolicy, secret },
});

function withExports(definition: PlainMapping, policies: readonly string[]): PlainMapping {
  if (policies.length === 0) return definition;
  const given = definition["export"];
  const before = Array.isArray(given) ? given : given === undefined || given === null ? [] : [given];
  const missing = policies.filter(
    (policy) =>
      !before.some((each: PlainValue) => isPlainMapping(each) && each["session"] === policy && each["session_hash"] === undefined),
  );
  return { ...definition, export: [...before, ...missing.map((session) => ({ session }))] };
}

export interface PolicyFrame {
  readonly name: string;
  readonly salt: string;
  /** Signing key (PEM) and connection key hash of the client. */
  readonly signer: string;
  readonly reader: string;
  readonly accessPolicy: PlainValue | undefined;
  readonly security: PlainMapping;
  readonly secrets: readonly PlainValue[];
  /** What must stand in the attestation of the service: code identities, or the fragment of its image policy. */
  readonly attested: readonly string[];
  /**
   * Without a tag where two versions of the image are accepted: both have the same key, and which state each must have is part of its code identity.
   */
  readonly fileSystem: { readonly path: string; readonly key: string; readonly tag: string | undefined } | undefined;
}

const ORDER = [
  "name",
  "version",
  "predecessor",
  "salt",
  "namespace_hash",
  "creator",
  "access_policy",
  "services",
  "images",
  "secrets",
  "volumes",
  "security",
];

/** Adds what a policy needs and its template leaves out, and checks what the template decides (MF-98, MF-99). */
export function completePolicy(template: PlainMapping, frame: PolicyFrame, at: Place, findings: Findings): PlainMapping {
  const given = new Map(Object.entries(template).filter(([, value]) => value !== null));
  given.delete("predecessor");
  given.delete("predecessor_key");
  const refuse = (message: string, expected: string) => findings.add(at, "E-POLICY-TEMPLATE", message, { expected });
  if (given.has("name") && given.get("name") !== frame.name)
    refuse(`the template makes a policy with another name than ${frame.name}`, `name: "{{session}}"`);
  const services = given.get("services");
  const first = Array.isArray(services) ? services[0] : undefined;
  if (!isPlainMapping(first)) refuse("the template makes a policy without services", "one service");
  else {
    const text = JSON.stringify(first["attestation"] ?? first["mrenclaves"] ?? null);
    if (!frame.attested.every((identity) => text.includes(identity))) {
      refuse("the code identity of the image is missing in services[0].attestation", `attestation: "{{attestation}}"`);
    }
    const protection: PlainMapping =
      frame.fileSystem === undefined || first["fspf_path"] !== undefined
        ? {}
        : { fspf_path: frame.fileSystem.path, fspf_key: frame.fileSystem.key, ...stateOf(frame.fileSystem.tag) };
    given.set("services", [{ ...first, ...protection }, ...(Array.isArray(services) ? services.slice(1) : [])]);
  }
  const defaults: [string, PlainValue][] = [
    ["name", frame.name],
    ["version", "0.3.12"],
    ["salt", frame.salt],
    ["creator", { signer: frame.signer }],
    ["access_policy", frame.accessPolicy ?? defaultAccess(frame)],
    ["security", frame.security],
  ];
  for (const [key, value] of defaults) if (!given.has(key)) given.set(key, value);
  given.set("secrets", mergeSecrets(given.get("secrets"), frame.secrets));
  const known = ORDER.filter((key) => given.has(key));
  const rest = [...given.keys()].filter((key) => !ORDER.includes(key));
  return Object.fromEntries([...known, ...rest].flatMap((key) => (isEmpty(given.get(key)) ? [] : [[key, given.get(key) ?? null]])));
}

const stateOf = (tag: string | undefined): PlainMapping =>
  tag === undefined ? { fspf_update_policy: "no_rollback_protection" } : { fspf_tag: tag };

/** Readers are named by connection key, writers by signing key (manifests section 8.1). */
export const defaultAccess = ({ reader, signer }: Pick<PolicyFrame, "reader" | "signer">): PlainMapping => ({
  read: [reader],
  update: [{ signer }],
});

const isEmpty = (value: PlainValue | undefined): boolean =>
  Array.isArray(value) ? value.length === 0 : isPlainMapping(value) && Object.keys(value).length === 0;

function mergeSecrets(given: PlainValue | undefined, computed: readonly PlainValue[]): PlainValue[] {
  const own = Array.isArray(given) ? given : [];
  const names = new Map(own.flatMap((each: PlainValue) => (isPlainMapping(each) ? [[each["name"], each]] : [])));
  const merged = own.map((each: PlainValue) => {
    const other = computed.find((candidate) => isPlainMapping(candidate) && isPlainMapping(each) && candidate["name"] === each["name"]);
    return isPlainMapping(each) && isPlainMapping(other) && each["export"] === undefined && other["export"] !== undefined
      ? { ...each, export: other["export"] }
      : each;
  });
  return [...merged, ...computed.filter((each) => !isPlainMapping(each) || !names.has(each["name"] ?? ""))];
}

/** Text of a policy; `predecessor` is the hash of the version that it replaces. */
export function policyText(policy: PlainMapping, predecessor: string | null): string {
  const { name, version, ...rest } = policy;
  return toYaml({ name: name ?? "", version: version ?? "0.3.12", ...(predecessor === null ? {} : { predecessor }), ...rest });
}

/** The policy as people may read it: code keys and explicit values are masked (MF-97). */
export function readablePolicy(policy: PlainMapping): string {
  const masked = mask(policy, []);
  return toYaml(masked, "Readable form: keys and explicit values are masked. The signed form is in session_files.");
}

function mask(value: PlainValue, path: readonly string[]): PlainValue {
  if (Array.isArray(value)) return value.map((item: PlainValue) => mask(item, path));
  if (!isPlainMapping(value)) return value;
  const imported = value["import"] !== undefined;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      const isValue = key === "fspf_key" || key === "application_secret" || (key === "value" && path[0] === "secrets" && !imported);
      return [key, isValue ? "***" : mask(item, [...path, key])];
    }),
  );
}
