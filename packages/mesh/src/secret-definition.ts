import { createPrivateKey, X509Certificate } from "node:crypto";
import { KEY_TYPES } from "@vouchsafe/policy";
import type { Findings, Place } from "./diagnostic.ts";
import { type FieldReader, type PlacedText, readMapping, readText, readWord, shortText } from "./manifest-reader.ts";
import type { ManifestNode } from "./manifest-yaml.ts";
import { orList } from "./nearest.ts";
import { SECRET_KINDS, type SecretKind } from "./secret-reference.ts";

/** One secret of a service (MF-39 to MF-44). `node` is the definition as written, in the terms of the policy language. */
export interface SecretDefinition {
  readonly name: string;
  readonly kind: SecretKind;
  readonly at: Place;
  readonly node: ManifestNode;
  /** Names of other secrets that it refers to. */
  readonly privateKey?: PlacedText;
  readonly issuer?: PlacedText;
  readonly signer?: PlacedText;
  readonly migrate: boolean;
  readonly hasValue: boolean;
  readonly exportPublic: boolean;
  readonly exportsToNamespace: boolean;
  /** Not importable by other services. */
  readonly local: boolean;
}

const NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,127}$/;
const COMMON = ["name", "kind", "value", "export_public", "export"];
const FIELDS: Readonly<Record<SecretKind, readonly string[]>> = {
  ascii: ["size"],
  binary: ["size"],
  "private-key": ["key_type", "migrate"],
  "public-key": ["private_key"],
  x509: ["private_key", "issuer", "common_name", "endpoint", "dns", "san", "valid_for"],
  "x509-ca": ["private_key", "issuer", "common_name", "valid_for"],
  "pgp-key": [],
  jwt: ["signer", "alg", "validity", "payload"],
  "aad-token": ["tenant_id", "client_id", "application_secret", "private_key", "certificate_thumbprint"],
  "config-fragment": [],
};
const EVERY_FIELD = [...new Set([...COMMON, ...Object.values(FIELDS).flat()])];
/** What the policy language has besides, for files that hold full definitions (`image_secrets`); the policy's own check judges them. */
const LANGUAGE_FIELDS = ["import_akv", "supplied_by", "required", "scope", "rotate", "epoch", "x509"];
const NEVER_PUBLIC: readonly SecretKind[] = ["private-key", "pgp-key", "jwt", "aad-token"];
const DURATION = /^\s*(?:\d+\s*(?:s|sec|seconds?|m|min|minutes?|h|hr|hours?|d|days?|w|weeks?|M|months?|y|years?)\s*)+$/;

/** Reads one definition. A field that holds a placeholder is judged after it has been rendered. */
export function readSecretDefinition(
  node: ManifestNode,
  findings: Findings,
  { isLocal = false, isFull = false }: { readonly isLocal?: boolean; readonly isFull?: boolean } = {},
): SecretDefinition | undefined {
  const fields = readMapping(node, findings, "a secret definition");
  if (fields === undefined) return undefined;
  const name = fields.text("name", { required: true, refuseEmpty: true });
  const kind = fields.word("kind", SECRET_KINDS, "E-SECRET-KIND", { required: `one of ${orList(SECRET_KINDS)}` });
  if (name !== undefined) checkSecretName(name, findings);
  if (name === undefined || kind === undefined) return undefined;
  fields.allowOnly(isFull ? [...EVERY_FIELD, ...LANGUAGE_FIELDS] : EVERY_FIELD, {});
  for (const field of EVERY_FIELD) {
    if (fields.isWritten(field) && !COMMON.includes(field) && !FIELDS[kind].includes(field)) {
      const hint =
        kind === "x509-ca" && (field === "dns" || field === "san")
          ? { hint: `${field} belongs to end-entity certificates only, kind x509` }
          : {};
      findings.add(fields.keyPlace(field), "E-SECRET-FIELD", `${field} does not belong to a secret of kind ${kind}`, {
        expected: orList([...COMMON, ...FIELDS[kind]]),
        ...hint,
      });
    }
  }
  const exportPublic = fields.boolean("export_public") ?? false;
  if (exportPublic && NEVER_PUBLIC.includes(kind)) {
    findings.add(fields.keyPlace("export_public"), "E-SECRET-PUBLIC", `a secret of kind ${kind} cannot be public`, {
      expected: `export_public on ${orList(SECRET_KINDS.filter((each) => !NEVER_PUBLIC.includes(each)))}`,
    });
  }
  const hasValue = ["value", "import_akv", "supplied_by"].some((field) => fields.isWritten(field) && fields.node(field) !== undefined);
  if (exportPublic && !hasValue && (kind === "ascii" || kind === "binary")) {
    findings.add(fields.keyPlace("export_public"), "W-PUBLIC-SECRET", `the generated secret ${name.text} can be read by anyone`);
  }
  if (fields.has("value") && fields.has("size")) findings.add(fields.keyPlace("size"), "W-SECRET-SIZE", "size is ignored beside a value");
  checkKind[kind](fields, findings, hasValue);
  return {
    name: name.text,
    kind,
    at: name.at,
    node,
    ...optional("privateKey", kind === "aad-token" ? undefined : fields.text("private_key")),
    ...optional("issuer", fields.text("issuer")),
    ...optional("signer", fields.text("signer")),
    migrate: fields.boolean("migrate") ?? false,
    hasValue,
    exportPublic,
    exportsToNamespace: namespaceExports(fields.node("export")),
    local: isLocal,
  };
}

export function checkSecretName(name: PlacedText, findings: Findings): void {
  if (NAME.test(name.text) || name.text.includes("{{")) return;
  const dot = /[.:]/.test(name.text) ? { hint: "'.' and ':' start a format" } : {};
  findings.add(name.at, "E-NAME", `${shortText(name.text)} is no name of a secret`, {
    expected: "a letter or _, then letters, digits, _ and -, at most 128",
    ...dot,
  });
}

const optional = <K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } =>
  value === undefined ? {} : ({ [key]: value } as { [P in K]?: V }); // one known key

function namespaceExports(node: ManifestNode | undefined): boolean {
  const items = node?.kind === "list" ? node.items : node === undefined ? [] : [node];
  return items.some((item) => item.kind === "mapping" && item.entries.some(({ key }) => key === "namespace"));
}

type KindCheck = (fields: FieldReader, findings: Findings, hasValue: boolean) => void;

function requireField(fields: FieldReader, findings: Findings, field: string, why: string): void {
  if (fields.has(field)) return;
  findings.add(fields.at, "E-SECRET-FIELD", `${field} is missing: ${why}`, { expected: `the field ${field}` });
}

/** Text without placeholders, or undefined: others are judged after rendering. */
function settled(fields: FieldReader, field: string): PlacedText | undefined {
  const text = fields.node(field)?.kind === "scalar" ? fields.text(field) : undefined;
  return text === undefined || text.text.includes("{{") ? undefined : text;
}

const checkSize: KindCheck = (fields) => {
  if (settled(fields, "size") !== undefined) fields.integer("size", 1, 65_536);
};

const checkCertificate: KindCheck = (fields, findings, hasValue) => {
  if (!hasValue) requireField(fields, findings, "private_key", "a generated certificate needs a key");
  const lifetime = settled(fields, "valid_for");
  if (lifetime !== undefined && hasValue)
    findings.add(lifetime.at, "E-SECRET-FIELD", "valid_for and value do not go together", { expected: "one of them" });
  else if (lifetime !== undefined && !DURATION.test(lifetime.text)) {
    findings.add(lifetime.at, "E-VALUE", `${shortText(lifetime.text)} is no duration`, {
      expected: "numbers with units, e.g. 59d, 90 days, 1 year",
    });
  }
  const commonName = settled(fields, "common_name");
  if (commonName !== undefined && [...commonName.text].length > 64) {
    findings.add(commonName.at, "E-CERT-CN", `the common name has ${[...commonName.text].length} characters`, {
      expected: "at most 64 characters",
    });
  }
  const value = settled(fields, "value");
  if (value === undefined) return;
  if (!isCertificate(value.text))
    findings.add(value.at, "E-SECRET-VALUE", "the value is no PEM certificate", { expected: "a PEM certificate" });
};

const checkLeaf: KindCheck = (fields, findings, hasValue) => {
  checkCertificate(fields, findings, hasValue);
  const endpointText = settled(fields, "endpoint");
  const endpoint = endpointText === undefined ? undefined : readWord(endpointText, ["server", "client"] as const, "E-VALUE", findings);
  if (endpoint === "client" && fields.has("dns")) {
    findings.add(fields.keyPlace("dns"), "E-SECRET-FIELD", "endpoint: client and dns do not go together", { expected: "one of them" });
  }
  for (const name of fields.texts("dns", { orOne: true }) ?? []) checkDnsName(name, name.text, findings);
  for (const item of fields.texts("san", { orOne: true }) ?? []) {
    const [type = "", rest = ""] = item.text.split(/:(.*)/s);
    if (item.text.includes("{{")) continue;
    if (type === "dns") checkDnsName(item, rest, findings);
    else if (type !== "ip")
      findings.add(item.at, "E-VALUE", `${shortText(item.text)} names no type`, { expected: "dns:<name> or ip:<address>" });
  }
};

function checkDnsName(text: PlacedText, name: string, findings: Findings): void {
  if (name.includes("{{")) return;
  const label = /^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/;
  const labels = name.replace(/^\*\./, "").split(".");
  if (name.length <= 253 && labels.every((each) => label.test(each))) return;
  findings.add(text.at, "E-CERT-DNS", `${shortText(name)} is no DNS name`, {
    expected: "labels of letters, digits and -, joined by dots, at most 253 characters",
  });
}

const noCheck: KindCheck = () => {};
const checkKind: Readonly<Record<SecretKind, KindCheck>> = {
  ascii: checkSize,
  binary: (fields, findings, hasValue) => {
    checkSize(fields, findings, hasValue);
    const value = settled(fields, "value");
    if (value === undefined) return;
    const digits = value.text.replace(/\s/g, "");
    if (!/^[0-9A-Fa-f]*$/.test(digits))
      findings.add(value.at, "E-SECRET-VALUE", "the value is not hexadecimal", { expected: "hexadecimal digits" });
    else if (digits.length % 2 === 1)
      findings.add(value.at, "E-SECRET-VALUE", "the value has an odd number of digits", {
        expected: "an even number of hexadecimal digits",
      });
  },
  "private-key": (fields, findings) => {
    const type = settled(fields, "key_type");
    if (type !== undefined) readWord(type, KEY_TYPES, "E-VALUE", findings);
    const value = settled(fields, "value");
    if (value !== undefined && !isPrivateKey(value.text)) {
      findings.add(value.at, "E-SECRET-VALUE", "the value is no private key", { expected: "PEM PKCS#8: -----BEGIN PRIVATE KEY-----" });
    }
  },
  "public-key": (fields, findings, hasValue) => {
    if (!hasValue) requireField(fields, findings, "private_key", "a public key is that of a private key");
  },
  x509: checkLeaf,
  "x509-ca": checkCertificate,
  "pgp-key": noCheck,
  jwt: (fields, findings) => {
    for (const field of ["signer", "alg", "validity", "payload"]) requireField(fields, findings, field, "a token needs it");
  },
  "aad-token": (fields, findings) => {
    for (const field of ["tenant_id", "client_id"]) requireField(fields, findings, field, "a token needs it");
    if (!fields.has("application_secret") && !(fields.has("private_key") && fields.has("certificate_thumbprint"))) {
      requireField(fields, findings, "application_secret", "or private_key with certificate_thumbprint");
    }
  },
  "config-fragment": (fields, findings, hasValue) => {
    if (!hasValue) requireField(fields, findings, "value", "a fragment is its value");
  },
};

function isPrivateKey(text: string): boolean {
  if (!text.includes("-----BEGIN PRIVATE KEY-----")) return false;
  try {
    return createPrivateKey(text).type === "private";
  } catch {
    return false; // why it is no key is of no use to the reader, and may quote the key
  }
}

function isCertificate(text: string): boolean {
  try {
    return new X509Certificate(text).subject !== undefined;
  } catch {
    return false; // as above
  }
}

/** An item of `secrets.import` (MF-40): a name, or `{name, from, secret}`. */
export interface SecretImport {
  readonly name: PlacedText;
  readonly from?: PlacedText;
  readonly secret?: PlacedText;
}

export function readSecretImport(node: ManifestNode, findings: Findings): SecretImport | undefined {
  if (node.kind === "scalar") {
    const name = readText(node, findings);
    if (name !== undefined) checkSecretName(name, findings);
    return name === undefined ? undefined : { name };
  }
  const fields = readMapping(node, findings, "a name, or name, from and secret");
  fields?.allowOnly(["name", "from", "secret"], {});
  const name = fields?.text("name", { required: true });
  if (fields === undefined || name === undefined) return undefined;
  checkSecretName(name, findings);
  return { name, ...optional("from", fields.text("from")), ...optional("secret", fields.text("secret")) };
}
