import { type Certificate, isSelfIssued } from "./certificate.ts";

const ANY_POLICY = "2.5.29.32.0";

/**
 * Certificate policies along a path (RFC 5280 §6.1, with the levels of RFC 9618 in place of the exponential tree). The Relying Party accepts
 * any policy, so what matters is whether one is left where a CA demands it.
 */
export class PolicyLevels {
  /** Valid policy → what the next certificate may call it. Empty: no policy is left. */
  #level = new Map<string, ReadonlySet<string>>([[ANY_POLICY, new Set([ANY_POLICY])]]);
  #explicitPolicy: number;
  #inhibitAnyPolicy: number;
  #policyMapping: number;

  constructor(pathLength: number) {
    this.#explicitPolicy = pathLength + 1;
    this.#inhibitAnyPolicy = pathLength + 1;
    this.#policyMapping = pathLength + 1;
  }

  /** Takes the next certificate, from below the anchor to the leaf; returns why its policies are refused, if so. */
  descend(certificate: Certificate, isLeaf: boolean): string | undefined {
    this.#level = this.#nextLevel(certificate, isLeaf);
    if (!isLeaf) return this.#prepareNext(certificate);
    if (this.#explicitPolicy > 0) this.#explicitPolicy -= 1;
    if (certificate.policyConstraints?.requireExplicitPolicy === 0) this.#explicitPolicy = 0;
    return this.#explicitPolicy === 0 && this.#level.size === 0 ? "no certificate policy is valid where one is required" : undefined;
  }

  #nextLevel(certificate: Certificate, isLeaf: boolean): Map<string, ReadonlySet<string>> {
    const next = new Map<string, ReadonlySet<string>>();
    const { policies } = certificate;
    if (policies === undefined) return next;
    const expected = new Set([...this.#level.values()].flatMap((names) => [...names]));
    for (const policy of policies) {
      if (policy !== ANY_POLICY && (expected.has(policy) || this.#level.has(ANY_POLICY))) next.set(policy, new Set([policy]));
    }
    const mayBeAny = this.#inhibitAnyPolicy > 0 || (!isLeaf && isSelfIssued(certificate));
    if (policies.has(ANY_POLICY) && mayBeAny) for (const policy of expected) if (!next.has(policy)) next.set(policy, new Set([policy]));
    return next;
  }

  #prepareNext(certificate: Certificate): string | undefined {
    const mappings = certificate.policyMappings ?? [];
    if (mappings.some(({ issuerPolicy, subjectPolicy }) => issuerPolicy === ANY_POLICY || subjectPolicy === ANY_POLICY)) {
      return "anyPolicy is mapped";
    }
    for (const issuerPolicy of new Set(mappings.map((mapping) => mapping.issuerPolicy))) {
      if (this.#policyMapping === 0) this.#level.delete(issuerPolicy);
      // As long as any policy is left, every name is valid without its mapping.
      else if (this.#level.has(issuerPolicy)) {
        this.#level.set(
          issuerPolicy,
          new Set(mappings.flatMap((mapping) => (mapping.issuerPolicy === issuerPolicy ? mapping.subjectPolicy : []))),
        );
      }
    }
    if (!isSelfIssued(certificate)) {
      this.#explicitPolicy = Math.max(0, this.#explicitPolicy - 1);
      this.#policyMapping = Math.max(0, this.#policyMapping - 1);
      this.#inhibitAnyPolicy = Math.max(0, this.#inhibitAnyPolicy - 1);
    }
    const { requireExplicitPolicy, inhibitPolicyMapping } = certificate.policyConstraints ?? {};
    this.#explicitPolicy = Math.min(this.#explicitPolicy, requireExplicitPolicy ?? Number.POSITIVE_INFINITY);
    this.#policyMapping = Math.min(this.#policyMapping, inhibitPolicyMapping ?? Number.POSITIVE_INFINITY);
    this.#inhibitAnyPolicy = Math.min(this.#inhibitAnyPolicy, certificate.inhibitAnyPolicy ?? Number.POSITIVE_INFINITY);
    return undefined;
  }
}
