import { type CasInstance, readCasInstances } from "./cas-section.ts";
import { Findings, type Place } from "./diagnostic.ts";
import { type ExtraValues, readExtraValues } from "./extra-values.ts";
import { checkImageReference } from "./image-reference.ts";
import { readHeader } from "./manifest-header.ts";
import { FieldReader, type PlacedText, readMapping, readText, shortText } from "./manifest-reader.ts";
import { type ManifestNode, parseManifestYaml } from "./manifest-yaml.ts";
import { refuseShellVariables } from "./placeholder.ts";
import { type PolicyReadOptions, type PolicySection, readPolicySection } from "./policy-section.ts";
import { checkVariableName, type ReadResult, type Variable } from "./service-manifest.ts";

/** A mesh manifest: how images become one application (manifests section 5). */
export interface MeshManifest {
  readonly file: string;
  readonly cas: readonly CasInstance[];
  readonly policy: PolicySection;
  readonly env: readonly EnvironmentSection[];
  readonly services: readonly MeshService[];
  readonly repo: Repo | undefined;
  readonly extraValues: ExtraValues;
  readonly extraPolicies: readonly { readonly path: PlacedText; readonly mode: "production" | "debug" | undefined }[];
}
export interface EnvironmentSection {
  /** `global`, `helm` or the name of a service. */
  readonly service: string;
  readonly variables: readonly Variable[];
}
export interface MeshService {
  readonly name: string;
  readonly at: Place;
  readonly image: PlacedText;
  readonly imageSecrets: PlacedText | undefined;
  readonly imagePolicy: PlacedText | undefined;
  readonly helmChart: PlacedText | undefined;
  readonly env: PlacedText | undefined;
}
export interface Repo {
  readonly at: Place;
  readonly destination: string;
  readonly push: boolean;
  readonly squash: boolean;
  readonly strip: boolean;
  readonly keyFile: PlacedText | undefined;
  readonly configId: string | undefined;
}
export interface MeshReadOptions extends PolicyReadOptions {}

const FIELDS = ["apiVersion", "kind", "cas", "policy", "env", "services", "repo", "helm_extra_values", "extra_policies"];
const SERVICE_FIELDS = ["build", "environment", "secrets", "injection_files"];

/** Reads and checks the text of a mesh manifest. The manifest is undefined where an error makes it useless. */
export function readMeshManifest(text: string, file: string, options: MeshReadOptions = {}): ReadResult<MeshManifest> {
  const findings = new Findings();
  const node = parseManifestYaml(text, file, findings);
  const manifest = node?.kind === "mapping" ? readTop(new FieldReader(node, findings), file, options, findings) : undefined;
  return { manifest: findings.hasErrors ? undefined : manifest, diagnostics: findings.list() };
}

function readTop(fields: FieldReader, file: string, options: MeshReadOptions, findings: Findings): MeshManifest | undefined {
  readHeader(fields, findings);
  fields.allowOnly(FIELDS, options, (key) => (SERVICE_FIELDS.includes(key) ? "belongs to a manifest of kind genservice" : undefined));
  const cas = readCasInstances(fields, options, findings);
  const policy = readPolicySection(fields, options, findings);
  const services = readServices(fields, options, findings);
  const env = readEnvironments(
    fields,
    services.map(({ name }) => name),
    options,
    findings,
  );
  const repo = readRepo(fields, options, findings);
  const extraValues = readExtraValues(fields, findings);
  const extraPolicies = (fields.list("extra_policies", { of: "policies" }) ?? []).flatMap((each) => {
    const item = readMapping(each, findings, "name and mode");
    item?.allowOnly(["name", "mode"], options);
    const path = item?.text("name", { required: true });
    return path === undefined ? [] : [{ path, mode: item?.word("mode", ["production", "debug"] as const) }];
  });
  if (policy === undefined) return undefined;
  return { file, cas, policy, env, services, repo, extraValues, extraPolicies };
}

function readServices(fields: FieldReader, options: MeshReadOptions, findings: Findings): MeshService[] {
  const nodes = fields.list("services", { required: true, of: "services" });
  if (nodes?.length === 0)
    findings.add(fields.keyPlace("services"), "E-FIELD-EMPTY", "services is empty", { expected: "at least one service" });
  const services = (nodes ?? []).map((node) => readService(node, options, findings)).filter((service) => service !== undefined);
  const seen = new Map<string, Place>();
  for (const { name, at } of services) {
    const first = seen.get(name);
    if (first !== undefined) {
      findings.add(
        at,
        "E-SERVICE-DUPLICATE",
        `the service ${name} is defined in lines ${first.source.position(first.start).line} and ${at.source.position(at.start).line}`,
        {
          expected: "each name once; without name a service is called after its image",
        },
      );
    }
    seen.set(name, at);
  }
  return services;
}

function readService(node: ManifestNode, options: MeshReadOptions, findings: Findings): MeshService | undefined {
  const fields = readMapping(node, findings, "a service");
  if (fields === undefined) return undefined;
  fields.allowOnly(["name", "image", "image_secrets", "image_policy", "helm_chart", "env"], options);
  const image = fields.text("image", { required: true, refuseEmpty: true });
  const reference = image === undefined ? undefined : checkImageReference(image, findings, true);
  const given = fields.text("name");
  if (image === undefined || reference === undefined) return undefined;
  const name = given ?? { text: derivedName(reference), at: image.at };
  if (refuseShellVariables(name, findings)) return undefined;
  if (name.text === "global" || name.text === "helm") {
    findings.add(name.at, "E-SERVICE-NAME", `${name.text} is reserved`, { expected: "another name; global and helm are reserved" });
  } else if (!/^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,51}[A-Za-z0-9])?$/.test(name.text)) {
    findings.add(name.at, "E-SERVICE-NAME", `${shortText(name.text)} is no name of a service`, {
      expected: "the allowed characters are letters, digits, '_' and '-', at most 53, a letter or digit first and last",
    });
  }
  return {
    name: name.text,
    at: name.at,
    image: { text: reference, at: image.at },
    imageSecrets: fields.text("image_secrets"),
    imagePolicy: fields.text("image_policy"),
    helmChart: fields.text("helm_chart"),
    env: fields.text("env"),
  };
}

const derivedName = (reference: string): string =>
  ((reference.split("@")[0] ?? "").split("/").at(-1)?.split(":")[0] ?? "").replaceAll(".", "-");

function readEnvironments(
  fields: FieldReader,
  services: readonly string[],
  options: MeshReadOptions,
  findings: Findings,
): EnvironmentSection[] {
  if (!fields.isWritten("env"))
    findings.add({ ...fields.at, path: "" }, "E-FIELD-MISSING", "env is missing", { expected: "the field env; it may be empty" });
  const nodes = fields.list("env", { of: "sections" }) ?? [];
  const readers = nodes.map((node) => readMapping(node, findings, "service and env")).filter((reader) => reader !== undefined);
  const flat = readers.filter((reader) => !reader.isWritten("service"));
  if (flat.length > 0 && flat.length < readers.length) {
    for (const reader of flat)
      findings.add(reader.at, "E-ENV-MIXED", "an item without service stands beside items with it", {
        expected: "one form: sections with service and env, or a flat list of name and value",
      });
    return [];
  }
  if (flat.length > 0 && flat.every((reader) => !reader.isWritten("env"))) {
    findings.add(fields.keyPlace("env"), "W-ENV-FLAT", "env is a flat list: its variables are read as global", {
      expected: "sections with service and env",
    });
    return [{ service: "global", variables: readVariables(nodes, options, findings) }];
  }
  const seen = new Map<string, Place>();
  const sections = readers.map((reader): EnvironmentSection | undefined => {
    reader.allowOnly(["service", "env"], options);
    const service = reader.text("service", { required: true });
    if (service === undefined) return undefined;
    const first = seen.get(service.text);
    if (first !== undefined) {
      findings.add(
        service.at,
        "E-ENV-DUPLICATE",
        `the section ${service.text} stands in lines ${first.source.position(first.start).line} and ${service.at.source.position(service.at.start).line}`,
        { expected: "each section once" },
      );
    }
    seen.set(service.text, service.at);
    if (service.text !== "global" && service.text !== "helm" && !services.includes(service.text)) {
      findings.add(service.at, "E-ENV-SERVICE", `no service is named ${shortText(service.text)}`, {
        expected: ["global", "helm", ...services].join(", "),
      });
    }
    return { service: service.text, variables: readVariables(reader.list("env", { of: "name/value" }) ?? [], options, findings) };
  });
  return sections.filter((section) => section !== undefined);
}

function readVariables(nodes: readonly ManifestNode[], options: MeshReadOptions, findings: Findings): Variable[] {
  const seen = new Map<string, Place>();
  return nodes.flatMap((node) => {
    const item = readMapping(node, findings, "name and value");
    item?.allowOnly(["name", "value"], options);
    const name = item?.text("name", { required: true });
    if (item === undefined || name === undefined || !checkVariableName(name, findings)) return [];
    const first = seen.get(name.text);
    if (first !== undefined) {
      findings.add(
        name.at,
        "E-ENV-DUPLICATE",
        `${name.text} is defined in lines ${first.source.position(first.start).line} and ${name.at.source.position(name.at.start).line}`,
        { expected: "each name once in a section" },
      );
    }
    seen.set(name.text, name.at);
    if (!item.isWritten("value")) {
      findings.add(name.at, "E-FIELD-MISSING", `the variable ${name.text} has no value`, { expected: "a value; it may be an empty text" });
      return [];
    }
    const node_ = item.node("value");
    const value = node_ === undefined ? { text: "", at: item.keyPlace("value") } : readText(node_, findings);
    return value === undefined ? [] : [{ name: name.text, value, at: name.at }];
  });
}

function readRepo(fields: FieldReader, options: MeshReadOptions, findings: Findings): Repo | undefined {
  const repo = fields.mapping("repo");
  if (repo === undefined) return undefined;
  repo.synonym("signature", "key_file", "repo.key_file");
  repo.allowOnly(["destination", "push", "squash", "strip", "key_file", "config_id"], options);
  const destination = repo.text("destination", { required: true, refuseEmpty: true });
  if (destination === undefined || refuseShellVariables(destination, findings)) return undefined;
  return {
    at: destination.at,
    destination: destination.text,
    push: repo.boolean("push") ?? true,
    squash: repo.boolean("squash") ?? false,
    strip: repo.boolean("strip") ?? true,
    keyFile: repo.text("key_file"),
    configId: repo.text("config_id")?.text,
  };
}
