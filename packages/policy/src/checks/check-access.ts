import { isPlaceholder } from "../normal-parts.ts";
import { type Context, child, type Place } from "../reader.ts";
import { scopeOf } from "../secret-scope.ts";
import type { AccessEntry, Secret, Session } from "../session.ts";

/** Warnings and limits of the access policy (SL-172, SL-180, SL-187). */
export function checkAccess(session: Session, context: Context): void {
  checkRoles(session, context);
  if (isPlaceholder(session.accessPolicy)) return;
  const root = context.placeOf(session);
  const policy = child(root, "access_policy");
  const { read, update, createSessions, listSessions } = session.accessPolicy;
  const warn = (key: string, rule: string, message: string, expected: string) =>
    context.error(child(policy, key), { severity: "warning", rule, message, expected });
  if (update?.some(({ kind }) => kind === "none") === true)
    warn("update", "SL-172", "`update: NONE` makes the session immutable for ever", "a key that may update");
  if (read?.some(({ kind }) => kind === "any") === true && session.secrets.some(({ origin }) => origin === "explicit")) {
    warn("read", "SL-172", "`read: ANY` shows the explicit secrets to everybody", "keys that may read");
  }
  for (const [key, rule] of [
    ["update", update],
    ["create_sessions", createSessions],
  ] as const) {
    if (rule !== undefined && certificatesNeeded(rule) > 1) {
      warn(
        key,
        "SL-180",
        "more than one connection key is required at once; an upload carries one at most",
        "signing keys: `signer: <PEM>`",
      );
    }
  }
  checkSignerReads({ read, list_sessions: listSessions }, session, policy, root, context);
}

/** How many different connection keys the cheapest way to satisfy a rule needs. */
function certificatesNeeded(rule: readonly AccessEntry[]): number {
  return Math.min(...rule.map(neededBy));
}

function neededBy(entry: AccessEntry): number {
  if (entry.kind === "key" || entry.kind === "certificate") return 1;
  if (entry.kind !== "all" && entry.kind !== "at-least") return 0;
  const costs = entry.entries.map(neededBy).toSorted((a, b) => a - b);
  return costs.slice(0, entry.kind === "all" ? costs.length : entry.count).reduce((sum, cost) => sum + cost, 0);
}

/** SL-187: a signer cannot read as CREATOR, reading is authorised per connection. */
function checkSignerReads(
  rules: { readonly read: readonly AccessEntry[] | undefined; readonly list_sessions: readonly AccessEntry[] | undefined },
  { creator }: Session,
  policy: Place,
  root: Place,
  context: Context,
): void {
  if (creator?.kind !== "signer") return;
  for (const key of ["read", "list_sessions"] as const) {
    const index = rules[key]?.findIndex(({ kind }) => kind === "creator") ?? -1;
    if (index < 0) continue;
    const operation = child(policy, key);
    const at = operation.node.kind === "list" ? child(operation, index) : operation;
    context.error(at, { rule: "SL-187", message: "CREATOR is a signer and cannot read", expected: "the key hash of a connection key" });
  }
  if (rules.read === undefined) {
    const message = "without `read` nobody may read a session whose creator is a signer";
    context.errorAtKey(root, "creator", { severity: "warning", rule: "SL-187", message, expected: "`access_policy.read`" });
  }
}

/** Extension: roles name services and secrets of this session. */
function checkRoles(session: Session, context: Context): void {
  const services = session.services.map(({ name }) => name);
  const secrets = new Map(session.secrets.map((secret) => [secret.name, secret]));
  for (const role of session.roles) {
    const place = context.placeOf(role);
    for (const [index, { action, names }] of role.may.entries()) {
      const isOfSecret = action === "write_secret" || action === "read_secret";
      for (const [at, name] of names.entries()) {
        const issue = isOfSecret ? permissionProblem(action, secrets.get(name), name, secrets) : serviceProblem(name, services);
        if (issue !== undefined) context.error(child(child(child(child(place, "may"), index), action), at), { rule: "SL-105", ...issue });
      }
      if (isOfSecret && !role.members.some(isForConnections)) {
        const message = `no member of role \`${role.name}\` can use \`${action}\`: secrets are written and read over a connection`;
        const expected = "the key hash of a connection key";
        context.error(child(place, "members"), { severity: "warning", rule: "SL-177", message, expected });
      }
    }
  }
}

const isForConnections = (entry: AccessEntry): boolean => entry.kind !== "signer" && neededBy(entry) <= 1 && entry.kind !== "none";

interface RoleProblem {
  readonly message: string;
  readonly expected: string;
}

const serviceProblem = (name: string, services: readonly string[]): RoleProblem | undefined =>
  services.includes(name) ? undefined : { message: `service \`${name}\` is not defined`, expected: "a service of this session" };

function permissionProblem(
  action: "write_secret" | "read_secret",
  secret: Secret | undefined,
  name: string,
  secrets: ReadonlyMap<string, Secret>,
): RoleProblem | undefined {
  if (secret === undefined) return { message: `secret \`${name}\` is not defined`, expected: "a secret of this session" };
  if (action === "write_secret")
    return secret.origin === "supplied"
      ? undefined
      : { message: `secret \`${name}\` is not supplied by anybody`, expected: "a secret with `supplied_by`" };
  if (secret.origin === "imported") return { message: `secret \`${name}\` is an import`, expected: "a role of the exporting session" };
  if (scopeOf(secret, secrets) !== "session")
    return { message: `secret \`${name}\` has another value for each ${scopeOf(secret, secrets)}`, expected: "`scope: session`" };
  if (secret.kind === "jwt" || secret.kind === "aad-token" || secret.kind === "config-fragment")
    return { message: `secret \`${name}\` of kind \`${secret.kind}\` has no value that is kept`, expected: "a value or a key" };
  return undefined;
}
