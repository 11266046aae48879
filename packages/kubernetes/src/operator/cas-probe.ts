import { randomBytes, verify, X509Certificate } from "node:crypto";
import { type CasClient, CasProblemError, CasStatement, ProtocolError, verifyCasChainPem } from "@vouchsafe/protocol";

/** What a CAS said about itself, as far as its own signature proves it. */
export type CasProbe =
  | { readonly kind: "unreachable"; readonly message: string }
  | {
      readonly kind: "answered";
      readonly statement: CasStatement;
      /** Text as signed. */
      readonly signedStatement: string;
      readonly keyHash: string;
      readonly softwareKeyHash: string;
      readonly evidenceKind: string | undefined;
    }
  | { readonly kind: "untrustworthy"; readonly message: string };

/** What a signature covers before the text itself: no other document can be taken for a statement. */
const STATEMENT_LABEL = "vouchsafe/cas-statement/1\0";

/** Asks a CAS for a fresh statement, and verifies chain, signature and nonce. Nothing secret is sent. */
export async function probeCas(client: CasClient, now: Date): Promise<CasProbe> {
  const nonce = randomBytes(32).toString("base64url");
  try {
    const { statement: signedStatement, signature, evidence } = await client.attest(nonce);
    const statement = CasStatement.parse(JSON.parse(signedStatement));
    const identity = verifyCasChainPem(statement.chain, { casKeyHash: client.identity?.casKeyHash }, now);
    const [leaf] = statement.chain;
    if (leaf === undefined) return { kind: "untrustworthy", message: "the statement has no certificate" };
    const isSigned = verify(
      "sha256",
      Buffer.from(`${STATEMENT_LABEL}${signedStatement}`),
      new X509Certificate(leaf).publicKey,
      Buffer.from(signature, "base64"),
    );
    if (!isSigned) return { kind: "untrustworthy", message: "the statement is not signed by the CAS" };
    if (Buffer.from(statement.nonce, "base64").toString("base64url") !== nonce && statement.nonce !== nonce) {
      return { kind: "untrustworthy", message: "the statement answers another question: its nonce differs" };
    }
    return {
      kind: "answered",
      statement,
      signedStatement,
      keyHash: identity.casKeyHash,
      softwareKeyHash: identity.softwareKeyHash,
      evidenceKind: evidence?.kind,
    };
  } catch (error) {
    if (error instanceof CasProblemError) return { kind: "untrustworthy", message: error.message };
    if (error instanceof ProtocolError && error.code !== "CAS_IDENTITY") return { kind: "unreachable", message: error.message };
    return { kind: "untrustworthy", message: error instanceof Error ? error.message : String(error) };
  }
}
