import { mapping } from "../mapping.ts";
import { readPrivateKey } from "../private-key.ts";
import { type Context, child, type Issue, type Place, type Reader } from "../reader.ts";
import type { Secret, SecretKind, SubjectAltName } from "../session.ts";
import { type RawSecret, type SecretField, secretFields } from "./secret-fields.ts";

const DEFAULT_SIZE = 20;
const MIN_VALIDITY_SECONDS = 600;

/** Which kinds a parameter applies to (SL-100); what is absent applies to all. */
const APPLIES: Partial<Record<SecretField, readonly SecretKind[]>> = {
  value: ["ascii", "binary", "private-key", "public-key", "x509", "x509-ca", "config-fragment"],
  size: ["ascii", "binary"],
  key_type: ["private-key"],
  migrate: ["private-key"],
  private_key: ["x509", "x509-ca", "public-key", "aad-token"],
  issuer: ["x509", "x509-ca"],
  common_name: ["x509", "x509-ca"],
  endpoint: ["x509"],
  dns: ["x509"],
  san: ["x509"],
  valid_for: ["x509", "x509-ca"],
  signer: ["jwt"],
  alg: ["jwt"],
  validity: ["jwt"],
  payload: ["jwt"],
  tenant_id: ["aad-token"],
  client_id: ["aad-token"],
  application_secret: ["aad-token"],
  certificate_thumbprint: ["aad-token"],
  export: ["ascii", "binary", "private-key", "public-key", "x509", "x509-ca", "pgp-key", "config-fragment"],
  export_public: ["ascii", "binary", "public-key", "x509", "x509-ca", "config-fragment"],
  supplied_by: ["ascii", "binary", "private-key", "x509", "x509-ca"],
  scope: ["ascii", "binary", "private-key", "x509"],
  rotate: ["ascii", "binary", "private-key"],
  epoch: ["x509-ca"],
  x509: ["x509", "x509-ca"],
};

const RULE_OF: Partial<Record<SecretField, string>> = {
  endpoint: "SL-128",
  dns: "SL-128",
  san: "SL-128",
  export: "SL-112",
  export_public: "SL-150",
};

/** Keys that describe how a value is generated: none of them makes sense for an imported one (SL-99). */
const GENERATION: readonly SecretField[] = [
  "size",
  "key_type",
  "migrate",
  "private_key",
  "issuer",
  "common_name",
  "endpoint",
  "dns",
  "san",
  "valid_for",
  "signer",
  "alg",
  "validity",
  "payload",
  "tenant_id",
  "client_id",
  "application_secret",
  "certificate_thumbprint",
  "scope",
  "rotate",
  "epoch",
  "x509",
];

const SINCE_OF_KIND = new Map<SecretKind, number>([
  ["private-key", 0],
  ["x509", 0],
  ["x509-ca", 0],
  ["public-key", 11],
  ["jwt", 12],
  ["pgp-key", 10],
  ["config-fragment", 10],
  ["aad-token", 7],
]);

const words = (kinds: readonly string[]) => kinds.map((kind) => `\`${kind}\``).join(", ");

export const secret: Reader<Secret> = mapping(
  secretFields,
  { rule: "SL-29", expected: "a mapping with `name` and `kind`", holdsSecrets: true },
  (raw, place, context) => {
    const { name, kind } = raw;
    if (name === undefined || !checkSources(raw, place, context)) return undefined;
    if (raw.import !== undefined) {
      const { import: source } = raw;
      return { origin: "imported", name, kind, import: { ...source, secret: source.secret === "" ? name : source.secret } };
    }
    if (raw.import_akv !== undefined) {
      const { vault, token, secretName, decryptionKey } = raw.import_akv;
      return { origin: "vault", kind, vault, token, decryptionKey, secretName: secretName ?? name, ...sharing(raw, name) };
    }
    if (kind === undefined) {
      const kinds = ["ascii", "binary", "private-key", "public-key", "x509", "x509-ca", "jwt", "pgp-key", "config-fragment", "aad-token"];
      return context.errorMissing(place, {
        rule: "SL-102",
        message: "`kind` is missing",
        expected: `one of ${words(kinds)}, or \`import\``,
      });
    }
    context.needs(SINCE_OF_KIND.get(kind) ?? 0, `kind \`${kind}\``, child(place, "kind"));
    if (!checkApplicability(raw, kind, place, context)) return undefined;
    if (raw.supplied_by !== undefined) return supplied(raw, name, kind, place, context);
    if (raw.required !== undefined) {
      const message = "`required` without `supplied_by`";
      return context.errorAtKey(place, "required", { rule: "SL-99", message, expected: "`supplied_by`, or the key left out" });
    }
    return raw.value === undefined ? generated(raw, name, kind, place, context) : explicit(raw, name, kind, place, context);
  },
);

function sharing(raw: RawSecret, name: string) {
  return { name, exports: raw.export ?? [], exportPublic: raw.export_public ?? false };
}

function errorAt(place: Place, context: Context, key: SecretField, issue: Issue): false {
  context.errorAtKey(place, key, issue);
  return false;
}

/** SL-99, SL-148: one source of the value. */
function checkSources(raw: RawSecret, place: Place, context: Context): boolean {
  const given = (["value", "import", "import_akv", "supplied_by"] as const).filter((key) => raw[key] !== undefined);
  const [first, second] =
    place.node.kind === "map" ? [...place.node.entries.keys()].filter((key) => given.some((one) => one === key)) : given;
  if (first !== undefined && second !== undefined) {
    const key = given.find((one) => one === second) ?? "value";
    return errorAt(place, context, key, { rule: "SL-99", message: `\`${second}\` with \`${first}\``, expected: "one source of the value" });
  }
  if (raw.import === undefined && raw.import_akv === undefined) return true;
  const source = raw.import === undefined ? "import_akv" : "import";
  const extra = GENERATION.find((key) => raw[key] !== undefined);
  if (extra !== undefined)
    return errorAt(place, context, extra, {
      rule: "SL-99",
      message: `\`${extra}\` with \`${source}\``,
      expected: "no parameter of generation",
    });
  const shared = (["export", "export_public"] as const).find((key) => raw[key] !== undefined && raw[key] !== false);
  if (shared !== undefined && source === "import") {
    return errorAt(place, context, shared, {
      rule: "SL-148",
      message: "an imported secret cannot be exported",
      expected: "an import without it",
    });
  }
  return true;
}

/** SL-100, SL-112, SL-128, SL-150. */
function checkApplicability(raw: RawSecret, kind: SecretKind, place: Place, context: Context): boolean {
  let fits = true;
  // Object.keys of the table yields exactly its typed keys.
  for (const key of Object.keys(APPLIES) as SecretField[]) {
    const kinds = APPLIES[key];
    if (raw[key] === undefined || kinds === undefined || kinds.includes(kind) || raw[key] === false) continue;
    fits = false;
    if (key === "export_public" && kind === "private-key") {
      errorAt(place, context, key, {
        rule: "SL-150",
        message: "a private key cannot be public",
        expected: "a `public-key` derived from it, exported",
      });
      continue;
    }
    const message = `\`${key}\` does not apply to \`${kind}\`; it applies to ${words(kinds)}`;
    errorAt(place, context, key, { rule: RULE_OF[key] ?? "SL-100", message, expected: "the key left out" });
  }
  return fits;
}

/** Extension: nothing of it is generated; a certificate may name its key. */
function supplied(raw: RawSecret, name: string, kind: SecretKind, place: Place, context: Context): Secret | undefined {
  if (kind !== "ascii" && kind !== "binary" && kind !== "private-key" && kind !== "x509" && kind !== "x509-ca") return undefined;
  const extra = GENERATION.find((key) => raw[key] !== undefined && key !== "private_key");
  if (extra !== undefined) {
    const message = `\`${extra}\` with \`supplied_by\``;
    return context.errorAtKey(place, extra, { rule: "SL-99", message, expected: "no parameter of generation" });
  }
  const { private_key: privateKey } = raw;
  return { origin: "supplied", kind, suppliedBy: raw.supplied_by ?? [], required: raw.required ?? true, privateKey, ...sharing(raw, name) };
}

function explicit(raw: RawSecret, name: string, kind: SecretKind, place: Place, context: Context): Secret | undefined {
  const { value } = raw;
  if (value === undefined || value.form === "unread") return undefined;
  if (raw.size !== undefined) {
    context.errorAtKey(place, "size", {
      severity: "warning",
      rule: "SL-100",
      message: "`size` next to `value` is ignored",
      expected: "one of them",
    });
  }
  const unfit = (["valid_for", "endpoint", "dns", "san", "common_name", "migrate", "scope", "rotate", "x509", "epoch"] as const).find(
    (key) => raw[key] !== undefined && raw[key] !== false,
  );
  if (unfit !== undefined) {
    errorAt(place, context, unfit, { rule: "SL-100", message: `\`${unfit}\` next to \`value\``, expected: "a generated secret" });
    return undefined;
  }
  const base = { origin: "explicit", ...sharing(raw, name) } as const;
  if (value.form === "json") return { ...base, kind: "config-fragment", value: value.json };
  if (value.form === "text") return { ...base, kind: kind === "binary" ? "binary" : "ascii", value: value.text };
  if (value.form === "certificates") {
    return { ...base, kind: kind === "x509-ca" ? "x509-ca" : "x509", value: value.pem, privateKey: raw.private_key, issuer: raw.issuer };
  }
  if (raw.key_type !== undefined && raw.key_type !== value.keyName) {
    context.error(child(place, "key_type"), {
      rule: "SL-107",
      message: `\`${raw.key_type}\`, but the value is a ${value.keyName} key`,
      expected: value.keyName,
    });
    return undefined;
  }
  if (kind === "public-key" && raw.private_key !== undefined) {
    errorAt(place, context, "private_key", { rule: "SL-109", message: "`private_key` with `value`", expected: "exactly one of them" });
    return undefined;
  }
  return { ...base, kind: kind === "public-key" ? "public-key" : "private-key", value: value.pem };
}

function generated(raw: RawSecret, name: string, kind: SecretKind, place: Place, context: Context): Secret | undefined {
  const base = { origin: "generated", ...sharing(raw, name) } as const;
  switch (kind) {
    case "ascii":
    case "binary":
      return { ...base, kind, size: raw.size ?? DEFAULT_SIZE, scope: raw.scope ?? "session", rotate: raw.rotate };
    case "private-key":
      return {
        ...base,
        kind,
        keyType: raw.key_type ?? "P-256",
        migrate: raw.migrate ?? false,
        scope: raw.scope ?? "session",
        rotate: raw.rotate,
      };
    case "public-key":
      if (raw.private_key !== undefined) return { ...base, kind, privateKey: raw.private_key };
      return context.errorMissing(place, {
        rule: "SL-109",
        message: "`private_key` is missing",
        expected: "`private_key`, `value` or `import`",
      });
    case "x509":
    case "x509-ca":
      return certificate(raw, name, kind, place, context);
    case "pgp-key":
      return { ...base, kind };
    case "config-fragment":
      return context.errorMissing(place, { rule: "SL-99", message: "`value` is missing", expected: "`value` or `import`" });
    case "jwt":
      return jwt(raw, name, place, context);
    case "aad-token":
      return aadToken(raw, name, place, context);
    default:
      return kind satisfies never;
  }
}

function certificate(raw: RawSecret, name: string, kind: "x509" | "x509-ca", place: Place, context: Context): Secret | undefined {
  if (raw.private_key === undefined) {
    const message = "`private_key` is missing";
    return context.errorMissing(place, { rule: "SL-126", message, expected: "the name of a `private-key` secret" });
  }
  if (raw.dns !== undefined && raw.endpoint === "client") {
    return context.errorAtKey(place, "dns", { rule: "SL-128", message: "`dns` with `endpoint: client`", expected: "neither, or `san`" });
  }
  if (raw.valid_for !== undefined && raw.valid_for < MIN_VALIDITY_SECONDS) {
    return context.error(child(place, "valid_for"), {
      rule: "SL-133",
      message: `${raw.valid_for} seconds`,
      expected: "at least 10 minutes",
    });
  }
  return {
    origin: "generated",
    kind,
    ...sharing(raw, name),
    privateKey: raw.private_key,
    issuer: raw.issuer,
    commonName: raw.common_name,
    endpoint: raw.endpoint,
    san: mergeNames(raw.dns ?? [], raw.san ?? []),
    validForSeconds: raw.valid_for,
    scope: raw.scope ?? "session",
    epochOnUpdate: raw.epoch !== undefined,
    x509: raw.x509,
  };
}

/** `dns` first, then `san`, duplicates dropped (SL-128). */
function mergeNames(dns: readonly SubjectAltName[], san: readonly SubjectAltName[]): readonly SubjectAltName[] {
  const seen = new Set<string>();
  return [...dns, ...san].filter(({ kind, value }) => {
    const key = `${kind}:${value.toLowerCase()}`;
    return seen.has(key) ? false : seen.add(key);
  });
}

function jwt(raw: RawSecret, name: string, place: Place, context: Context): Secret | undefined {
  const { signer, alg, validity } = raw;
  const missing = signer === undefined ? "signer" : alg === undefined ? "alg" : "validity";
  if (signer === undefined || alg === undefined || validity === undefined) {
    return context.errorMissing(place, {
      rule: "SL-110",
      message: `\`${missing}\` is missing`,
      expected: "`signer`, `alg` and `validity`",
    });
  }
  return { origin: "generated", kind: "jwt", name, signer, algorithm: alg, validForSeconds: validity, payload: raw.payload ?? [] };
}

/** SL-113: the key of the application's certificate; neither it nor its line is ever shown. */
function rsaKey(text: string, place: Place, context: Context): string | undefined {
  context.reporter.hide(place.node);
  const reading = readPrivateKey(text);
  if (reading.kind === "ok" && reading.name.startsWith("RSA-")) return reading.pem;
  const message = reading.kind === "ok" ? `a ${reading.name} key` : reading.message;
  const expected = "an unencrypted RSA key in PKCS#8: `openssl pkcs8 -topk8 -nocrypt -in k.pem`";
  return context.error(place, { rule: "SL-113", message, expected });
}

function aadToken(raw: RawSecret, name: string, place: Place, context: Context): Secret | undefined {
  const {
    tenant_id: tenantId,
    client_id: clientId,
    application_secret: applicationSecret,
    private_key: privateKey,
    certificate_thumbprint: thumbprint,
  } = raw;
  const missing = tenantId === undefined ? "tenant_id" : "client_id";
  if (tenantId === undefined || clientId === undefined) {
    return context.errorMissing(place, { rule: "SL-113", message: `\`${missing}\` is missing`, expected: "`tenant_id` and `client_id`" });
  }
  if (applicationSecret === "")
    return context.error(child(place, "application_secret"), {
      rule: "SL-113",
      message: "empty",
      expected: "the secret of the application",
    });
  const base = { origin: "generated", kind: "aad-token", name, tenantId, clientId } as const;
  const hasCertificate = privateKey !== undefined && thumbprint !== undefined;
  const partly = privateKey !== undefined || thumbprint !== undefined;
  if (applicationSecret !== undefined && !partly) return { ...base, credential: { kind: "secret", applicationSecret } };
  if (applicationSecret === undefined && hasCertificate) {
    const key = rsaKey(privateKey, child(place, "private_key"), context);
    return key === undefined ? undefined : { ...base, credential: { kind: "certificate", privateKey: key, thumbprint } };
  }
  const message = applicationSecret === undefined ? "no complete credential" : "two credentials";
  return context.errorMissing(place, {
    rule: "SL-113",
    message,
    expected: "`application_secret`, or `private_key` with `certificate_thumbprint`",
  });
}
