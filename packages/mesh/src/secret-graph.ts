import type { Findings } from "./diagnostic.ts";
import type { PlacedText } from "./manifest-reader.ts";
import { findNearest } from "./nearest.ts";
import type { SecretDefinition } from "./secret-definition.ts";
import { checkSecretFormat, findSecretReferences, needsPrivateKey, type SecretKind } from "./secret-reference.ts";

/** A secret that a service can use: one of its own, or an imported one whose kind may not be known yet (while a single service is built). */
export interface UsableSecret {
  readonly name: string;
  readonly kind: SecretKind | undefined;
  /** Own definition. */
  readonly definition?: SecretDefinition;
  /** Imported `x509-ca`: whether its private key is imported too, under which name does not matter. */
  readonly hasKey?: boolean;
}

/** Checks `private_key`, `issuer` and `signer` of a service's own secrets (MF-44, MF-84). */
export function checkSecretGraph(
  service: string,
  own: readonly SecretDefinition[],
  usable: ReadonlyMap<string, UsableSecret>,
  findings: Findings,
): void {
  for (const secret of own) {
    const needs = (reference: PlacedText | undefined, field: string, kind: SecretKind): UsableSecret | undefined => {
      if (reference === undefined || reference.text.includes("{{")) return undefined;
      const found = usable.get(reference.text);
      if (found === undefined) reportUnknown(service, reference.text, reference, usable, findings);
      else if (found.kind !== undefined && found.kind !== kind) {
        findings.add(reference.at, "E-SECRET-REFERENCE", `${field} of ${secret.name} is ${reference.text} of kind ${found.kind}`, {
          expected: `a secret of kind ${kind}`,
        });
      } else return found;
      return undefined;
    };
    needs(secret.privateKey, "private_key", "private-key");
    needs(secret.signer, "signer", "private-key");
    const issuer = needs(secret.issuer, "issuer", "x509-ca");
    if (secret.issuer !== undefined && issuer?.kind === "x509-ca" && issuer.definition === undefined && issuer.hasKey === false) {
      findings.add(secret.issuer.at, "E-SECRET-ISSUER", `the private key of the CA ${issuer.name} is not available to ${service}`, {
        expected: "an issuer whose private key this service has",
        hint: "import the CA's private key by its own name as well",
      });
    }
  }
  reportCycles(own, findings);
}

function reportCycles(own: readonly SecretDefinition[], findings: Findings): void {
  const byName = new Map(own.map((secret) => [secret.name, secret]));
  const reported = new Set<string>();
  for (const start of own) {
    const path: string[] = [];
    let at: SecretDefinition | undefined = start;
    while (at !== undefined && !path.includes(at.name)) {
      path.push(at.name);
      at = at.issuer === undefined ? undefined : byName.get(at.issuer.text);
    }
    if (at === undefined || at !== start || start.issuer === undefined || path.some((name) => reported.has(name))) continue;
    if (path.length === 1) continue; // a CA that names itself is self-signed
    for (const name of path) reported.add(name);
    findings.add(start.issuer.at, "E-SECRET-CYCLE", `CAs issue each other: ${[...path, start.name].join(" → ")}`, {
      expected: "one of them self-signed",
    });
  }
}

/** Checks the secret references of one text (MF-30, MF-84). Returns the names it uses. `rawAllowed`: the content of a file. */
export function checkSecretUses(
  service: string,
  text: PlacedText,
  rawAllowed: boolean,
  usable: ReadonlyMap<string, UsableSecret>,
  findings: Findings,
): string[] {
  const references = findSecretReferences(text, findings);
  for (const reference of references) {
    const secret = usable.get(reference.name);
    if (secret === undefined) reportUnknown(service, reference.name, text, usable, findings);
    else if (secret.kind !== undefined) {
      checkSecretFormat(reference, secret.kind, rawAllowed && text.text === reference.text, text, findings);
      if (secret.kind === "x509-ca" && needsPrivateKey(reference) && secret.definition === undefined && secret.hasKey === false) {
        findings.add(text.at, "E-SECRET-FORMAT", `the private key of the CA ${reference.name} is not available to ${service}`, {
          expected: "a format without the private key",
        });
      }
    }
  }
  return references.map(({ name }) => name);
}

function reportUnknown(
  service: string,
  name: string,
  text: PlacedText,
  usable: ReadonlyMap<string, UsableSecret>,
  findings: Findings,
): void {
  const near = findNearest(name, usable.keys());
  findings.add(text.at, "E-SECRET-UNKNOWN", `the service ${service} has no secret ${name}`, {
    expected: usable.size === 0 ? "a secret that it defines or imports" : `one of ${[...usable.keys()].slice(0, 20).join(", ")}`,
    ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
  });
}
