import { randomBytes, verify, X509Certificate } from "node:crypto";
import { type CasIdentity, type CasPin, verifyCasChainPem } from "./cas-chain.ts";
import type { CasClient } from "./cas-client.ts";
import { type CasAttestation, CasStatement } from "./client-api.ts";
import type { EvidenceJson } from "./messages.ts";
import { ProtocolError } from "./protocol-error.ts";

/** A statement whose chain, signature and nonce are right: the CAS at the other end of the connection said it just now. */
export interface VerifiedCasStatement {
  readonly statement: CasStatement;
  /** Text as signed. */
  readonly signedStatement: string;
  /** Base64. */
  readonly signature: string;
  readonly identity: CasIdentity;
  /** Not verified: see `verifyCasEvidence`. */
  readonly evidence: EvidenceJson | null;
  /** Why there is none although the platform could give it, as the CAS says. */
  readonly evidenceProblem: string | undefined;
}

/** What a CAS signs under its statement: the label keeps any other document from being taken for one. */
export function casStatementMessage(text: string): Uint8Array {
  return Buffer.from(`vouchsafe/cas-statement/1\0${text}`);
}

/**
 * Asks a CAS who it is, with a fresh nonce (C-64), or the one that whoever reads the statement afterwards has chosen. Throws CAS_STATEMENT, and what the
 * client throws.
 */
export async function requestCasStatement(
  client: Pick<CasClient, "attest" | "identity">,
  pin: CasPin,
  now: Date,
  nonce = randomBytes(32).toString("base64url"),
): Promise<VerifiedCasStatement> {
  const verified = verifyCasStatement(await client.attest(nonce), nonce, pin, now);
  if (client.identity?.casKeyHash === verified.identity.casKeyHash) return verified;
  throw refused("the CAS at the other end is not the one that made the statement");
}

/**
 * Judges a statement that was asked for with `nonce`, now or earlier: chain at `time`, signature, nonce. It proves who said it, not who is at
 * an address. Throws CAS_STATEMENT, CAS_IDENTITY.
 */
export function verifyCasStatement(attestation: CasAttestation, nonce: string, pin: CasPin, time: Date): VerifiedCasStatement {
  const { statement: text, signature, evidence, evidenceProblem } = attestation;
  const statement = readStatement(text);
  const identity = verifyCasChainPem(statement.chain, pin, time);
  const { publicKey } = new X509Certificate(statement.chain[0] ?? ""); // the chain holds
  if (!verify("sha256", casStatementMessage(text), publicKey, Buffer.from(signature, "base64")))
    throw refused("the statement of the CAS is not signed by its TLS key");
  if (statement.nonce !== nonce) throw refused("the statement of the CAS was made for another request");
  return { statement, signedStatement: text, signature, identity, evidence, evidenceProblem };
}

function readStatement(text: string): CasStatement {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // told below
  }
  const parsed = CasStatement.safeParse(value);
  if (parsed.success) return parsed.data;
  const remedy = "Bring CAS and this program to the same version.";
  throw new ProtocolError("CAS_STATEMENT", "the statement of the CAS cannot be read", { cause: parsed.error, remedy });
}

const refused = (message: string): ProtocolError => new ProtocolError("CAS_STATEMENT", message);
