import type { Certificate } from "./certificate.ts";
import { emailAddresses, isEmptyName, isNameWithin } from "./distinguished-name.ts";
import type { NameConstraints } from "./extensions.ts";
import type { GeneralName } from "./general-name.ts";
import { isAddress, isDnsName } from "./subject-name.ts";

/** Enough for every honest certificate; names × constraints beyond it are an attack on our time. */
const COMPARISONS_MAX = 250_000;

/** Name constraints gathered on the way down a path (RFC 5280 §6.1.4 g): each CA's permitted names must hold, any excluded one forbids. */
export class ConstrainedNames {
  readonly #permitted: (readonly GeneralName[])[] = [];
  readonly #excluded: GeneralName[] = [];
  #comparisons = 0;

  add({ permitted, excluded }: NameConstraints): void {
    this.#permitted.push(permitted);
    this.#excluded.push(...excluded);
  }

  /** Why the names of a certificate are outside the constraints; undefined when they are inside. */
  findFault(certificate: Certificate): string | undefined {
    for (const name of namesOf(certificate)) {
      const fault = this.#findNameFault(name);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  #findNameFault(name: GeneralName): string | undefined {
    const isSameKind = (constraint: GeneralName) =>
      constraint.kind === name.kind && (constraint.kind !== "other" || (name.kind === "other" && constraint.tag === name.tag));
    const excluded = this.#excluded.filter(isSameKind);
    const permitted = this.#permitted.map((group) => group.filter(isSameKind)).filter((group) => group.length > 0);
    if (excluded.length === 0 && permitted.length === 0) return undefined;
    if (name.kind === "other") return "a name is constrained in a form that cannot be compared";
    if (!isComparable(name)) return `${describe(name)} cannot be compared with name constraints`;
    this.#comparisons += excluded.length + permitted.reduce((sum, group) => sum + group.length, 0);
    if (this.#comparisons > COMPARISONS_MAX) return `more than ${COMPARISONS_MAX} comparisons of names`;
    if (excluded.some((constraint) => touches(name, constraint))) return `${describe(name)} is excluded`;
    if (!permitted.every((group) => group.some((constraint) => isWithin(name, constraint)))) return `${describe(name)} is not permitted`;
    return undefined;
  }
}

/** Why constraints say nothing that a name could be compared with; undefined when all of them do. */
export function findConstraintFault({ permitted, excluded }: NameConstraints): string | undefined {
  for (const constraint of [...permitted, ...excluded]) {
    if (constraint.kind === "dns" && constraint.text !== "" && !isDnsName(constraint.text))
      return `${describe(constraint)} is not a domain`;
    if (constraint.kind === "email" && !isEmailConstraint(constraint.text))
      return `${describe(constraint)} is not a mailbox, host or domain`;
    if (constraint.kind === "uri" && !isDnsName(constraint.text.replace(/^\./, "")))
      return `${describe(constraint)} is not a host or domain`;
  }
  return undefined;
}

/** Subject, alternative names, and the address in a subject that has no alternative mailbox (§4.2.1.10). */
function namesOf({ subject, subjectAltNames = [] }: Certificate): readonly GeneralName[] {
  const directory: GeneralName[] = isEmptyName(subject) ? [] : [{ kind: "directory", name: subject }];
  const hasMailbox = subjectAltNames.some(({ kind }) => kind === "email");
  const mailboxes = hasMailbox ? [] : emailAddresses(subject).map((text): GeneralName => ({ kind: "email", text }));
  return [...directory, ...subjectAltNames, ...mailboxes];
}

function isComparable(name: GeneralName): boolean {
  switch (name.kind) {
    case "dns":
      return isDnsName(name.text.replace(/^\*\./, ""));
    case "ip":
      return isAddress(name.bytes);
    case "email":
      return splitMailbox(name.text) !== undefined;
    case "uri":
      return hostOfUri(name.text) !== undefined;
    default:
      return true;
  }
}

/** Whether all that `name` stands for lies in the subtree, which is of the same kind. */
function isWithin(name: GeneralName, constraint: GeneralName): boolean {
  switch (name.kind) {
    case "dns":
      return constraint.kind === "dns" && isDomainWithin(name.text.replace(/^\*\./, ""), constraint.text);
    case "ip":
      return constraint.kind === "ip" && isInNetwork(name.bytes, constraint.bytes);
    case "directory":
      return constraint.kind === "directory" && isNameWithin(name.name, constraint.name);
    case "email":
      return constraint.kind === "email" && isMailboxWithin(name.text, constraint.text);
    case "uri":
      return constraint.kind === "uri" && isHostWithin(hostOfUri(name.text) ?? "", constraint.text);
    default:
      return false;
  }
}

/** Whether anything that `name` stands for lies in the subtree: a wildcard reaches into a subtree just below it. */
function touches(name: GeneralName, constraint: GeneralName): boolean {
  if (isWithin(name, constraint)) return true;
  if (name.kind !== "dns" || constraint.kind !== "dns" || !name.text.startsWith("*.")) return false;
  const parent = constraint.text.slice(constraint.text.indexOf(".") + 1);
  return parent.toLowerCase() === name.text.slice(2).toLowerCase();
}

function isDomainWithin(domain: string, base: string): boolean {
  if (base === "") return true;
  const [name, suffix] = [domain.toLowerCase(), base.toLowerCase()];
  return name === suffix || name.endsWith(`.${suffix}`);
}

/** A host exactly, or with a leading period any host below a domain. */
function isHostWithin(host: string, constraint: string): boolean {
  const [name, base] = [host.toLowerCase(), constraint.toLowerCase()];
  return base.startsWith(".") ? name.endsWith(base) : name === base;
}

function isMailboxWithin(mailbox: string, constraint: string): boolean {
  const parts = splitMailbox(mailbox);
  if (parts === undefined) return false;
  const wanted = splitMailbox(constraint);
  if (wanted === undefined) return isHostWithin(parts.host, constraint);
  return parts.local === wanted.local && parts.host.toLowerCase() === wanted.host.toLowerCase();
}

function isInNetwork(address: Uint8Array, network: Uint8Array): boolean {
  if (network.length !== address.length * 2) return false;
  return address.every((octet, index) => {
    const mask = network[address.length + index] ?? 0;
    return (octet & mask) === ((network[index] ?? 0) & mask);
  });
}

function splitMailbox(text: string): { readonly local: string; readonly host: string } | undefined {
  const [, local = "", host = ""] = /^([^@"\s]{1,64})@([^@\s]{1,253})$/.exec(text) ?? [];
  return isDnsName(host) ? { local, host } : undefined;
}

const isEmailConstraint = (text: string): boolean => splitMailbox(text) !== undefined || isDnsName(text.replace(/^\./, ""));

function hostOfUri(text: string): string | undefined {
  const host = /^[A-Za-z][A-Za-z0-9+.-]{0,63}:\/\/(?:[^/?#@]{0,256}@)?([^/?#:@[\]]{1,253})(?::\d{1,5})?(?:[/?#]|$)/.exec(text)?.[1];
  return host !== undefined && isDnsName(host) && !/^[\d.]+$/.test(host) ? host : undefined;
}

function describe(name: GeneralName): string {
  if (name.kind === "ip") return `address ${name.bytes.toHex().slice(0, 64)}`;
  return "text" in name ? `${name.kind} ${JSON.stringify(name.text.slice(0, 80))}` : name.kind;
}
