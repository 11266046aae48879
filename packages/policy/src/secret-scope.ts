/** Who shares one value of a secret (extension `scope`), and the identity that every instance has without declaring it (`self::…`). */
import { type ParsedPlaceholder, scanPlaceholders } from "./placeholder-syntax.ts";
import type { Secret, SecretKind, SecretScope, Session } from "./session.ts";

/** Stands in the names of certificates with `scope: instance`. */
export const INSTANCE_ID = "$$SCONE::self::instance_id$$";
/** Hexadecimal digits of an instance's id. */
export const INSTANCE_ID_CHARACTERS = 32;

/** Predefined values of each instance, by what they are; the id is plain text. */
export const IDENTITY_KINDS: ReadonlyMap<string, SecretKind | "text"> = new Map([
  ["self::certificate", "x509"],
  ["self::private_key", "private-key"],
  ["self::ca", "x509-ca"],
  ["self::instance_id", "text"],
]);

/** From the widest to the narrowest. */
export const SCOPES: readonly SecretScope[] = ["session", "service", "instance"];

/** What is derived from a key has the key's scope. */
export function scopeOf(secret: Secret, secrets: Pick<ReadonlyMap<string, Secret>, "get">): SecretScope {
  if (secret.origin !== "generated") return "session";
  if ("scope" in secret) return secret.scope;
  const key = secret.kind === "public-key" ? secrets.get(secret.privateKey) : undefined;
  return key?.origin === "generated" && "scope" in key ? key.scope : "session";
}

/** The session with the secrets of one scope alone, in the names of their certificates the instance's id. */
export function secretsOfScope(session: Session, scope: SecretScope, instanceId = ""): Session {
  const table = new Map(session.secrets.map((secret) => [secret.name, secret]));
  const secrets = session.secrets.filter((secret) => scopeOf(secret, table) === scope);
  if (scope === "session" && secrets.length === session.secrets.length) return session;
  return { ...session, secrets: secrets.map((secret) => withInstanceId(secret, instanceId)) };
}

function withInstanceId(secret: Secret, instanceId: string): Secret {
  if (secret.origin !== "generated" || (secret.kind !== "x509" && secret.kind !== "x509-ca")) return secret;
  return { ...secret, san: secret.san.map(({ kind, value }) => ({ kind, value: value.replaceAll(INSTANCE_ID, instanceId) })) };
}

/** Placeholders of the texts that a session gives to its services: arguments, variables, files. */
export function deliveredPlaceholders({ services, images }: Pick<Session, "services" | "images">): readonly ParsedPlaceholder[] {
  const texts = [
    ...services.flatMap(({ command, environment }) => [...command, ...environment.map(({ value }) => value)]),
    ...images.flatMap(({ injectionFiles }) => injectionFiles.map(({ source }) => (source.kind === "template" ? source.text : ""))),
  ];
  return texts.flatMap((text) => scanPlaceholders(text)).filter((found) => found.kind === "placeholder");
}

/** Does a service of this session use the predefined identity? Its CA appears with the first use. */
export function usesIdentity(session: Session): boolean {
  const listed = session.images.flatMap(({ provideSecrets }) => provideSecrets ?? []);
  const names = [...deliveredPlaceholders(session).map(({ name }) => name), ...listed];
  return names.some((name) => name !== "self::instance_id" && IDENTITY_KINDS.has(name));
}
