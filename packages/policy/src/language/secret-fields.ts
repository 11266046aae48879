/** The keys a secret may have, before its kind decides which of them apply. */

import { mapping, type Raw } from "../mapping.ts";
import { scanPlaceholders } from "../placeholder-syntax.ts";
import {
  boolean,
  type Context,
  collectPlaceholders,
  integer,
  list,
  literal,
  oneOf,
  orPlaceholder,
  type Place,
  quote,
  type Reader,
  stringNode,
} from "../reader.ts";
import { KEY_TYPES, type Placeholder, type Rotation, SECRET_KINDS, type SecretKind } from "../session.ts";
import { accessRuleReader } from "./access.ts";
import { certificateControl, commonName, dnsNames, subjectAltNames } from "./certificates.ts";
import { secretImport, sessionReference } from "./references.ts";
import { explicitValue, readKind } from "./secret-values.ts";
import { duration } from "./value-readers.ts";

const MAX_SIZE = 65_536;

export const secretName: Reader<string> = literal("SL-101", "a secret name", (text, place, context) => {
  if (text === "self") return context.error(place, { rule: "SL-101", message: "`self` is reserved", expected: "another name" });
  if (!/^[A-Za-z0-9_.~-]{1,128}$/.test(text)) {
    return context.error(place, { rule: "SL-101", message: quote(text), expected: "1–128 characters of A–Z a–z 0–9 _ . ~ -" });
  }
  const suffix = /\.(?:crt|key|chain|hex)$/.exec(text)?.[0];
  if (suffix !== undefined) {
    const message = `a name that ends in \`${suffix}\` can be mistaken for a format`;
    context.error(place, { severity: "warning", rule: "SL-101", message, expected: "another ending" });
  }
  return text;
});

/** `private_key` is the name of a secret, or for `aad-token` a PEM key. */
const privateKeyField: Reader<string> = {
  ...literal("SL-105", "the name of a `private-key` secret", (text) => text),
  read(place, context) {
    const node = stringNode(place, context, "SL-105", "the name of a `private-key` secret");
    if (node?.text.includes("PRIVATE KEY") === true) context.reporter.hide(node);
    return node === undefined ? undefined : literal("SL-105", "a name", (text) => text).read(place, context);
  },
};

export interface PayloadEntry {
  readonly name: string;
  readonly value: string;
}

const RESERVED_CLAIMS = ["iat", "nbf", "exp"];

/** SL-110: values are literal or exactly one placeholder. */
const payload: Reader<readonly PayloadEntry[]> = {
  read(place, context) {
    const { node } = place;
    if (node.kind !== "map") return context.error(place, { rule: "SL-110", message: "no mapping", expected: "a mapping of texts" });
    const entries: PayloadEntry[] = [];
    for (const [name, { value }] of node.entries) {
      if (RESERVED_CLAIMS.includes(name)) {
        context.errorAtKey(place, name, { rule: "SL-110", message: `\`${name}\` is set by the CAS`, expected: "other field names" });
        continue;
      }
      const at: Place = { node: value, parent: place, key: name };
      const text = stringNode(at, context, "SL-110", "a string")?.text;
      if (text === undefined || !payloadPlaceholder(text, at, context)) continue;
      entries.push({ name, value: text });
    }
    return entries.length === node.entries.size ? entries : undefined;
  },
  schema: () => ({ type: "object", additionalProperties: { type: ["string", "number", "boolean"] } }),
};

function payloadPlaceholder(text: string, place: Place, context: Context): boolean {
  const [first] = scanPlaceholders(text);
  if (first === undefined) return true;
  if (first.text === text) return collectPlaceholders(text, "payload", place, context);
  const message = "a placeholder inside other text stays as it is";
  context.errorInText(place, first.offset, first.text, {
    severity: "warning",
    rule: "SL-110",
    message,
    expected: "a placeholder alone, or text alone",
  });
  return true;
}

const validity: Reader<number> = mapping(
  {
    for: {
      reader: duration,
      doc: "Life time of each token.",
      required: { rule: "SL-110", message: "`for` is missing", expected: "`validity: {for: 1h}`" },
    },
  } as const,
  { rule: "SL-110", expected: "`{for: 1h}`" },
  (raw) => raw.for,
);

const uuid = literal("SL-113", "a UUID", (text, place, context) =>
  /^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/.test(text)
    ? text.toLowerCase()
    : context.error(place, { rule: "SL-113", message: quote(text), expected: "a UUID" }),
);

const thumbprint = literal("SL-113", "40 hexadecimal digits", (text, place, context) =>
  /^[0-9a-fA-F]{40}$/.test(text)
    ? text.toLowerCase()
    : context.error(place, { rule: "SL-113", message: `${text.length} characters`, expected: "40 hexadecimal digits (20 bytes)" }),
);

/** One placeholder and nothing else (SL-151). */
export function placeholderOnly(rule: string): Reader<Placeholder> {
  const reader = orPlaceholder(
    literal(rule, "a placeholder", (_text, place, context) =>
      context.error(place, { rule, message: "literal text", expected: "a placeholder `$$SCONE::name$$`" }),
    ),
    "token",
  );
  return {
    read(place, context) {
      const value = reader.read(place, context);
      return typeof value === "object" ? value : undefined;
    },
    schema: reader.schema,
  };
}

const host = literal("SL-151", "a host name", (text, place, context) =>
  /^(?:https:\/\/)?[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?\/?$/.test(text)
    ? text.replace(/^https:\/\//, "").replace(/\/$/, "")
    : context.error(place, { rule: "SL-151", message: quote(text), expected: "the host name of a vault" }),
);

export const vaultFields = {
  vault: {
    reader: host,
    doc: "Host name of the vault.",
    required: { rule: "SL-151", message: "`vault` is missing", expected: "the host name of a vault" },
  },
  token: { reader: placeholderOnly("SL-151"), doc: "Placeholder of an `aad-token`." },
} as const;

const akvImport = mapping(
  {
    ...vaultFields,
    secret_name: { reader: literal("SL-151", "a name", (text) => text), doc: "Name in the vault; the own name by default." },
    decryption_key: { reader: placeholderOnly("SL-151"), doc: "Placeholder of a 32-byte `binary`.", since: 10 },
  } as const,
  { rule: "SL-151", expected: "a mapping with `vault`" },
  (raw) =>
    raw.vault === undefined
      ? undefined
      : { vault: raw.vault, token: raw.token, secretName: raw.secret_name, decryptionKey: raw.decryption_key },
);

const rotate: Reader<Rotation> = mapping(
  {
    every: {
      reader: duration,
      doc: "Time between two values.",
      required: { rule: "SL-104", message: "`every` is missing", expected: "`rotate: {every: 90d}`" },
    },
    keep: { reader: integer("SL-104", 0, 16), doc: "Number of previous values that stay readable." },
  } as const,
  { rule: "SL-104", expected: "`{every: 90d, keep: 1}`" },
  (raw) => (raw.every === undefined ? undefined : { everySeconds: raw.every, keep: raw.keep ?? 1 }),
);

export const secretFields = {
  name: { reader: secretName, doc: "Unique name.", required: { rule: "SL-30", message: "`name` is missing", expected: "a secret name" } },
  kind: {
    reader: literal<SecretKind>("SL-102", "a kind", readKind, { enum: SECRET_KINDS }),
    doc: "What the secret is.",
  },
  value: { reader: explicitValue, doc: "Explicit value; visible to all readers of the document.", sensitive: true },
  size: { reader: integer("SL-15", 1, MAX_SIZE), doc: "Characters or bytes, 20 by default." },
  key_type: { reader: oneOf("SL-106", KEY_TYPES, KEY_TYPES.join(", ")), doc: "Type of a private key, P-256 by default." },
  migrate: { reader: boolean, doc: "Keep the key when the session is updated." },
  private_key: { reader: privateKeyField, doc: "Name of the private key." },
  issuer: { reader: literal("SL-105", "the name of an `x509-ca`", (text) => text), doc: "Name of the issuing CA; self-signed without it." },
  common_name: { reader: commonName, doc: "Common name of the subject." },
  endpoint: { reader: oneOf("SL-128", ["server", "client"]), doc: "Extended key usage." },
  dns: { reader: dnsNames, doc: "Host names; superseded by `san`." },
  san: { reader: subjectAltNames, doc: "Subject alternative names, `dns:…` or `ip:…`.", since: 10 },
  valid_for: { reader: duration, doc: "Validity of a generated certificate." },
  signer: { reader: literal("SL-105", "the name of a `private-key` secret", (text) => text), doc: "Key that signs the token." },
  alg: { reader: oneOf("SL-110", ["ES384", "ES256", "EdDSA", "PS256"]), doc: "Signature algorithm of the token." },
  validity: { reader: validity, doc: "`{for: …}`: life time of each token." },
  payload: { reader: payload, doc: "Further claims, texts only." },
  tenant_id: { reader: uuid, doc: "Tenant of the identity provider." },
  client_id: { reader: uuid, doc: "Application at the identity provider." },
  application_secret: { reader: literal("SL-113", "a text", (text) => text), doc: "Password of the application.", sensitive: true },
  certificate_thumbprint: { reader: thumbprint, doc: "Thumbprint of the application's certificate." },
  export: {
    reader: list(sessionReference, {
      rule: "SL-143",
      expected: "a reference or a list of references",
      nonEmpty: { rule: "SL-143", expected: "at least one reference" },
      single: true,
    }),
    doc: "Sessions that may import the secret.",
  },
  export_public: { reader: boolean, doc: "Anybody may read the value." },
  import: { reader: secretImport, doc: "The secret of another session." },
  import_akv: { reader: akvImport, doc: "A secret of an external vault.", since: 7 },
  supplied_by: { reader: accessRuleReader(true), doc: "Extension: who may upload the value later." },
  required: { reader: boolean, doc: "Extension: services wait until the value was supplied, `true` by default." },
  scope: { reader: oneOf("SL-104", ["session", "service", "instance"]), doc: "Extension: who shares one value." },
  rotate: { reader: rotate, doc: "Extension: a new value at intervals." },
  epoch: { reader: oneOf("SL-135", ["on_update"]), doc: "Extension: an intermediate CA below a migrated root, renewed with each update." },
  x509: { reader: certificateControl, doc: "Extension: full control over the certificate." },
} as const;

export type RawSecret = Raw<typeof secretFields>;
export type SecretField = keyof typeof secretFields;
