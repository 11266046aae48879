import { type CasClient, CasProblemError, type CasStatement, ProtocolError, requestCasStatement } from "@vouchsafe/protocol";

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

/** Asks a CAS for a statement about a nonce, a fresh one unless given, and verifies chain, signature and nonce. Nothing secret is sent. */
export async function probeCas(client: CasClient, now: Date, nonce?: string): Promise<CasProbe> {
  try {
    const { statement, signedStatement, identity, evidence } = await requestCasStatement(client, {}, now, nonce);
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
    const isUntrustworthy = error instanceof ProtocolError && (error.code === "CAS_IDENTITY" || error.code === "CAS_STATEMENT");
    if (error instanceof ProtocolError && !isUntrustworthy) return { kind: "unreachable", message: error.message };
    return { kind: "untrustworthy", message: error instanceof Error ? error.message : String(error) };
  }
}
