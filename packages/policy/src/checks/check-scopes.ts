/** Extension: who shares a value. A value that differs between services or instances cannot stand where there is one for all. */
import { type Context, child } from "../reader.ts";
import { INSTANCE_ID, SCOPES, scopeOf } from "../secret-scope.ts";
import type { GeneratedCertificate, GeneratedPrivateKey, Secret, SecretScope, Session } from "../session.ts";

const RULE = "SL-104";

export function checkScopes(session: Session, context: Context): void {
  const secrets = new Map(session.secrets.map((secret) => [secret.name, secret]));
  for (const secret of session.secrets) {
    if (secret.origin !== "generated") continue;
    const scope = scopeOf(secret, secrets);
    if (secret.kind === "x509" || secret.kind === "x509-ca") checkCertificate(secret, scope, secrets, context);
    if (scope === "session") continue;
    const place = context.placeOf(secret);
    const refuse = (key: string, message: string, expected: string) => context.errorAtKey(place, key, { rule: RULE, message, expected });
    if ("exports" in secret && (secret.exports.length > 0 || secret.exportPublic)) {
      const key = secret.exports.length > 0 ? "export" : "export_public";
      refuse(key, `secret \`${secret.name}\` has another value for each ${scope}`, "`scope: session` for what is shared");
    }
    if (scope === "instance" && secret.kind !== "public-key") checkInstance(secret, refuse);
  }
}

/** What is made while a program waits, and ends with it. */
function checkInstance(secret: Secret, refuse: (key: string, message: string, expected: string) => void): void {
  if ("rotate" in secret && secret.rotate !== undefined)
    refuse("rotate", "`rotate` with `scope: instance`: every instance has a new value", "one of them");
  if (!isPrivateKey(secret)) return;
  if (secret.migrate) refuse("migrate", "`migrate` with `scope: instance`: the key ends with its instance", "one of them");
  if (secret.keyType.startsWith("RSA-"))
    refuse("key_type", `${secret.keyType} with \`scope: instance\`: the program would wait for it`, "P-256, P-384, Ed25519");
}

const isPrivateKey = (secret: Secret): secret is GeneratedPrivateKey => secret.origin === "generated" && secret.kind === "private-key";

/** A certificate is for one key; its names can hold an instance's id only if it is the instance's own. */
function checkCertificate(secret: GeneratedCertificate, scope: SecretScope, secrets: ReadonlyMap<string, Secret>, context: Context): void {
  const place = context.placeOf(secret);
  const key = secrets.get(secret.privateKey);
  const keyScope = key === undefined ? "session" : scopeOf(key, secrets);
  if (SCOPES.indexOf(keyScope) > SCOPES.indexOf(scope)) {
    const message = `key \`${secret.privateKey}\` has \`scope: ${keyScope}\`, its certificate \`scope: ${scope}\``;
    const expected = secret.kind === "x509" ? `\`scope: ${keyScope}\` at the certificate` : "`scope: session` at the key of a CA";
    context.error(child(place, "private_key"), { rule: RULE, message, expected });
  }
  if (scope !== "instance" && secret.san.some(({ value }) => value.includes(INSTANCE_ID))) {
    const message = "an instance's id in a certificate that instances share";
    context.errorAtKey(place, "san", { rule: "SL-129", message, expected: "`scope: instance`" });
  }
}
