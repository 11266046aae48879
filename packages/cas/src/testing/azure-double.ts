/** Azure AD's token endpoint and the REST interface of Azure Key Vault (7.4) on loopback: as far as anybody outside can tell the two services apart. */
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, verify } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { createSecureContext } from "node:tls";
import { issueCertificate, systemRandomness } from "@vouchsafe/secrets";

export const TENANT = "6b5e0c1a-0f3e-4d4c-9a63-0d8f1b2c3d4e";
export const CLIENT = "1f7d7b39-55c2-4a0e-8f0c-9a1b2c3d4e5f";
export const APPLICATION_SECRET = "canary-application-secret~8Q";
export const VAULT = "shop-secrets.vault.azure.net";
const AUTHORITY = "login.microsoftonline.com";
const VALUE_MAX_BYTES = 25 * 1024;

interface Version {
  readonly id: string;
  value: string;
  readonly contentType: string | undefined;
}

export interface AzureDouble {
  /** Owner configuration that reaches it. */
  readonly config: string;
  readonly ca: string;
  readonly port: number;
  /** Method, host and path of every request so far. */
  readonly requests: string[];
  /** Versions by `host/name`, the newest last. */
  readonly secrets: Map<string, Version[]>;
  /** Tokens that were issued, with their end in ms. */
  readonly tokens: Map<string, number>;
  /** Vaults that refuse everybody. */
  readonly closed: Set<string>;
  lifeSeconds: number;
  /** Client secrets that are good now. */
  applicationSecrets: Set<string>;
  /** Key of the registered certificate, and its SHA-1 thumbprint in hex. */
  certificate: { readonly key: KeyObject; readonly thumbprint: string } | undefined;
  /** Answers in place of the services where it returns true. */
  hostile: ((request: IncomingMessage, response: ServerResponse) => boolean) | undefined;
  /** Nobody listens; connections are cut. */
  isDown: boolean;
  put(name: string, value: string, contentType?: string, vault?: string): void;
  names(vault?: string): string[];
}

export async function startAzure(t: TestContext, now: () => Date = () => new Date()): Promise<AzureDouble> {
  const authority = certificateAuthority();
  const hosts = new Map([AUTHORITY, "*.vault.azure.net"].map((name) => [name, authority.contextFor(name)]));
  const server = createServer(
    {
      SNICallback: (name, done) => done(null, hosts.get(name === AUTHORITY ? AUTHORITY : "*.vault.azure.net")),
      minVersion: "TLSv1.2",
    },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => answer(request, response, Buffer.concat(chunks).toString()));
    },
  );
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo; // bound to a port
  server.on("connection", (socket) => {
    if (azure.isDown) socket.destroy();
  });
  const azure: AzureDouble = {
    config: `[azure]\nconnect_to = "127.0.0.1:${port}"\nca_certificate = """\n${authority.pem}"""\n`,
    ca: authority.pem,
    port,
    requests: [],
    secrets: new Map(),
    tokens: new Map(),
    closed: new Set(),
    lifeSeconds: 3_599,
    applicationSecrets: new Set([APPLICATION_SECRET]),
    certificate: undefined,
    hostile: undefined,
    isDown: false,
    put: (name, value, contentType, vault = VAULT) => void store(vault, name, value, contentType),
    names: (vault = VAULT) =>
      [...azure.secrets.keys()].filter((key) => key.startsWith(`${vault}/`)).map((key) => key.slice(vault.length + 1)),
  };

  function answer(request: IncomingMessage, response: ServerResponse, body: string): void {
    const host = request.headers.host ?? "";
    const url = new URL(request.url ?? "/", `https://${host}`);
    azure.requests.push(`${request.method} ${host}${url.pathname}`);
    if (azure.isDown) return void request.socket.destroy();
    if (azure.hostile?.(request, response) === true) return;
    const reply = (status: number, value: object, headers: Record<string, string> = {}) =>
      response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers }).end(JSON.stringify(value));
    if (host === AUTHORITY) {
      const [status, value] = issueToken(request, url, body);
      return void reply(status, value);
    }
    const [status, value] = serveSecret(request, url, host, body);
    const challenge =
      status === 401
        ? { "www-authenticate": `Bearer authorization="https://${AUTHORITY}/${TENANT}", resource="https://vault.azure.net"` }
        : {};
    reply(status, value, challenge);
  }

  function issueToken({ method, headers }: IncomingMessage, { pathname }: URL, body: string): [number, object] {
    const refused = (error: string, code: number, status = 401): [number, object] => {
      const description = `AADSTS${code}: app '${CLIENT}' is not what it says. Trace ID: 00000000`;
      return [status, { error, error_description: description, error_codes: [code], trace_id: "00000000" }];
    };
    if (method !== "POST" || headers["content-type"] !== "application/x-www-form-urlencoded")
      return refused("invalid_request", 900144, 400);
    if (pathname !== `/${TENANT}/oauth2/v2.0/token`) return refused("invalid_request", 90002, 400);
    const form = new URLSearchParams(body);
    if (form.get("grant_type") !== "client_credentials") return refused("unsupported_grant_type", 70003, 400);
    if (form.get("client_id") !== CLIENT) return refused("unauthorized_client", 700016, 400);
    if (form.get("scope") !== "https://vault.azure.net/.default") return refused("invalid_scope", 70011, 400);
    const isKnown = form.has("client_secret")
      ? azure.applicationSecrets.has(form.get("client_secret") ?? "")
      : form.get("client_assertion_type") === "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" &&
        isOwnAssertion(form.get("client_assertion") ?? "", `https://${AUTHORITY}${pathname}`);
    if (!isKnown) return refused("invalid_client", form.has("client_secret") ? 7000215 : 700027);
    const token = `eyJ${randomBytes(32).toString("base64url")}.canary-token.${randomBytes(8).toString("base64url")}`;
    azure.tokens.set(token, now().getTime() + azure.lifeSeconds * 1000);
    return [200, { token_type: "Bearer", expires_in: azure.lifeSeconds, ext_expires_in: azure.lifeSeconds, access_token: token }];
  }

  function isOwnAssertion(assertion: string, audience: string): boolean {
    const [head = "", claims = "", signature = ""] = assertion.split(".");
    if (azure.certificate === undefined) return false;
    const read = (part: string) => JSON.parse(Buffer.from(part, "base64url").toString());
    const [{ alg, x5t }, { aud, iss, sub, jti, nbf, exp }] = [read(head), read(claims)];
    const seconds = now().getTime() / 1000;
    return (
      alg === "RS256" &&
      Buffer.from(x5t, "base64url").toString("hex") === azure.certificate.thumbprint &&
      aud === audience &&
      iss === CLIENT &&
      sub === CLIENT &&
      typeof jti === "string" &&
      nbf <= seconds &&
      exp > seconds &&
      exp <= seconds + 600 &&
      verify("sha256", Buffer.from(`${head}.${claims}`), createPublicKey(azure.certificate.key), Buffer.from(signature, "base64url"))
    );
  }

  function serveSecret(
    { method, headers }: IncomingMessage,
    { pathname, searchParams }: URL,
    vault: string,
    body: string,
  ): [number, object] {
    const refused = (status: number, code: string): [number, object] => [status, { error: { code, message: `${code} in ${vault}` } }];
    const token = /^Bearer (.+)$/.exec(headers.authorization ?? "")?.[1];
    if (token === undefined || (azure.tokens.get(token) ?? 0) <= now().getTime()) return refused(401, "Unauthorized");
    if (!/^7\.[0-9]+$/.test(searchParams.get("api-version") ?? "")) return refused(400, "BadParameter");
    if (azure.closed.has(vault)) return refused(403, "Forbidden");
    const name = /^\/secrets\/([0-9a-zA-Z-]{1,127})$/.exec(pathname)?.[1];
    if (name === undefined) return refused(400, "BadParameter");
    if (method === "PUT") {
      const { value, contentType } = JSON.parse(body);
      if (typeof value !== "string" || Buffer.byteLength(value) > VALUE_MAX_BYTES) return refused(400, "BadParameter");
      return [200, bundle(store(vault, name, value, contentType))];
    }
    const newest = azure.secrets.get(`${vault}/${name}`)?.at(-1);
    return newest === undefined ? refused(404, "SecretNotFound") : [200, bundle(newest)];
  }

  function store(vault: string, name: string, value: string, contentType: string | undefined): Version {
    const version = { id: `https://${vault}/secrets/${name}/${randomBytes(16).toString("hex")}`, value, contentType };
    const versions = azure.secrets.get(`${vault}/${name}`) ?? [];
    azure.secrets.set(`${vault}/${name}`, [...versions, version]);
    return version;
  }

  return azure;
}

function bundle({ id, value, contentType }: Version): object {
  const attributes = {
    enabled: true,
    created: 1_764_000_000,
    updated: 1_764_000_000,
    recoveryLevel: "Recoverable+Purgeable",
    recoverableDays: 90,
  };
  return { value, ...(contentType === undefined ? {} : { contentType }), id, attributes, tags: {} };
}

/** Key and thumbprint of a certificate that an application may be registered with; `pem` is its PKCS#8. */
export function applicationCertificate(): { readonly pem: string; readonly key: KeyObject; readonly thumbprint: string } {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const thumbprint = createHash("sha1")
    .update(publicKey.export({ type: "spki", format: "der" }))
    .digest("hex");
  return { pem: privateKey.export({ type: "pkcs8", format: "pem" }).toString(), key: privateKey, thumbprint };
}

function certificateAuthority() {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const request = { isCa: true, commonName: "test cloud", san: [], endpoint: undefined, validForSeconds: undefined, control: undefined };
  const options = { now: new Date(), random: systemRandomness };
  const { pem } = issueCertificate(request, { ownKey: privateKey }, options);
  return {
    pem,
    contextFor: (name: string) => {
      const leaf = generateKeyPairSync("ec", { namedCurve: "P-256" });
      const certificate = issueCertificate(
        { ...request, isCa: false, commonName: "cloud", san: [{ kind: "dns", value: name }], endpoint: "server" },
        { publicKey: leaf.publicKey, issuer: { certificate: pem, privateKey } },
        options,
      );
      return createSecureContext({ key: leaf.privateKey.export({ type: "pkcs8", format: "pem" }), cert: certificate.pem });
    },
  };
}

/** Definition of the token that opens the vaults of the double, for a flow list of secrets. */
export const aadToken = (credential = `application_secret: "${APPLICATION_SECRET}"`): string =>
  `{name: aad, kind: aad-token, tenant_id: ${TENANT}, client_id: ${CLIENT}, ${credential}}`;
