import { type Context, child } from "../reader.ts";
import type { Session } from "../session.ts";
import { vaultToken } from "../vault-token.ts";

/** Azure's own rule for names of secrets; it also keeps a name from becoming another path (SL-151). */
const VAULT_SECRET_NAME = /^[0-9A-Za-z-]{1,127}$/;

/** SL-151, SL-154: a vault opens with a token of the session, and has its own rule for names. */
export function checkVaults(session: Session, context: Context): void {
  const tokens = session.secrets.filter(({ kind, origin }) => kind === "aad-token" && origin === "generated").length;
  const missing = {
    message: tokens === 0 ? "no `aad-token` opens the vault" : `\`token\` is missing, and the session has ${tokens} tokens`,
    expected: tokens === 0 ? "a secret of kind `aad-token`" : "`token` with the placeholder of one of them",
  };
  for (const secret of session.secrets) {
    if (secret.origin !== "vault") continue;
    const place = context.placeOf(secret);
    if (secret.token === undefined && vaultToken(session, undefined) === undefined)
      context.errorAtKey(place, "import_akv", { rule: "SL-151", ...missing });
    if (!VAULT_SECRET_NAME.test(secret.secretName)) {
      const expected = "`secret_name` with 1 to 127 letters, digits and `-`";
      context.error(secretNamePlace(place), {
        rule: "SL-151",
        message: `no name of a secret in a vault: \`${secret.secretName}\``,
        expected,
      });
    }
    if (secret.decryptionKey?.secret === secret.name) {
      const message = `\`${secret.name}\` is to be decrypted with itself`;
      context.error(child(child(place, "import_akv"), "decryption_key"), { rule: "SL-151", message, expected: "another `binary` secret" });
    }
    if (secret.kind !== undefined && ["jwt", "aad-token", "pgp-key"].includes(secret.kind)) {
      const expected = "`ascii`, `binary`, `config-fragment`, `private-key`, `public-key`, `x509` or `x509-ca`";
      context.error(child(place, "kind"), { rule: "SL-99", message: `a \`${secret.kind}\` does not come from a vault`, expected });
    }
  }
  if (session.secretStore.kind === "akv" && session.secretStore.token === undefined && vaultToken(session, undefined) === undefined)
    context.error(child(context.placeOf(session.secretStore), "store_in"), { rule: "SL-154", ...missing });
}

/** Where the name stands: `secret_name`, or the secret's own name, which counts without it. */
function secretNamePlace(secret: ReturnType<Context["placeOf"]>): ReturnType<Context["placeOf"]> {
  const source = child(secret, "import_akv");
  const { node } = source;
  return node.kind === "map" && node.entries.has("secret_name") ? child(source, "secret_name") : child(secret, "name");
}
