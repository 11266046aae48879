/** Who holds a permission of the roles extension, and who may supply a secret. */
import { resolveEntry, type SectionLookup } from "./resolve-sections.ts";
import type { AccessEntry, Permission, Session } from "./session.ts";

/**
 * The rule that governs one action on one service or secret: the members of every role that may do it, and for `write_secret` also the secret's own
 * `supplied_by`. Any entry suffices; an empty rule admits nobody.
 */
export function permissionRule(
  session: Session,
  action: Permission["action"],
  name: string,
  lookup: SectionLookup,
): readonly AccessEntry[] {
  const secret = session.secrets.find((candidate) => candidate.name === name);
  const suppliers = action === "write_secret" && secret?.origin === "supplied" ? secret.suppliedBy : [];
  const members = session.roles
    .filter(({ may }) => may.some((permission) => permission.action === action && permission.names.includes(name)))
    .flatMap((role) => role.members);
  return [...suppliers, ...members].map((entry) => resolveEntry(entry, false, lookup));
}
