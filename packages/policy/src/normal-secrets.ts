import { casForm, type Form, form, listForm, referenceForm } from "./normal-parts.ts";
import type {
  AccessEntry,
  CertificateControl,
  ExplicitSecret,
  GeneratedCertificate,
  GeneratedSecret,
  ImportedSecret,
  JsonValue,
  Secret,
  SessionReference,
} from "./session.ts";

const DEFAULT_SIZE = 20;

export function secretForm(secret: Secret, entryForm: (entry: AccessEntry) => JsonValue): Form {
  switch (secret.origin) {
    case "imported":
      return importedForm(secret);
    case "vault":
      return form({
        name: secret.name,
        kind: secret.kind,
        import_akv: form({
          vault: secret.vault,
          secret_name: secret.secretName === secret.name ? undefined : secret.secretName,
          token: secret.token?.text,
          decryption_key: secret.decryptionKey?.text,
        }),
        ...sharing(secret),
      });
    case "supplied":
      return form({
        name: secret.name,
        kind: secret.kind,
        supplied_by: secret.suppliedBy.map(entryForm),
        required: secret.required ? undefined : false,
        private_key: secret.privateKey,
        ...sharing(secret),
      });
    case "explicit":
      return explicitForm(secret);
    case "generated":
      return generatedForm(secret);
    default:
      return secret satisfies never;
  }
}

function sharing({ exports, exportPublic }: { readonly exports: readonly SessionReference[]; readonly exportPublic: boolean }) {
  return { export: listForm(exports, referenceForm), export_public: exportPublic ? true : undefined };
}

function importedForm({ name, kind, import: source }: ImportedSecret): Form {
  const secret = source.secret === name ? undefined : source.secret;
  return form({ name, kind, import: form({ session: source.session, secret, session_hash: source.sessionHash, ...casForm(source.cas) }) });
}

function explicitForm(secret: ExplicitSecret): Form {
  const base = { name: secret.name, kind: secret.kind, ...sharing(secret) };
  if (secret.kind === "x509" || secret.kind === "x509-ca") {
    return form({ ...base, value: secret.value.join(""), private_key: secret.privateKey, issuer: secret.issuer });
  }
  return form({ ...base, value: secret.value });
}

const seconds = (rotate: { readonly everySeconds: number; readonly keep: number } | undefined) =>
  rotate && form({ every: rotate.everySeconds, keep: rotate.keep === 1 ? undefined : rotate.keep });

function generatedForm(secret: GeneratedSecret): Form {
  switch (secret.kind) {
    case "ascii":
    case "binary":
      return form({
        name: secret.name,
        kind: secret.kind,
        size: secret.size === DEFAULT_SIZE ? undefined : secret.size,
        scope: secret.scope === "session" ? undefined : secret.scope,
        rotate: seconds(secret.rotate),
        ...sharing(secret),
      });
    case "private-key":
      return form({
        name: secret.name,
        kind: secret.kind,
        key_type: secret.keyType === "P-256" ? undefined : secret.keyType,
        migrate: secret.migrate ? true : undefined,
        scope: secret.scope === "session" ? undefined : secret.scope,
        rotate: seconds(secret.rotate),
        ...sharing(secret),
      });
    case "public-key":
      return form({ name: secret.name, kind: secret.kind, private_key: secret.privateKey, ...sharing(secret) });
    case "pgp-key":
      return form({ name: secret.name, kind: secret.kind, ...sharing(secret) });
    case "x509":
    case "x509-ca":
      return certificateForm(secret);
    case "jwt":
      return form({
        name: secret.name,
        kind: secret.kind,
        signer: secret.signer,
        alg: secret.algorithm,
        validity: { for: secret.validForSeconds },
        payload: secret.payload.length === 0 ? undefined : Object.fromEntries(secret.payload.map(({ name, value }) => [name, value])),
      });
    case "aad-token":
      return form({
        name: secret.name,
        kind: secret.kind,
        tenant_id: secret.tenantId,
        client_id: secret.clientId,
        ...(secret.credential.kind === "secret"
          ? { application_secret: secret.credential.applicationSecret }
          : { private_key: secret.credential.privateKey, certificate_thumbprint: secret.credential.thumbprint }),
      });
    default:
      return secret satisfies never;
  }
}

function certificateForm(secret: GeneratedCertificate): Form {
  return form({
    name: secret.name,
    kind: secret.kind,
    private_key: secret.privateKey,
    issuer: secret.issuer,
    common_name: secret.commonName,
    endpoint: secret.endpoint,
    san: listForm(secret.san, ({ kind, value }) => `${kind}:${value}`),
    valid_for: secret.validForSeconds,
    scope: secret.scope === "session" ? undefined : secret.scope,
    epoch: secret.epochOnUpdate ? "on_update" : undefined,
    x509: secret.x509 && controlForm(secret.x509),
    ...sharing(secret),
  });
}

function controlForm(control: CertificateControl): Form {
  return form({
    subject:
      control.subject.length === 0 ? undefined : Object.fromEntries(control.subject.map(({ attribute, value }) => [attribute, value])),
    key_usage: control.keyUsage,
    ext_key_usage: control.extKeyUsage,
    name_constraints: control.permittedDns.length === 0 ? undefined : { permitted_dns: control.permittedDns },
    uris: listForm(control.uris, (uri) => uri),
    not_after: control.notAfter,
    max_path_len: control.maxPathLength,
  });
}
