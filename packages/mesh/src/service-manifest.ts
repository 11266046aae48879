import type { BuildSection } from "./build-section.ts";
import { readBuildSection } from "./build-section.ts";
import { Findings, type ManifestDiagnostic, type Place } from "./diagnostic.ts";
import { readHeader } from "./manifest-header.ts";
import { FieldReader, type PlacedText, type ReadOptions, readMapping, readText, shortText } from "./manifest-reader.ts";
import { type ManifestNode, parseManifestYaml } from "./manifest-yaml.ts";
import { splitPlaceholders } from "./placeholder.ts";
import { checkRuntimeSetting } from "./runtime-setting.ts";
import { readSecretDefinition, readSecretImport, type SecretDefinition, type SecretImport } from "./secret-definition.ts";
import { checkSecretGraph, checkSecretUses, type UsableSecret } from "./secret-graph.ts";
import { findSecretReferences } from "./secret-reference.ts";

/** A service manifest: how to build one confidential image (manifests section 3). */
export interface ServiceManifest {
  readonly file: string;
  readonly build: BuildSection;
  readonly environment: { readonly local: readonly Variable[]; readonly global: readonly Declaration[] };
  readonly secrets: { readonly definitions: readonly SecretDefinition[]; readonly imports: readonly SecretImport[] };
  readonly injectionFiles: readonly InjectionFile[];
}
export interface Variable {
  readonly name: string;
  readonly value: PlacedText;
  readonly at: Place;
}
/** A variable that comes from the mesh; `value` is its default. */
export interface Declaration {
  readonly name: string;
  readonly value?: PlacedText;
  readonly at: Place;
}
export interface InjectionFile {
  readonly path: PlacedText;
  /** Absent: the image's file at `path` is the template. */
  readonly content?: PlacedText;
  /** As written, e.g. `0o400`. */
  readonly permission?: string;
}

export interface ReadResult<T> {
  readonly manifest: T | undefined;
  readonly diagnostics: readonly ManifestDiagnostic[];
}
export interface ServiceReadOptions extends ReadOptions {
  readonly mode?: "production" | "debug";
}

const FIELDS = ["apiVersion", "kind", "build", "environment", "secrets", "injection_files"];
const MESH_FIELDS = ["cas", "policy", "env", "services", "repo", "helm_extra_values", "extra_policies"];
const VARIABLE_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/;

/** Reads and checks the text of a service manifest. The manifest is undefined where an error makes it useless. */
export function readServiceManifest(text: string, file: string, options: ServiceReadOptions = {}): ReadResult<ServiceManifest> {
  const findings = new Findings();
  const node = parseManifestYaml(text, file, findings);
  const manifest = node?.kind === "mapping" ? readTop(new FieldReader(node, findings), file, options, findings) : undefined;
  return { manifest: findings.hasErrors ? undefined : manifest, diagnostics: findings.list() };
}

function readTop(fields: FieldReader, file: string, options: ServiceReadOptions, findings: Findings): ServiceManifest | undefined {
  readHeader(fields, findings);
  const buildNode = fields.mapping("build", { required: true });
  if (fields.isWritten("requirements") && buildNode !== undefined) {
    findings.add(fields.keyPlace("requirements"), "W-FIELD-SYNONYM", "requirements stands at the top", { expected: "build.requirements" });
  }
  fields.allowOnly([...FIELDS, "requirements"], options, (key) =>
    MESH_FIELDS.includes(key) ? "belongs to a manifest of kind mesh" : undefined,
  );
  const build = buildNode === undefined ? undefined : readBuildSection(buildNode, fields.text("requirements"), options, findings);
  const environment = readEnvironment(fields, options, findings);
  const secrets = readSecrets(fields, options, findings);
  const injectionFiles = readInjectionFiles(fields, options, findings);
  if (build === undefined) return undefined;
  checkSecrets({ file, build, environment, secrets, injectionFiles }, findings);
  return { file, build, environment, secrets, injectionFiles };
}

/** What can be said of secrets before the mesh is known: an imported name may be of any kind, a name with a placeholder may be any name. */
function checkSecrets({ build, environment, secrets, injectionFiles }: ServiceManifest, findings: Findings): void {
  const usable = new Map<string, UsableSecret>();
  for (const { name } of secrets.imports) usable.set(name.text, { name: name.text, kind: undefined });
  for (const definition of secrets.definitions) usable.set(definition.name, { name: definition.name, kind: definition.kind, definition });
  if ([...usable.keys()].some((name) => name.includes("{{"))) return;
  const service = build.name.text;
  checkSecretGraph(service, secrets.definitions, usable, findings);
  for (const { value } of environment.local) checkSecretUses(service, value, false, usable, findings);
  for (const { content } of injectionFiles) if (content !== undefined) checkSecretUses(service, content, true, usable, findings);
  for (const word of build.command) checkSecretUses(service, { text: word, at: build.commandAt }, false, usable, findings);
}

function readEnvironment(fields: FieldReader, options: ServiceReadOptions, findings: Findings): ServiceManifest["environment"] {
  if (!fields.isWritten("environment"))
    findings.add({ ...fields.at, path: "" }, "E-FIELD-MISSING", "environment is missing", {
      expected: "the field environment; it may be empty",
    });
  const section = fields.mapping("environment");
  if (section === undefined) return { local: [], global: [] };
  section.allowOnly(["local", "global"], options);
  const seen = new Map<string, Place>();
  const local = readNameValues(section.list("local", { of: "name/value" }), true, seen, options, findings).flatMap(({ name, value, at }) =>
    value === undefined ? [] : [{ name, value, at }],
  );
  const global = readDeclarations(section.list("global", { of: "name/value" }), seen, options, findings);
  return { local, global };
}

/** The form of `environment.global`, also that of `env.yaml` and of a mesh's `env` file. */
export function readDeclarations(
  nodes: readonly ManifestNode[] | undefined,
  seen: Map<string, Place>,
  options: ServiceReadOptions,
  findings: Findings,
): Declaration[] {
  return readNameValues(nodes, false, seen, options, findings);
}

function readNameValues(
  nodes: readonly ManifestNode[] | undefined,
  isLocal: boolean,
  seen: Map<string, Place>,
  options: ServiceReadOptions,
  findings: Findings,
): Declaration[] {
  const read = (nodes ?? []).map((node): Declaration | undefined => {
    const item = readMapping(node, findings, "name and value");
    if (item === undefined) return undefined;
    item.allowOnly(["name", "value"], options);
    const name = item.text("name", { required: true });
    if (name === undefined || !checkVariableName(name, findings)) return undefined;
    const first = seen.get(name.text);
    if (first !== undefined) {
      findings.add(
        name.at,
        "E-ENV-DUPLICATE",
        `${name.text} is defined in lines ${first.source.position(first.start).line} and ${name.at.source.position(name.at.start).line}`,
        {
          expected: "each name once",
        },
      );
    }
    seen.set(name.text, name.at);
    const required = isLocal ? "a value; a variable that the mesh sets belongs into environment.global" : false;
    const value = item.text("value", { required });
    if (value !== undefined) {
      splitPlaceholders(value, findings);
      findSecretReferences(value, findings);
      checkRuntimeSetting(name.text, value, options.mode ?? "production", findings);
    }
    return { name: name.text, at: name.at, ...(value === undefined ? {} : { value }) };
  });
  return read.filter((item) => item !== undefined);
}

export function checkVariableName(name: PlacedText, findings: Findings): boolean {
  if (VARIABLE_NAME.test(name.text)) return true;
  const equals = name.text.includes("=") ? { hint: "a name contains no =" } : {};
  findings.add(name.at, "E-NAME", `${shortText(name.text)} is no name of a variable`, {
    expected: "a letter or _, then letters, digits and _, at most 128",
    ...equals,
  });
  return false;
}

function readSecrets(fields: FieldReader, options: ReadOptions, findings: Findings): ServiceManifest["secrets"] {
  const section = fields.mapping("secrets");
  if (section === undefined) return { definitions: [], imports: [] };
  section.allowOnly(["global", "import", "local"], options);
  const definitions = [
    ...(section.list("global", { of: "secret definitions" }) ?? []).map((node) => readSecretDefinition(node, findings)),
    ...(section.list("local", { of: "secret definitions" }) ?? []).map((node) => readSecretDefinition(node, findings, { isLocal: true })),
  ].filter((definition) => definition !== undefined);
  const imports = (section.list("import", { of: "names" }) ?? [])
    .map((node) => readSecretImport(node, findings))
    .filter((item) => item !== undefined);
  reportDuplicateSecrets(definitions, findings);
  for (const definition of definitions) checkTextsOf(definition.node, findings);
  return { definitions, imports };
}

export function reportDuplicateSecrets(definitions: readonly SecretDefinition[], findings: Findings): void {
  const seen = new Map<string, Place>();
  for (const { name, at } of definitions) {
    const first = seen.get(name);
    if (first !== undefined) {
      findings.add(
        at,
        "E-SECRET-DUPLICATE",
        `the secret ${name} is defined in lines ${first.source.position(first.start).line} and ${at.source.position(at.start).line}`,
        { expected: "each name once" },
      );
    }
    seen.set(name, at);
  }
}

function checkTextsOf(node: ManifestNode, findings: Findings): void {
  if (node.kind === "scalar") {
    const text = readText(node, findings);
    if (text !== undefined) splitPlaceholders(text, findings);
  } else if (node.kind === "list") for (const item of node.items) checkTextsOf(item, findings);
  else for (const { value } of node.entries) checkTextsOf(value, findings);
}

function readInjectionFiles(fields: FieldReader, options: ReadOptions, findings: Findings): InjectionFile[] {
  const seen = new Map<string, Place>();
  const read = (fields.list("injection_files", { of: "files" }) ?? []).map((node): InjectionFile | undefined => {
    const item = node.kind === "scalar" ? undefined : readMapping(node, findings, "path, content and permission");
    item?.allowOnly(["path", "content", "permission"], options);
    const path = node.kind === "scalar" ? readText(node, findings) : item?.text("path", { required: true });
    if (path === undefined || !checkInjectionPath(path, findings)) return undefined;
    const first = seen.get(path.text);
    if (first !== undefined) {
      findings.add(
        path.at,
        "E-INJECT-DUPLICATE",
        `${path.text} is injected in lines ${first.source.position(first.start).line} and ${path.at.source.position(path.at.start).line}`,
        { expected: "each path once" },
      );
    }
    seen.set(path.text, path.at);
    const content = item?.text("content");
    if (content !== undefined) {
      splitPlaceholders(content, findings);
      findSecretReferences(content, findings);
    }
    const permission = item?.text("permission");
    if (permission !== undefined && !/^0o[0-7]{3,4}$/.test(permission.text)) {
      findings.add(permission.at, "E-VALUE", `${shortText(permission.text)} is no file mode`, { expected: "octal with 0o, e.g. 0o400" });
    }
    return { path, ...(content === undefined ? {} : { content }), ...(permission === undefined ? {} : { permission: permission.text }) };
  });
  return read.filter((file) => file !== undefined);
}

/** MF-47: absolute, normalized, outside of the kernel's directories. */
export function checkInjectionPath(path: PlacedText, findings: Findings): boolean {
  const refuse = (message: string, expected: string): false => {
    findings.add(path.at, "E-INJECT-PATH", `${shortText(path.text)} ${message}`, { expected });
    return false;
  };
  if (!path.text.startsWith("/")) return refuse("is not absolute", "an absolute path");
  const parts = path.text.split("/").slice(1);
  if (parts.some((part) => part === "" || part === "." || part === ".."))
    return refuse("is not normalized", "a normalized path, without ., .., // and trailing /");
  if (/^\/(?:proc|sys|dev)(?:\/|$)/.test(path.text))
    return refuse("lies in a reserved directory", "a path outside of the reserved directories /proc, /sys and /dev");
  return true;
}
