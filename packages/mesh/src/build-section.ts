import { splitCommand } from "./command-line.ts";
import type { Findings, Place } from "./diagnostic.ts";
import { checkImageReference } from "./image-reference.ts";
import { type FieldReader, type PlacedText, type ReadOptions, readMapping, readWord, shortText } from "./manifest-reader.ts";
import type { ManifestNode } from "./manifest-yaml.ts";
import { refusePlaceholders, refuseShellVariables, splitPlaceholders } from "./placeholder.ts";
import { findSecretReferences } from "./secret-reference.ts";

/** `build` of a service manifest (manifests section 3.5). */
export interface BuildSection {
  readonly name: PlacedText;
  readonly kind: BuildKind;
  readonly kindAt: Place;
  readonly to: PlacedText;
  readonly from: PlacedText | undefined;
  /** Program and arguments with `{{…}}` and `$$SCONE::…$$` as written. */
  readonly command: readonly string[];
  readonly commandAt: Place;
  readonly pwd: PlacedText | undefined;
  readonly copy: readonly PlacedText[];
  readonly requirements: PlacedText | undefined;
  readonly run: readonly PlacedText[];
  readonly encrypt: boolean;
  readonly signatureKey: PlacedText | undefined;
  readonly stable: PlacedText | undefined;
  readonly volumes: readonly Volume[];
  readonly policyTemplate: PlacedText | undefined;
  /** Fields that shape protection beyond `copy`. */
  readonly regions: readonly Region[];
  readonly binaries: readonly PlacedText[];
}
export const BUILD_KINDS = [
  "python",
  "java",
  "java17",
  "java-glibc",
  "java17-glibc",
  "java21",
  "java21-ubuntu",
  "java15",
  "java8",
  "sconify_image",
] as const;
export type BuildKind = (typeof BUILD_KINDS)[number];
export interface Region {
  readonly field: "dirs" | "fs_dirs" | "fs_files" | "plains" | "plain_files" | "host_paths";
  readonly path: PlacedText;
}
export interface Volume {
  readonly name: string;
  readonly path: string;
  readonly updatePolicy: UpdatePolicy;
  readonly files: "encrypted" | "authenticated-only";
  readonly import?: { readonly session: string; readonly volume: string };
  /** In the terms of the policy language. */
  readonly exports: readonly Readonly<Record<string, string>>[];
}
export const UPDATE_POLICIES = ["ephemeral", "rollback_protected", "no_rollback_protection"] as const;
export type UpdatePolicy = (typeof UPDATE_POLICIES)[number];

const REGION_FIELDS = ["dirs", "fs_dirs", "fs_files", "plains", "plain_files", "host_paths"] as const;
const FIELDS = [
  "name",
  "kind",
  "to",
  "from",
  "command",
  "pwd",
  "copy",
  "requirements",
  "run",
  ...REGION_FIELDS,
  "binaries",
  "signature",
  "stable",
  "volumes",
  "gen_policy",
  "encrypt",
];

export function readBuildSection(
  fields: FieldReader,
  topRequirements: PlacedText | undefined,
  options: ReadOptions,
  findings: Findings,
): BuildSection | undefined {
  fields.synonym("host_path", "host_paths", "build.host_paths");
  fields.allowOnly(FIELDS, options);
  const name = fields.text("name", { required: true, refuseEmpty: true });
  if (name !== undefined && !refuseShellVariables(name, findings) && !/^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$/.test(name.text)) {
    findings.add(name.at, "E-NAME", `${shortText(name.text)} is no name of a service`, {
      expected: "letters, digits, '_', '.' and '-', at most 63",
    });
  }
  const kind = readKind(fields, findings);
  const to = readImage(fields, "to", true, findings);
  const from = readImage(fields, "from", kind === "sconify_image", findings);
  const command = readCommand(fields, findings);
  const pwd = fields.text("pwd");
  if (pwd !== undefined && !pwd.text.startsWith("/"))
    findings.add(pwd.at, "E-VALUE", `${shortText(pwd.text)} is not absolute`, { expected: "an absolute path" });
  const requirements = fields.text("requirements") ?? topRequirements;
  if (requirements !== undefined && kind !== undefined && kind !== "python") {
    findings.add(requirements.at, "E-BUILD-FIELD", `requirements do not go with kind ${kind}`, {
      expected: "requirements with kind python only",
    });
  }
  const copy = fields.texts("copy") ?? [];
  const run = fields.texts("run") ?? [];
  const regions = REGION_FIELDS.flatMap((field) => (fields.texts(field) ?? []).map((path) => ({ field, path })));
  checkRegions(regions, [pwd?.text, programDirectory(command?.command)], findings);
  const binaries = fields.texts("binaries") ?? [];
  for (const text of [...copy, ...run, ...binaries, ...regions.map(({ path }) => path), requirements, pwd, name, to, from]) {
    if (text !== undefined) refusePlaceholders(text, findings);
  }
  const signature = fields.mapping("signature");
  signature?.allowOnly(["sign", "key"], options);
  signature?.boolean("sign");
  const genPolicy = fields.mapping("gen_policy");
  genPolicy?.allowOnly(["policy"], options);
  const stable = readImage(fields, "stable", false, findings, true);
  const volumes = readVolumes(fields.list("volumes", { of: "volumes" }), options, findings);
  const encrypt = fields.boolean("encrypt") ?? (kind !== undefined && kind !== "sconify_image");
  if (name === undefined || kind === undefined || to === undefined || command === undefined) return undefined;
  return {
    name,
    kind,
    kindAt: fields.keyPlace("kind"),
    to,
    from,
    ...command,
    pwd,
    copy,
    requirements,
    run,
    encrypt,
    signatureKey: signature?.text("key"),
    stable,
    volumes,
    policyTemplate: genPolicy?.text("policy"),
    regions,
    binaries,
  };
}

function readKind(fields: FieldReader, findings: Findings): BuildKind | undefined {
  const text = fields.text("kind", { required: `one of ${BUILD_KINDS.join(", ")}` });
  if (text === undefined || refuseShellVariables(text, findings)) return undefined;
  if (text.text === "java 8") {
    findings.add(text.at, "W-FIELD-SYNONYM", "java 8 is an old name", { expected: "java8" });
    return "java8";
  }
  return readWord(text, BUILD_KINDS, "E-BUILD-KIND", findings);
}

function readImage(fields: FieldReader, name: string, required: boolean, findings: Findings, digest = false): PlacedText | undefined {
  const text = fields.text(name, { required, refuseEmpty: true });
  const reference = text === undefined ? undefined : checkImageReference(text, findings, digest || name === "from");
  return text === undefined || reference === undefined ? undefined : { text: reference, at: text.at };
}

function readCommand(fields: FieldReader, findings: Findings): { command: readonly string[]; commandAt: Place } | undefined {
  const node = fields.node("command");
  const refuse = (at: Place, message: string): undefined => {
    findings.add(at, "E-COMMAND", message, { expected: "a program and its arguments" });
    return undefined;
  };
  const texts =
    node?.kind === "list" ? fields.texts("command") : [fields.text("command", { required: true })].filter((text) => text !== undefined);
  if (node === undefined || texts === undefined) return undefined;
  for (const text of texts) {
    splitPlaceholders(text, findings);
    findSecretReferences(text, findings);
  }
  const words = node.kind === "list" ? texts.map(({ text }) => text) : splitCommand(texts[0]?.text ?? "");
  if (words === undefined) return refuse(node.at, "a quote is not closed");
  if (words.length === 0 || words[0] === "") return refuse(node.at, "the command is empty");
  return { command: words, commandAt: node.at };
}

/** Where the program lies, if the command says so. */
const programDirectory = (command: readonly string[] | undefined): string | undefined => {
  const word = command?.[0] ?? "";
  return word.startsWith("/") ? word.slice(0, word.lastIndexOf("/")) || "/" : undefined;
};

export const withoutTrailingSlash = (path: string): string => path.replace(/\/+$/, "") || "/";

/** MF-51, MF-52. `own`: directories of the program, which must not be left without protection either. */
function checkRegions(regions: readonly Region[], own: readonly (string | undefined)[], findings: Findings): void {
  const seen = new Map<string, Region>();
  for (const region of regions) {
    const { field, path: written } = region;
    const path = withoutTrailingSlash(written.text);
    if (!path.startsWith("/") || path.split("/").includes(".."))
      findings.add(written.at, "E-VALUE", `${shortText(written.text)} is no absolute path`, { expected: "an absolute path without .." });
    const first = seen.get(path);
    if (first !== undefined && first.field !== field) {
      findings.add(written.at, "E-PROTECT-CONFLICT", `${path} stands in ${first.field} and in ${field}`, {
        expected: "each path in one of them",
      });
    }
    seen.set(path, region);
    if (field !== "host_paths") continue;
    const isVital = ["/", "/etc", "/usr", "/lib", ...own.map((each) => (each === undefined ? each : withoutTrailingSlash(each)))].includes(
      path,
    );
    if (isVital || /[*?[]/.test(path)) {
      findings.add(written.at, "E-HOST-PATH", `${path} must not be left without protection`, {
        expected: "single files or directories of the system, e.g. /etc/resolv.conf",
      });
    } else
      findings.add(written.at, "W-HOST-PATH", `${path} is not protected: whoever runs the container decides what the program finds there`);
  }
}

function readVolumes(nodes: readonly ManifestNode[] | undefined, options: ReadOptions, findings: Findings): Volume[] {
  const read = (nodes ?? []).map((node): Volume | undefined => {
    const item = readMapping(node, findings, "a volume");
    item?.allowOnly(["name", "path", "export", "import", "update_policy", "files"], options);
    const name = item?.text("name", { required: true });
    const path = item?.text("path", { required: true });
    if (item === undefined || name === undefined || path === undefined) return undefined;
    if (!path.text.startsWith("/"))
      findings.add(path.at, "E-VALUE", `${shortText(path.text)} is not absolute`, { expected: "an absolute path" });
    if (item.has("import") && item.has("export"))
      findings.add(item.keyPlace("import"), "E-VOLUME", `volume ${name.text} has import and export`, { expected: "not both together" });
    const imported = item.mapping("import");
    imported?.allowOnly(["session", "volume"], options);
    const session = imported?.text("session", { required: true });
    const volume = imported?.text("volume", { required: true });
    return {
      name: name.text,
      path: path.text,
      updatePolicy: item.word("update_policy", UPDATE_POLICIES) ?? "rollback_protected",
      files: item.word("files", ["encrypted", "authenticated-only"] as const) ?? "encrypted",
      ...(session === undefined || volume === undefined ? {} : { import: { session: session.text, volume: volume.text } }),
      exports: (item.list("export", { of: "policies" }) ?? [])
        .map((each) => readVolumeExport(each, options, findings))
        .filter((each) => each !== undefined),
    };
  });
  return read.filter((volume) => volume !== undefined);
}

function readVolumeExport(node: ManifestNode, options: ReadOptions, findings: Findings): Record<string, string> | undefined {
  const item = readMapping(node, findings, "an export");
  item?.allowOnly(["session", "session_hash", "update_policy", "volume_alias"], options);
  const session = item?.text("session", { required: true });
  if (item === undefined || session === undefined) return undefined;
  const hash = item.text("session_hash");
  if (hash !== undefined && !/^[0-9A-Fa-f]{64}$/.test(hash.text))
    findings.add(hash.at, "E-VALUE", `${shortText(hash.text)} is no hash`, { expected: "64 hex digits" });
  const updatePolicy = item.word("update_policy", UPDATE_POLICIES);
  const alias = item.text("volume_alias");
  return {
    session: session.text,
    ...(hash === undefined ? {} : { session_hash: hash.text }),
    ...(updatePolicy === undefined ? {} : { update_policy: updatePolicy }),
    ...(alias === undefined ? {} : { volume_alias: alias.text }),
  };
}
