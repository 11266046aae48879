import type { Attested, CasName } from "@vouchsafe/kubernetes";
import { describeCasClaims } from "@vouchsafe/protocol";
import { findRememberedCas, type KnownCas, rememberCas } from "../../cas-config/cas-config-file.ts";
import type { Shell } from "../../shell.ts";
import { statementWarnings } from "../cas/cas-attest.ts";
import type { ProvisionTerms } from "./provision-terms.ts";

/* What this client knows of the CAS of clusters: each under the name NAME.NAMESPACE, in the same file as every CAS that it attested. */

export const qualified = ({ name, namespace }: CasName): string => `${name}.${namespace}`;

export const findKnown = (cas: CasName, shell: Shell): Promise<KnownCas | undefined> => findRememberedCas(shell, qualified(cas));

/** Pins the key from now on (C-57); evidence that was proven once is demanded from now on, and terms that were named count again. */
export async function rememberAttested(
  cas: CasName,
  attested: Attested,
  { terms, isExplicit }: Pick<ProvisionTerms, "terms" | "isExplicit">,
  shell: Shell,
): Promise<void> {
  const before = await findKnown(cas, shell);
  const { statement, keyHash, softwareKeyHash, verdict } = attested;
  const proven =
    verdict.kind === "proven"
      ? { kind: verdict.claims.kind, code_identity: verdict.claims.codeIdentity, platform: verdict.claims.platformId }
      : before?.evidence;
  const kept = isExplicit ? terms : before?.terms;
  await rememberCas(shell, qualified(cas), {
    address: `${qualified(cas)}:8081`,
    cas_key: keyHash,
    cas_software_key: softwareKeyHash,
    chain: [...statement.chain],
    session_encryption_key: statement.sessionEncryptionKey,
    attested_at: new Date().toISOString(),
    ...(proven === undefined ? {} : { evidence: proven }),
    ...(kept === undefined ? {} : { terms: kept }),
  });
}

/** Says what is known of a CAS that was accepted, and what is not. */
export function noteAttested({ attested, statement, verdict }: Attested, { note }: Pick<Shell, "note">): void {
  if (verdict.kind === "proven") {
    note(`notice: ${describeCasClaims(verdict.claims)}`);
    for (const warning of verdict.warnings) note(warning);
  } else if (attested.evidence === null) {
    const because = verdict.problem === undefined ? "" : ` (it says: ${verdict.problem})`;
    note(
      `warning: no TEE protects this CAS${because}: whoever is root on its node can read what it keeps; to refuse that: --require-evidence`,
    );
  } else note(`warning: the evidence of this CAS, of kind ${attested.evidence.kind}, is not judged: nothing is known of what runs there`);
  for (const warning of statementWarnings(statement)) note(warning);
}
