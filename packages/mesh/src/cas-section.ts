import { parseKeyHash } from "@vouchsafe/policy";
import type { Findings, Place } from "./diagnostic.ts";
import { type FieldReader, type PlacedText, type ReadOptions, readMapping, readWord, shortText } from "./manifest-reader.ts";
import type { ManifestNode } from "./manifest-yaml.ts";
import { CAS_MODES, type CasMode } from "./mesh-record.ts";
import { refuseShellVariables } from "./placeholder.ts";
import { isToleration } from "./policy-section.ts";

/** One entry of `cas` in a mesh (manifests section 5.2). */
export interface CasInstance {
  readonly name: string;
  readonly aliases: readonly string[];
  readonly host: string;
  readonly port: number;
  /** As written in the mesh, for `{{cas.I.cas_url}}`. */
  readonly url: string;
  readonly key: string | undefined;
  readonly encryptionKey: string | undefined;
  readonly tolerance: readonly string[];
  readonly mode: CasMode;
  readonly at: Place;
  readonly modeAt: Place;
}

export const CAS_ROLES = ["cas", "image", "security", "access", "attestation"] as const;
export type CasRole = (typeof CAS_ROLES)[number];
const FIELDS = ["name", "alias", "cas_url", "cas_key", "cas_encryption_key", "tolerance", "mode"];
const FLAGS = [
  "-C",
  "--accept-configuration-needed",
  "-G",
  "--accept-group-out-of-date",
  "-S",
  "--accept-sw-hardening-needed",
  "--only_for_testing-debug",
  "--only_for_testing-ignore-signer",
  "--only_for_testing-trust-any",
  "--only_for_testing_allow-unprovisioned-cas",
  "--allow-cas-owner-secret-access",
];
const WITH_VALUE = ["--mrenclave", "--mrsigner", "--isvprodid", "--isvsvn", "-c", "-s", "--nonce"];
const DEFAULT_CLIENT_PORT = 8081;

export interface CasReadOptions extends ReadOptions {
  readonly mode?: "production" | "debug";
}

export function readCasInstances(fields: FieldReader, options: CasReadOptions, findings: Findings): CasInstance[] {
  const nodes = fields.list("cas", { required: true, of: "CAS instances" });
  if (nodes === undefined) return [];
  if (nodes.length === 0) findings.add(fields.keyPlace("cas"), "E-FIELD-EMPTY", "cas is empty", { expected: "at least one CAS" });
  const instances = nodes
    .map((node) => readInstance(node, nodes.length === 1, options, findings))
    .filter((instance) => instance !== undefined);
  if (instances.length === nodes.length && nodes.length > 0) checkRoles(instances, fields.keyPlace("cas"), findings);
  return instances;
}

/** The instance with a role; roles other than `cas` default to it (MF-69). */
export function casWithRole(instances: readonly CasInstance[], role: CasRole): CasInstance | undefined {
  return (
    instances.find(({ name, aliases }) => name === role || aliases.includes(role)) ??
    (role === "cas" ? undefined : casWithRole(instances, "cas"))
  );
}

function readInstance(node: ManifestNode, isOnly: boolean, options: CasReadOptions, findings: Findings): CasInstance | undefined {
  const fields = readMapping(node, findings, "a CAS");
  if (fields === undefined) return undefined;
  fields.allowOnly(FIELDS, options);
  const name = fields.text("name");
  const aliases = fields.texts("alias") ?? [];
  const url = fields.text("cas_url", { required: true, refuseEmpty: true, variable: "CAS_URL" });
  const key = readKey(fields, "cas_key", "CAS_KEY", findings);
  const encryptionKey = readKey(fields, "cas_encryption_key", "CAS_SESSION_ENCRYPTION_KEY", findings);
  const modeText = fields.text("mode");
  const mode =
    modeText === undefined || refuseShellVariables(modeText, findings) ? "Upload" : readWord(modeText, CAS_MODES, "E-CAS-MODE", findings);
  const tolerance = fields.text("tolerance");
  const words = tolerance === undefined ? [] : readTolerance(tolerance, options, findings);
  for (const text of [name, ...aliases]) if (text !== undefined) refuseShellVariables(text, findings);
  const address = url === undefined ? undefined : readAddress(url, findings);
  if (key !== undefined) checkKey(key, findings);
  if (
    encryptionKey !== undefined &&
    !refuseShellVariables(encryptionKey, findings) &&
    !/^(?:[0-9A-Fa-f]{64}|[a-z][a-z0-9]*-[A-Za-z0-9_-]+)$/.test(encryptionKey.text)
  ) {
    findings.add(encryptionKey.at, "E-CAS-ENCKEY", `${shortText(encryptionKey.text)} is no encryption key`, {
      expected: "64 hex digits, or the name of a suite, '-' and its key",
    });
  }
  if (name === undefined && !isOnly)
    findings.add(fields.at, "E-FIELD-MISSING", "name is missing", { expected: "a name for each of several CAS instances" });
  if (address === undefined || url === undefined) return undefined;
  return {
    name: name?.text ?? "cas",
    aliases: aliases.map(({ text }) => text),
    ...address,
    url: url.text,
    key: key?.text,
    encryptionKey: encryptionKey?.text,
    tolerance: words,
    mode: mode ?? "Upload",
    at: name?.at ?? fields.at,
    modeAt: modeText?.at ?? fields.at,
  };
}

/** A key that is written but empty is the trace of a failed key step (MF-101). */
function readKey(fields: FieldReader, field: string, variable: string, findings: Findings): PlacedText | undefined {
  if (!fields.isWritten(field)) return undefined;
  const text = fields.text(field);
  if (text !== undefined && text.text.trim() !== "") return text;
  findings.add(
    { ...fields.keyPlace(field), path: `${fields.path}.${field}` },
    "E-CAS-KEY-EMPTY",
    `${field} is empty: the shell variable ${variable} was not set when the template was rendered`,
    {
      expected: "the key, or no such field",
      hint: `get the keys with: source <(kubectl provision cas CAS -n NAMESPACE --print-public-keys), then render again; the first that is empty is ${variable}`,
    },
  );
  return undefined;
}

function checkKey(key: PlacedText, findings: Findings): void {
  if (refuseShellVariables(key, findings) || parseKeyHash(key.text).kind === "ok") return;
  findings.add(key.at, "E-CAS-KEY", `${shortText(key.text)} is no key hash`, { expected: "50 characters of Base58 with a checksum" });
}

function readAddress(url: PlacedText, findings: Findings): { host: string; port: number } | undefined {
  if (refuseShellVariables(url, findings)) return undefined;
  const withoutScheme = url.text.replace(/^https:\/\//, "");
  if (withoutScheme !== url.text) findings.add(url.at, "W-FIELD-SYNONYM", "cas_url has a scheme", { expected: "host or host:port" });
  const match = /^([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(?::(\d{1,5}))?$/.exec(withoutScheme);
  const port = match?.[2] === undefined ? DEFAULT_CLIENT_PORT : Number(match[2]);
  if (match?.[1] !== undefined && port >= 1 && port <= 65_535) return { host: match[1], port };
  findings.add(url.at, "E-CAS-URL", `${shortText(url.text)} is no address of a CAS`, { expected: "host only, or host:port" });
  return undefined;
}

function readTolerance(text: PlacedText, options: CasReadOptions, findings: Findings): string[] {
  const words = text.text.split(/\s+/).filter((word) => word !== "");
  const refuse = (message: string, expected: string) => findings.add(text.at, "E-TOLERANCE", message, { expected });
  const flags = new Set<string>();
  for (let index = 0; index < words.length; index++) {
    const [word = "", inline] = (words[index] ?? "").split("=");
    if (WITH_VALUE.includes(word)) {
      if (inline === undefined && words[++index] === undefined) refuse(`${word} has no value`, `a value after ${word}`);
      flags.add(word);
    } else if (FLAGS.includes(word) || (word.startsWith("--") && isToleration(word.slice(2)))) flags.add(word);
    else refuse(`the word ${shortText(word)} is unknown`, [...FLAGS, ...WITH_VALUE].join(", "));
  }
  const has = (word: string) => flags.has(word);
  if (has("--mrsigner") && !(has("--isvprodid") && has("--isvsvn")))
    refuse("--mrsigner stands alone", "--isvprodid and --isvsvn beside it");
  if (has("--only_for_testing-trust-any") && !has("--only_for_testing-debug"))
    refuse("trust-any stands alone", "--only_for_testing-debug beside it");
  if (has("--only_for_testing-debug") && !has("--only_for_testing-ignore-signer") && !has("--mrsigner")) {
    refuse("debug stands alone", "--only_for_testing-ignore-signer or --mrsigner beside it");
  }
  if (has("--only_for_testing-ignore-signer") && !has("--only_for_testing-trust-any") && !has("--mrenclave"))
    refuse("ignore-signer stands alone", "--mrenclave beside it");
  const testing = [...flags].find((word) => word.startsWith("--only_for_testing"));
  if (testing !== undefined && (options.mode ?? "production") === "production") {
    findings.add(text.at, "W-CAS-INSECURE", `${testing} accepts a CAS that proves too little, in production mode`);
  }
  return words;
}

function checkRoles(instances: readonly CasInstance[], at: Place, findings: Findings): void {
  const holders = new Map<string, CasInstance>();
  for (const instance of instances) {
    const names = [...new Set([instance.name, ...instance.aliases])];
    if (!names.some((name) => CAS_ROLES.some((role) => role === name))) {
      findings.add(instance.at, "E-CAS-ROLE", `the CAS ${instance.name} has no role`, {
        expected: `a name or alias among the roles ${CAS_ROLES.join(", ")}`,
      });
    }
    for (const name of names) {
      const other = holders.get(name);
      if (other !== undefined)
        findings.add(instance.at, "E-CAS-ROLE", `the role ${name} belongs to ${other.name} and to ${instance.name}`, {
          expected: "each role once",
        });
      holders.set(name, instance);
    }
  }
  if (!holders.has("cas"))
    findings.add({ ...at, path: "cas" }, "E-CAS-ROLE", "the role cas is missing", { expected: "one CAS with the name or alias cas" });
}
