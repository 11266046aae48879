import {
  type CasClient,
  CasProblemError,
  type CasStatement,
  ProtocolError,
  requestCasStatement,
  type VerifiedCasStatement,
} from "@vouchsafe/protocol";

/** What a CAS said about itself, as far as its own signature proves it. Its evidence is not judged. */
export type CasProbe =
  | { readonly kind: "unreachable"; readonly message: string }
  | {
      readonly kind: "answered";
      readonly statement: CasStatement;
      readonly keyHash: string;
      readonly softwareKeyHash: string;
      /** As it came, with signature and evidence. */
      readonly attested: VerifiedCasStatement;
    }
  | { readonly kind: "untrustworthy"; readonly message: string };

/** Asks a CAS for a statement about a nonce, a fresh one unless given, and verifies chain, signature and nonce. Nothing secret is sent. */
export async function probeCas(client: CasClient, now: Date, nonce?: string): Promise<CasProbe> {
  try {
    const attested = await requestCasStatement(client, {}, now, nonce);
    const { statement, identity } = attested;
    return { kind: "answered", statement, keyHash: identity.casKeyHash, softwareKeyHash: identity.softwareKeyHash, attested };
  } catch (error) {
    if (error instanceof CasProblemError) return { kind: "untrustworthy", message: error.message };
    const isUntrustworthy = error instanceof ProtocolError && (error.code === "CAS_IDENTITY" || error.code === "CAS_STATEMENT");
    if (error instanceof ProtocolError && !isUntrustworthy) return { kind: "unreachable", message: error.message };
    return { kind: "untrustworthy", message: error instanceof Error ? error.message : String(error) };
  }
}
