import { createPrivateKey, createPublicKey, X509Certificate } from "node:crypto";
import { keyTypeOf } from "../private-key.ts";
import { type Context, child, type Issue } from "../reader.ts";
import type { GeneratedCertificate, JwtSecret, Secret, SecretKind, Session } from "../session.ts";
import { isWithin, parentOf } from "../session-name.ts";
import { didYouMean } from "../spelling.ts";

type SecretTable = ReadonlyMap<string, Secret>;

/** References between secrets (SL-105), chains, tokens, and what is risky about sharing. */
export function checkSecrets(session: Session, context: Context): void {
  const secrets = new Map(session.secrets.map((secret) => [secret.name, secret]));
  for (const secret of session.secrets) {
    checkReferences(secret, secrets, context);
    warnOfSharing(secret, secrets, session, context);
  }
  checkIssuerCycles(session, secrets, context);
}

interface NameReference {
  readonly key: "private_key" | "issuer" | "signer";
  readonly name: string;
  readonly kinds: readonly SecretKind[];
}

function referencesOf(secret: Secret): NameReference[] {
  if (secret.origin === "imported" || secret.origin === "vault") return [];
  const found: NameReference[] = [];
  if (secret.kind === "jwt") found.push({ key: "signer", name: secret.signer, kinds: ["private-key"] });
  if (secret.kind === "public-key" && secret.origin === "generated")
    found.push({ key: "private_key", name: secret.privateKey, kinds: ["private-key"] });
  if (secret.kind === "x509" || secret.kind === "x509-ca") {
    if (secret.privateKey !== undefined) found.push({ key: "private_key", name: secret.privateKey, kinds: ["private-key"] });
    if (secret.origin !== "supplied" && secret.issuer !== undefined) found.push({ key: "issuer", name: secret.issuer, kinds: ["x509-ca"] });
  }
  return found;
}

function checkReferences(secret: Secret, secrets: SecretTable, context: Context): void {
  const place = context.placeOf(secret);
  let valid = true;
  for (const { key, name, kinds } of referencesOf(secret)) {
    const issue = referenceProblem(name, kinds, secrets);
    if (issue === undefined) continue;
    valid = false;
    context.error(child(place, key), issue);
  }
  if (!valid || secret.origin === "imported" || secret.origin === "vault" || secret.origin === "supplied") return;
  if (secret.origin === "generated" && secret.kind === "x509-ca" && secret.epochOnUpdate) checkEpoch(secret, secrets, context);
  if (secret.kind === "jwt") checkToken(secret, secrets, context);
  if (secret.origin === "explicit" && (secret.kind === "x509" || secret.kind === "x509-ca"))
    checkExplicitCertificate(secret, secrets, context);
}

function referenceProblem(name: string, kinds: readonly SecretKind[], secrets: SecretTable): Issue | undefined {
  const target = secrets.get(name);
  if (target !== undefined && (target.kind === undefined || kinds.includes(target.kind))) return undefined;
  const wanted = `${/^[aeiox]/.test(kinds[0] ?? "") ? "an" : "a"} \`${kinds[0]}\``;
  const candidates = [...secrets.values()].filter(({ kind }) => kind !== undefined && kinds.includes(kind)).map((secret) => secret.name);
  const expected = `${wanted} (${candidates.length === 0 ? "none defined" : candidates.slice(0, 12).join(", ")})`;
  if (target === undefined)
    return { rule: "SL-105", message: `secret \`${name}\` is not defined`, expected, hint: didYouMean(name, candidates) };
  return { rule: "SL-105", message: `\`${name}\` is \`${target.kind}\``, expected };
}

/** Extension: an intermediate whose key is new with each update, below a root that stays, so that old and new instances go on talking. */
function checkEpoch(secret: GeneratedCertificate, secrets: SecretTable, context: Context): void {
  const refuse = (key: string, message: string, expected: string) =>
    context.errorAtKey(context.placeOf(secret), key, { rule: "SL-135", message, expected });
  const migrates = (name: string): boolean | undefined => {
    const key = secrets.get(name);
    return key?.origin === "generated" && key.kind === "private-key" ? key.migrate : undefined;
  };
  const issuer = secret.issuer === undefined ? undefined : secrets.get(secret.issuer);
  if (secret.issuer === undefined) refuse("epoch", "`epoch` without `issuer`", "the root that stays as `issuer`");
  else if (issuer?.origin === "generated" && issuer.kind === "x509-ca" && migrates(issuer.privateKey) === false)
    refuse("issuer", `the key of \`${issuer.name}\` is made anew with each update too`, "`migrate: true` at its key");
  if (migrates(secret.privateKey) === true) refuse("private_key", "`epoch` with a key that is kept", "a key without `migrate: true`");
}

const ALGORITHM_KEYS = { ES384: ["P-384"], ES256: ["P-256"], EdDSA: ["Ed25519"], PS256: ["RSA-2048", "RSA-3072"] } as const;

/** SL-110: the algorithm fits the key. */
function checkToken(secret: JwtSecret, secrets: SecretTable, context: Context): void {
  const key = secrets.get(secret.signer);
  if (key?.kind !== "private-key") return;
  const found =
    key.origin === "generated" ? key.keyType : key.origin === "explicit" ? keyTypeOf(createPrivateKey(key.value))?.name : undefined;
  const wanted: readonly string[] = ALGORITHM_KEYS[secret.algorithm];
  if (found === undefined || wanted.includes(found) || (secret.algorithm === "PS256" && found.startsWith("RSA-"))) return;
  const message = `key \`${secret.signer}\` is ${found}`;
  context.error(child(context.placeOf(secret), "signer"), {
    rule: "SL-110",
    message,
    expected: `a ${wanted.join(" or ")} key for ${secret.algorithm}`,
  });
}

/** SL-126, SL-127 as far as key and issuer stand in the document too. */
function checkExplicitCertificate(secret: Secret, secrets: SecretTable, context: Context): void {
  if (secret.origin !== "explicit" || (secret.kind !== "x509" && secret.kind !== "x509-ca")) return;
  const certificate = new X509Certificate(secret.value[0] ?? "");
  const place = context.placeOf(secret);
  const key = secrets.get(secret.privateKey ?? "");
  if (key?.origin === "generated") {
    const message = `\`${key.name}\` is generated, so it is not the key of this certificate`;
    context.error(child(place, "private_key"), { rule: "SL-126", message, expected: "the `private-key` secret with its value" });
  } else if (key?.origin === "explicit" && key.kind === "private-key") {
    const same = createPublicKey(createPrivateKey(key.value)).equals(certificate.publicKey);
    if (!same)
      context.error(child(place, "private_key"), {
        rule: "SL-126",
        message: `\`${key.name}\` is another key than the certificate's`,
        expected: "the key it was issued for",
      });
  }
  const issuer = secrets.get(secret.issuer ?? "");
  if (issuer?.origin !== "explicit" || issuer.kind !== "x509-ca") return;
  const ca = new X509Certificate(issuer.value[0] ?? "");
  if (certificate.checkIssued(ca) && certificate.verify(ca.publicKey)) return;
  context.error(child(place, "issuer"), {
    rule: "SL-127",
    message: `\`${issuer.name}\` did not issue this certificate`,
    expected: "its issuer",
  });
}

function checkIssuerCycles(session: Session, secrets: SecretTable, context: Context): void {
  const issuerOf = (name: string) => {
    const secret = secrets.get(name);
    return (secret?.origin === "generated" || secret?.origin === "explicit") && (secret.kind === "x509" || secret.kind === "x509-ca")
      ? secret.issuer
      : undefined;
  };
  const cleared = new Set<string>();
  for (const { name } of session.secrets) {
    const path: string[] = [];
    let at: string | undefined = name;
    while (at !== undefined && !cleared.has(at) && !path.includes(at)) {
      path.push(at);
      at = issuerOf(at);
    }
    if (at !== undefined && path.includes(at)) {
      const cycle = [...path.slice(path.indexOf(at)), at];
      const first = secrets.get(at);
      const message = `issuers form a cycle: ${cycle.slice(0, 12).join(" → ")}`;
      if (first !== undefined)
        context.error(child(context.placeOf(first), "issuer"), { rule: "SL-105", message, expected: "a root without `issuer`" });
    }
    for (const visited of path) cleared.add(visited);
  }
}

function warnOfSharing(secret: Secret, secrets: SecretTable, session: Session, context: Context): void {
  if (secret.origin === "imported" || secret.kind === "jwt" || secret.kind === "aad-token") return;
  const place = context.placeOf(secret);
  const warn = (key: string, rule: string, message: string, expected: string) =>
    context.errorAtKey(place, key, { severity: "warning", rule, message, expected });
  for (const { scope, target, sessionHash, cas } of secret.exports) {
    if (scope === "namespace" && target !== parentOf(session.name)) {
      warn("export", "SL-143", `an export to everything in namespace \`${target}\``, "sessions by name");
    } else if (scope === "session" && sessionHash === undefined && cas === undefined && !isOwnNamespace(target, session.name)) {
      warn(
        "export",
        "SL-143",
        `whoever creates session \`${target}\` first gets \`${secret.name}\``,
        "a session of the own namespace, or `session_hash`",
      );
    }
  }
  if (secret.exportPublic && secret.origin === "generated" && (secret.kind === "ascii" || secret.kind === "binary")) {
    warn("export_public", "SL-150", `the generated value of \`${secret.name}\` can be read by anybody`, "`export` to single sessions");
  }
  if (secret.origin === "generated" && secret.kind === "x509-ca" && (secret.exports.length > 0 || secret.exportPublic)) {
    const key = secrets.get(secret.privateKey);
    if (key?.origin === "generated" && key.kind === "private-key" && !key.migrate) {
      const message = `an update makes a new key \`${key.name}\`: whoever pinned this CA stops trusting it`;
      warn(secret.exportPublic ? "export_public" : "export", "SL-135", message, "`migrate: true` at the key");
    }
  }
}

/** Nested in the session, or beside it in a namespace that is not open to everybody. */
function isOwnNamespace(target: string, own: string): boolean {
  const parent = parentOf(own);
  return isWithin(target, own) || (parent !== "/" && isWithin(target, parent));
}
