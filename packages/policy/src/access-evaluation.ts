import type { AccessEntry, Creator } from "./session.ts";

/** Who asks: a connection, or the signers of an upload; for a signed upload leave `certificateKeyHash` out (SL-192). */
export interface AccessCaller {
  /** Key hash of the client certificate, possession proven by TLS. */
  readonly certificateKeyHash?: string | undefined;
  /** Key hashes of all valid signatures. */
  readonly signerKeyHashes?: ReadonlySet<string> | undefined;
  /** Creator of the version whose rule is evaluated. */
  readonly creator?: Creator | undefined;
}

/** How a rule was decided, without any key in it: it may be shown to whoever asked (C-61). */
export interface AccessDecision {
  readonly satisfied: boolean;
  readonly kind: AccessEntry["kind"] | "any-of";
  /** How many of `children` must be satisfied; 0 for single entries. */
  readonly required: number;
  readonly met: number;
  readonly children: readonly AccessDecision[];
  /** The secret that should have given this entry and did not (SL-182). */
  readonly unresolvedSecret: string | undefined;
}

/** Decides a rule: any entry suffices, an empty rule admits nobody (SL-171, C-60). */
export function evaluateAccess(rule: readonly AccessEntry[], caller: AccessCaller): AccessDecision {
  return group("any-of", rule, 1, caller);
}

function group(kind: AccessDecision["kind"], entries: readonly AccessEntry[], required: number, caller: AccessCaller): AccessDecision {
  const children = entries.map((entry) => evaluateEntry(entry, caller));
  const met = children.filter(({ satisfied }) => satisfied).length;
  // An empty "all" would be satisfied by nobody's doing.
  return { kind, satisfied: met >= Math.max(required, 1), required, met, children, unresolvedSecret: undefined };
}

function evaluateEntry(entry: AccessEntry, caller: AccessCaller): AccessDecision {
  switch (entry.kind) {
    case "any":
      return single(entry.kind, true);
    case "none":
      return single(entry.kind, false);
    case "creator":
      return single(entry.kind, isCreator(caller));
    case "key":
    case "certificate":
      return single(entry.kind, caller.certificateKeyHash === entry.keyHash);
    case "signer":
      return single(entry.kind, caller.signerKeyHashes?.has(entry.keyHash) === true);
    case "placeholder":
      return { ...single(entry.kind, false), unresolvedSecret: entry.secret };
    case "all":
      return group(entry.kind, entry.entries, entry.entries.length, caller);
    case "at-least":
      return group(entry.kind, entry.entries, entry.count, caller);
    default:
      return entry satisfies never;
  }
}

function single(kind: AccessDecision["kind"], satisfied: boolean): AccessDecision {
  return { kind, satisfied, required: 0, met: 0, children: [], unresolvedSecret: undefined };
}

function isCreator({ creator, certificateKeyHash, signerKeyHashes }: AccessCaller): boolean {
  if (creator === undefined) return false;
  return creator.kind === "certificate" ? creator.keyHash === certificateKeyHash : signerKeyHashes?.has(creator.keyHash) === true;
}

/** Can this caller contribute to satisfying the rule, alone or with others? What a placeholder stands for is not known and counts as yes (SL-183). */
export function canContribute(rule: readonly AccessEntry[], caller: AccessCaller): boolean {
  return rule.some((entry) => {
    if (entry.kind === "all" || entry.kind === "at-least") return canContribute(entry.entries, caller);
    return entry.kind === "placeholder" || evaluateEntry(entry, caller).satisfied;
  });
}

/** Does the caller satisfy at least one entry somewhere in the rule? */
export function contributes({ satisfied, children }: AccessDecision): boolean {
  return children.length === 0 ? satisfied : children.some(contributes);
}

/** Could everybody but these keys together still satisfy the rule? A placeholder counts as yes. */
export function couldBeSatisfied(rule: readonly AccessEntry[], without: ReadonlySet<string>, creator: Creator | undefined): boolean {
  return rule.some((entry): boolean => {
    const possible = (entries: readonly AccessEntry[]) => entries.filter((each) => couldBeSatisfied([each], without, creator)).length;
    switch (entry.kind) {
      case "any":
      case "placeholder":
        return true;
      case "none":
        return false;
      case "creator":
        return creator !== undefined && !without.has(creator.keyHash);
      case "key":
      case "certificate":
      case "signer":
        return !without.has(entry.keyHash);
      case "all":
        return possible(entry.entries) === entry.entries.length;
      case "at-least":
        return possible(entry.entries) >= entry.count;
      default:
        return entry satisfies never;
    }
  });
}

/** The decision as an indented list for a refusal: counts, no keys. */
export function renderDecision(decision: AccessDecision, indent = ""): string {
  const mark = decision.satisfied ? "satisfied" : "missing";
  const lines = [`${indent}${labelOf(decision)}: ${mark}\n`];
  return lines.concat(decision.children.map((child) => renderDecision(child, `${indent}  `))).join("");
}

function labelOf({ kind, required, met, children, unresolvedSecret }: AccessDecision): string {
  switch (kind) {
    case "any-of":
      return `any of ${children.length} (${met} satisfied)`;
    case "all":
      return `all of ${children.length} (${met} satisfied)`;
    case "at-least":
      return `at least ${required} of ${children.length} (${met} satisfied)`;
    case "placeholder":
      return `value of secret ${unresolvedSecret ?? ""}, which is missing or unsuitable`;
    case "creator":
      return "the creator";
    case "any":
      return "anybody";
    case "none":
      return "nobody";
    case "key":
    case "certificate":
      return "holder of a connection key";
    case "signer":
      return "holder of a signing key";
    default:
      return kind satisfies never;
  }
}
