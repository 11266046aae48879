/** Variables that configure the network shield: a slip would silently remove protection (§20). */
import { scanPlaceholders } from "../placeholder-syntax.ts";
import { type Context, child, quote } from "../reader.ts";
import { placeholderMeaning } from "../render-placeholders.ts";
import type { Secret, Service } from "../session.ts";

const PREFIX = "SCONE_NETWORK_SHIELD";
const MODES = ["unprotected", "protected", "refuse"];

/** Variables with a fixed set of values. */
const FIXED = new Map<string, readonly string[]>([
  [PREFIX, ["disabled", "unprotected", "protected"]],
  [`${PREFIX}_UNSUPPORTED_PROTOCOLS`, ["unprotected", "refuse"]],
  ["SCONE_PIPE", ["deny", "allow-events", "allow"]],
  ["SCONE_SOCKETPAIR", ["deny", "allow-events", "allow"]],
  ["SCONE_ALLOW_DLOPEN", ["0", "1", "2"]],
]);

const MEMBERS = {
  SERVER: ["PORT", "IDENTITY", "CLIENT_AUTH"],
  CLIENT: ["DESTINATION_IP", "DESTINATION", "SERVER_DNS_NAME", "IDENTITY", "SERVER_AUTH"],
} as const;

interface Group {
  readonly side: "SERVER" | "CLIENT";
  readonly name: string;
  readonly members: Map<string, string>;
  mode: string | undefined;
}

export function checkShieldVariables(service: Service, secrets: ReadonlyMap<string, Secret>, context: Context): void {
  const environment = service.environment.filter(({ name, fromHost }) => !fromHost && name.startsWith("SCONE_"));
  if (environment.length === 0) return;
  const place = child(context.placeOf(service), "environment");
  const error = (key: string, message: string, expected: string) => context.errorAtKey(place, key, { rule: "SL-197", message, expected });
  const groups = new Map<string, Group>();
  for (const { name, value } of environment) {
    const allowed = FIXED.get(name);
    if (allowed !== undefined) {
      if (!isTemplate(value) && !allowed.includes(value))
        error(name, `${quote(value)} in \`${name}\``, allowed.map((word) => `\`${word}\``).join(", "));
      if (name === "SCONE_ALLOW_DLOPEN" && value === "2") {
        context.errorAtKey(place, name, {
          severity: "warning",
          rule: "SL-197",
          message: "any library may be loaded",
          expected: "`0` or `1` in production",
        });
      }
    } else if (name.startsWith(`${PREFIX}_`)) {
      collect(name, value, groups);
      checkIdentity(name, value, secrets, (message, expected) => context.errorAtKey(place, name, { rule: "SL-198", message, expected }));
    }
  }
  for (const group of groups.values()) checkGroup(group, error, context, place);
}

const isTemplate = (value: string) => value.includes("$$SCONE::");

function collect(variable: string, value: string, groups: Map<string, Group>): void {
  const match = /^SCONE_NETWORK_SHIELD_(SERVER|CLIENT)_(.+)$/.exec(variable);
  if (match === null) return;
  const side = match[1] === "SERVER" ? "SERVER" : "CLIENT";
  const rest = match[2] ?? "";
  const member = MEMBERS[side].find((one) => rest.endsWith(`_${one}`));
  const name = member === undefined ? rest : rest.slice(0, -member.length - 1);
  const key = `${side} ${name}`;
  const group = groups.get(key) ?? { side, name, members: new Map(), mode: undefined };
  groups.set(key, group);
  if (member === undefined) group.mode = value;
  else group.members.set(member, value);
}

type Report = (key: string, message: string, expected: string) => undefined;

function checkGroup(
  { side, name, members, mode }: Group,
  error: Report,
  context: Context,
  place: Parameters<Context["errorAtKey"]>[0],
): undefined {
  const variable = `${PREFIX}_${side}_${name}`;
  if (mode === undefined) {
    const [first = ""] = members.keys();
    return error(`${variable}_${first}`, `\`${variable}\` is missing`, MODES.map((word) => `\`${word}\``).join(", "));
  }
  if (!isTemplate(mode) && !MODES.includes(mode)) return error(variable, quote(mode), MODES.map((word) => `\`${word}\``).join(", "));
  const missing = requiredMembers(side, mode, members).find(({ member }) => !members.has(member));
  if (missing !== undefined) return error(variable, `\`…_${side}_${name}_${missing.member}\` is missing`, `e.g. \`${missing.example}\``);
  const port = members.get(side === "SERVER" ? "PORT" : "DESTINATION") ?? "";
  const form = side === "SERVER" ? /^(?:TCP:[0-9]{1,5}|unix:\/.*)$/ : /^(?:TCP:[A-Za-z0-9._-]+:[0-9]{1,5}|unix:\/.*)$/;
  if (!isTemplate(port) && !form.test(port)) {
    error(
      `${variable}_${side === "SERVER" ? "PORT" : "DESTINATION"}`,
      quote(port),
      side === "SERVER" ? "`TCP:<port>` or `unix:<path>`" : "`TCP:<dns name>:<port>` or `unix:<path>`",
    );
  }
  if (side === "CLIENT" && members.get("SERVER_AUTH") === "disabled") {
    const message = "the server is not authenticated";
    context.errorAtKey(place, `${variable}_SERVER_AUTH`, {
      severity: "warning",
      rule: "SL-197",
      message,
      expected: "PEM certificates of CAs",
    });
  }
  return undefined;
}

function requiredMembers(side: Group["side"], mode: string, members: ReadonlyMap<string, string>) {
  const isProtected = mode === "protected";
  if (side === "SERVER") {
    return [{ member: "PORT", example: "TCP:8443" }, ...(isProtected ? [{ member: "CLIENT_AUTH", example: "$$SCONE::clients_ca$$" }] : [])];
  }
  const isUnix = members.get("DESTINATION")?.startsWith("unix:") === true;
  return [
    { member: "DESTINATION", example: "TCP:db.example:5432" },
    ...(isUnix ? [] : [{ member: "DESTINATION_IP", example: "*" }]),
    ...(isUnix && isProtected ? [{ member: "SERVER_DNS_NAME", example: "db.example" }] : []),
    ...(isProtected ? [{ member: "SERVER_AUTH", example: "$$SCONE::servers_ca$$" }] : []),
  ];
}

/** SL-198 for placeholders: identities need names, trust needs CAs. */
function checkIdentity(
  variable: string,
  value: string,
  secrets: ReadonlyMap<string, Secret>,
  error: (message: string, expected: string) => void,
): void {
  const isTrust = variable.endsWith("_CLIENT_AUTH") || variable.endsWith("_SERVER_AUTH");
  if (!isTrust && !variable.endsWith("_IDENTITY")) return;
  for (const placeholder of scanPlaceholders(value)) {
    if (placeholder.kind === "malformed") continue;
    const meaning = placeholderMeaning(placeholder, (name) => secrets.has(name));
    const secret = meaning && secrets.get(meaning.secret);
    if (secret?.origin !== "generated" || meaning?.format === "chain" || meaning?.format === ".chain") continue;
    if (isTrust && secret.kind === "x509") error(`\`${secret.name}\` is no CA`, "an `x509-ca`");
    if (!isTrust && secret.kind === "x509" && secret.san.length === 0)
      error(`certificate \`${secret.name}\` has no subject alternative name`, "`san` at the certificate");
  }
}
