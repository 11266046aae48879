import { createHash, type KeyObject, sign, verify, X509Certificate } from "node:crypto";
import { type CasIdentity, type CasPin, verifyCasChainPem } from "./cas-chain.ts";
import { ProtocolError } from "./protocol-error.ts";

/** An answer of the client API as it went over the connection. Header names in lower case. */
export interface SignedAnswer {
  readonly method: string;
  /** Path and query, exactly as asked. */
  readonly target: string;
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** Common name of the certificate of the key that signs answers, and nothing else. */
export const ANSWER_SIGNER = "answers";
const ANSWER_TAG = "vouchsafe-answer";
const SIGNED_HEADERS = ["content-type", "content-digest", "vouchsafe-session-hash", "vouchsafe-session-creator"];
const CREATED = /;created=([0-9]{1,12});/;

/**
 * Headers that make an answer provable to others (C-28): an HTTP message signature (RFC 9421) over method, target, status, content type, digest
 * of the content (RFC 9530) and what the headers say of the session; and the chain of its key, DER, up to the CAS key.
 */
export function signAnswer(answer: SignedAnswer, key: KeyObject, chain: readonly string[], now: Date): Record<string, string> {
  const digest = contentDigest(answer.body);
  const headers = { ...answer.headers, "content-digest": digest };
  const parameters = signatureParameters(headers, Math.floor(now.getTime() / 1000));
  const signature = sign("sha256", signatureBase({ ...answer, headers }, parameters), { key, dsaEncoding: "ieee-p1363" });
  return {
    "content-digest": digest,
    "signature-input": `cas=${parameters}`,
    signature: `cas=:${signature.toString("base64")}:`,
    "vouchsafe-signature-chain": chain.map((pem) => `:${new X509Certificate(pem).raw.toString("base64")}:`).join(", "),
  };
}

/**
 * Verifies an answer that somebody else got, down to the CAS that the pin names, and returns who answered when. Throws ANSWER_SIGNATURE, or
 * CAS_IDENTITY where the chain is another CAS's.
 */
export function verifyAnswer(answer: SignedAnswer, pin: CasPin): { readonly identity: CasIdentity; readonly answeredAt: Date } {
  const { headers } = answer;
  const parameters = headers["signature-input"]?.replace(/^cas=/, "") ?? "";
  const created = Number(CREATED.exec(parameters)?.[1]);
  if (!Number.isInteger(created)) throw refused("it has no signature of a CAS");
  if (parameters !== signatureParameters(headers, created)) throw refused("the signature does not cover what it must");
  if (headers["content-digest"] !== contentDigest(answer.body)) throw refused("the content was changed");
  const chain = (headers["vouchsafe-signature-chain"] ?? "").split(", ").map(readCertificate);
  const answeredAt = new Date(created * 1000);
  const identity = verifyCasChainPem(chain, pin, answeredAt);
  const signer = new X509Certificate(chain[0] ?? "");
  if (signer.subject !== `CN=${ANSWER_SIGNER}`) throw refused(`its key is that of ${signer.subject}, which signs no answers`);
  const signature = Buffer.from(/^cas=:([A-Za-z0-9+/=]+):$/.exec(headers["signature"] ?? "")?.[1] ?? "", "base64");
  const key = { key: signer.publicKey, dsaEncoding: "ieee-p1363" } as const;
  if (!verify("sha256", signatureBase(answer, parameters), key, signature)) throw refused("the signature is wrong");
  return { identity, answeredAt };
}

function signatureParameters(headers: SignedAnswer["headers"], created: number): string {
  const fields = SIGNED_HEADERS.filter((name) => headers[name] !== undefined).map((name) => ` "${name}"`);
  return `("@method";req "@request-target";req "@status"${fields.join("")});created=${created};alg="ecdsa-p256-sha256";tag="${ANSWER_TAG}"`;
}

/** RFC 9421 section 2.5. */
function signatureBase({ method, target, status, headers }: SignedAnswer, parameters: string): Buffer {
  const fields = SIGNED_HEADERS.flatMap((name) => (headers[name] === undefined ? [] : [`"${name}": ${headers[name]}`]));
  const lines = [`"@method";req: ${method}`, `"@request-target";req: ${target}`, `"@status": ${status}`, ...fields];
  return Buffer.from([...lines, `"@signature-params": ${parameters}`].join("\n"));
}

const contentDigest = (body: string): string => `sha-256=:${createHash("sha256").update(body).digest("base64")}:`;

function readCertificate(item: string): string {
  try {
    return new X509Certificate(Buffer.from(/^:([A-Za-z0-9+/=]+):$/.exec(item)?.[1] ?? "", "base64")).toString();
  } catch {
    throw refused("its certificate chain cannot be read"); // OpenSSL's words help nobody
  }
}

const refused = (detail: string): ProtocolError => new ProtocolError("ANSWER_SIGNATURE", `the answer proves nothing: ${detail}`);
