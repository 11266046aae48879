import { compactDecrypt, compactVerify, type JWK } from "jose";
import { isRocaModulus } from "../../x509/rsa-modulus.ts";
import { StricterRule } from "./refusals.ts";
import type { WycheproofGroup, WycheproofTest } from "./wycheproof-test.ts";

/** Whether a compact JWS or JWE is accepted under the rules that this product sets for keys: one key, made for this algorithm and use. */
export async function isJoseTokenAccepted(group: WycheproofGroup, test: WycheproofTest): Promise<boolean> {
  try {
    return group.type === "JsonWebEncryption" ? await isDecrypted(group, test) : await isVerified(group, test);
  } catch (error) {
    if (error instanceof StricterRule) throw error;
    return false; // jose throws its own errors, and TypeErrors for keys that do not fit
  }
}

async function isVerified(group: WycheproofGroup, test: WycheproofTest): Promise<boolean> {
  const token = String(test["jws"]);
  const header = headerOf(token);
  const key = chooseKey((group["public"] ?? group["private"]) as JWK | { readonly keys: readonly JWK[] }, header); // Wycheproof's schema
  if (key === undefined || !mayBeUsed(key, "sig", "verify", header)) return false;
  await compactVerify(token, key, { algorithms: [header.alg] });
  return true;
}

async function isDecrypted(group: WycheproofGroup, test: WycheproofTest): Promise<boolean> {
  const token = String(test["jwe"]);
  const header = headerOf(token);
  const key = chooseKey(group["private"] as JWK, header); // Wycheproof's schema
  if (key === undefined || !mayBeUsed(key, "enc", undefined, header)) return false;
  const { plaintext } = await compactDecrypt(token, key, { keyManagementAlgorithms: [header.alg] });
  return test["pt"] === undefined || Buffer.from(plaintext).toString("hex") === test["pt"];
}

interface Header {
  readonly alg: string;
  readonly enc: string | undefined;
  readonly kid: string | undefined;
}

function headerOf(token: string): Header {
  assertCanonical(token);
  const header: unknown = JSON.parse(Buffer.from(token.split(".")[0] ?? "", "base64url").toString("utf8"));
  const { alg, enc, kid } = header as { readonly alg?: unknown; readonly enc?: unknown; readonly kid?: unknown }; // all are checked below
  if (typeof alg !== "string") throw new TypeError("no algorithm in the header");
  return { alg, enc: typeof enc === "string" ? enc : undefined, kid: typeof kid === "string" ? kid : undefined };
}

/** A key set must not mix secrets with key pairs, nor name two keys alike: either would let the token choose what it is checked with. */
function chooseKey(keys: JWK | { readonly keys: readonly JWK[] }, { kid }: Header): JWK | undefined {
  if (!("keys" in keys) || !Array.isArray(keys.keys)) return keys as JWK; // the other member of the union
  const set: readonly JWK[] = keys.keys;
  if (new Set(set.map(({ kty }) => kty === "oct")).size > 1) return undefined;
  if (new Set(set.map((key) => key.kid)).size !== set.length) return undefined;
  return set.find((key) => key.kid === kid);
}

/** Algorithm and use follow from the key, never from the token. */
function mayBeUsed(key: JWK, use: string, operation: string | undefined, header: Header): boolean {
  const algorithm = header.alg === "dir" ? header.enc : header.alg;
  if (key.use !== undefined && key.use !== use) return false;
  if (operation !== undefined && key.key_ops !== undefined && !key.key_ops.includes(operation)) return false;
  if (isWeak(key)) return false;
  if (algorithm === "RSA1_5") throw new StricterRule("RSA1_5, open to padding oracles, refused");
  if (key.alg !== undefined && key.alg !== algorithm) throw new StricterRule("key made for another algorithm refused");
  return true;
}

/** Secrets shorter than the digest, RSA exponents that are 1 or even, RSA keys that can be factored. jose refuses RSA below 2048 bits itself. */
function isWeak(key: JWK): boolean {
  const octets = (text: string | undefined) => Buffer.from(text ?? "", "base64url");
  const digestBits = /^HS(\d{3})$/.exec(key.alg ?? "")?.[1];
  if (key.kty === "oct" && digestBits !== undefined && octets(key.k).length * 8 < Number(digestBits)) return true;
  if (key.kty !== "RSA") return false;
  const exponent = BigInt(`0x0${octets(key.e).toString("hex")}`);
  return exponent < 3n || exponent % 2n === 0n || isRocaModulus(BigInt(`0x0${octets(key.n).toString("hex")}`));
}

/** One token has one spelling: no padding, no spaces, no unused bits (RFC 7515 §2, RFC 4648 §3.5). */
function assertCanonical(token: string): void {
  for (const part of token.split(".")) {
    if (Buffer.from(part, "base64url").toString("base64url") !== part)
      throw new StricterRule("text that is not canonical base64url refused");
  }
}
