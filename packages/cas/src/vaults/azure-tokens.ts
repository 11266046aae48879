import { createHash, randomUUID, sign } from "node:crypto";
import type { AadTokenSecret } from "@vouchsafe/policy";
import { z } from "zod";
import type { AzureSettings } from "./azure-settings.ts";
import type { OutsideHttps } from "./outside-https.ts";
import { VaultError } from "./vault-error.ts";

/** What a token gives access to when it was issued, and how long. */
interface Issued {
  readonly token: string;
  /** In ms since the epoch: from then on another one is fetched. */
  readonly renewAt: number;
}

/** A token is renewed so long before its end, or, when it lives shorter, after half of its life. */
const BEFORE_END_MS = 5 * 60_000;
const MAX_LIFE_SECONDS = 7 * 86_400;
const ASSERTION_SECONDS = 300;
const MAX_TOKENS = 1_000;
const JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const TokenAnswer = z.object({
  token_type: z.string().regex(/^bearer$/i),
  expires_in: z.coerce.number().positive(),
  access_token: z.string().regex(/^[\x21-\x7e]{1,65536}$/),
});
const TokenRefusal = z.object({
  error: z.string().regex(/^[a-z0-9_]{1,64}$/),
  error_codes: z.array(z.int()).max(16).optional(),
});

/**
 * Access tokens of Azure AD for kind `aad-token` (SL-113): OAuth 2.0 client credentials, by secret or by a signed assertion, for the vaults of the
 * configured cloud. Kept in memory until shortly before they end.
 */
export class AzureTokens {
  readonly #settings: AzureSettings;
  readonly #https: OutsideHttps;
  readonly #now: () => Date;
  readonly #issued = new Map<string, Issued>();
  readonly #asking = new Map<string, Promise<Issued>>();

  constructor(settings: AzureSettings, https: OutsideHttps, now: () => Date) {
    this.#settings = settings;
    this.#https = https;
    this.#now = now;
  }

  /** A token that is good for some minutes. Throws VaultError. */
  async token(identity: AadTokenSecret): Promise<string> {
    const name = nameOf(identity);
    const known = this.#issued.get(name);
    if (known !== undefined && this.#now().getTime() < known.renewAt) return known.token;
    const running = this.#asking.get(name) ?? this.#ask(name, identity);
    return (await running).token;
  }

  /** A vault did not accept this token: the next one to ask gets another. */
  forget(identity: AadTokenSecret, token: string): void {
    const name = nameOf(identity);
    if (this.#issued.get(name)?.token === token) this.#issued.delete(name);
  }

  #ask(name: string, identity: AadTokenSecret): Promise<Issued> {
    const asking = this.#fetch(identity)
      .then((issued) => {
        for (const oldest of this.#issued.size >= MAX_TOKENS ? this.#issued.keys() : []) {
          this.#issued.delete(oldest);
          break;
        }
        this.#issued.set(name, issued);
        return issued;
      })
      .finally(() => this.#asking.delete(name));
    this.#asking.set(name, asking);
    return asking;
  }

  async #fetch(identity: AadTokenSecret): Promise<Issued> {
    const { authority, vaultDomain } = this.#settings;
    const path = `/${identity.tenantId}/oauth2/v2.0/token`;
    const askedAt = this.#now();
    const form = new URLSearchParams({
      grant_type: "client_credentials",
      client_id: identity.clientId,
      scope: `https://${vaultDomain}/.default`,
      ...credentialFields(identity, `https://${authority}${path}`, askedAt),
    });
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    const answer = await this.#https.call({ method: "POST", host: authority, path, headers, body: form.toString() });
    if (answer.status !== 200) throw refusal(authority, answer.status, answer.body);
    const read = TokenAnswer.safeParse(answer.body);
    if (!read.success) throw new VaultError("VAULT_ANSWER", `${authority} gave an answer that is no token`);
    const lifeMs = Math.min(read.data.expires_in, MAX_LIFE_SECONDS) * 1000;
    return { token: read.data.access_token, renewAt: askedAt.getTime() + Math.max(lifeMs / 2, lifeMs - BEFORE_END_MS) };
  }
}

/** Another credential is another name: who updates a session with it gets no token that an older one opened. */
function nameOf({ tenantId, clientId, credential }: AadTokenSecret): string {
  return createHash("sha256")
    .update(JSON.stringify([tenantId, clientId, credential]))
    .digest("hex");
}

function credentialFields({ clientId, credential }: AadTokenSecret, audience: string, now: Date): Record<string, string> {
  if (credential.kind === "secret") return { client_secret: credential.applicationSecret };
  return { client_assertion_type: JWT_BEARER, client_assertion: assertion(clientId, credential, audience, now) };
}

/** RFC 7523 with the certificate's thumbprint, as Azure AD wants it. */
function assertion(
  clientId: string,
  { privateKey, thumbprint }: Extract<AadTokenSecret["credential"], { kind: "certificate" }>,
  audience: string,
  now: Date,
): string {
  const part = (value: object | Uint8Array) =>
    Buffer.from(value instanceof Uint8Array ? value : JSON.stringify(value)).toString("base64url");
  const issuedAt = Math.floor(now.getTime() / 1000);
  const header = { alg: "RS256", typ: "JWT", x5t: part(Uint8Array.fromHex(thumbprint)) };
  const claims = { aud: audience, iss: clientId, sub: clientId, jti: randomUUID(), nbf: issuedAt - 60, exp: issuedAt + ASSERTION_SECONDS };
  const input = `${part(header)}.${part(claims)}`;
  return `${input}.${part(sign("sha256", Buffer.from(input), privateKey))}`;
}

/** The authority's description may name people and addresses: its codes are enough to look them up. */
function refusal(authority: string, status: number, body: unknown): VaultError {
  const read = TokenRefusal.safeParse(body);
  const codes = read.success ? [read.data.error, ...(read.data.error_codes ?? []).map((code) => `AADSTS${code}`)].join(", ") : "no reason";
  return new VaultError("TOKEN_REFUSED", `${authority} refuses a token: ${status}, ${codes}`);
}
