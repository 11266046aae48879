import { scanPlaceholders } from "./placeholder-syntax.ts";
import { placeholderMeaning } from "./render-placeholders.ts";
import type { AadTokenSecret, Placeholder, Session } from "./session.ts";

/** The token that opens a vault: the one that is named, or the only one of the session (SL-151). Undefined where that is none, or not clear. */
export function vaultToken({ secrets }: Pick<Session, "secrets">, named: Placeholder | undefined): AadTokenSecret | undefined {
  const tokens = secrets.filter((secret): secret is AadTokenSecret => secret.kind === "aad-token" && secret.origin === "generated");
  if (named === undefined) return tokens.length === 1 ? tokens[0] : undefined;
  const name = placeholderSecret(named, (wanted) => secrets.some((secret) => secret.name === wanted));
  return tokens.find((token) => token.name === name);
}

/** Name of the secret that a placeholder stands for, whatever its format. */
export function placeholderSecret({ text }: Placeholder, exists: (secret: string) => boolean): string | undefined {
  const [found] = scanPlaceholders(text);
  return found?.kind === "placeholder" ? placeholderMeaning(found, exists)?.secret : undefined;
}
