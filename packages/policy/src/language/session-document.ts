import { mapping } from "../mapping.ts";
import { boolean, type Context, hex, isNullNode, list, literal, orPlaceholder, type Place, quote, type Reader } from "../reader.ts";
import { PERMISSIONS, type Permission, type Role, type SecretStore, type Session, type UpdateProposals } from "../session.ts";
import { sessionNameProblem } from "../session-name.ts";
import { accessPolicy, accessRuleReader, creator } from "./access.ts";
import { image } from "./images.ts";
import { vaultFields } from "./secret-fields.ts";
import { secret } from "./secrets.ts";
import { DEFAULT_SECURITY, security } from "./security.ts";
import { service } from "./services.ts";
import { checkUnique, component, duration } from "./value-readers.ts";
import { volume } from "./volumes.ts";

export const NEWEST_PATCH = 12;
const VERSIONS = `0.3, 0.3.0 … 0.3.${NEWEST_PATCH}`;

export const version: Reader<string> = literal(
  "SL-33",
  VERSIONS,
  (text, place, context) => {
    const patch = /^0\.3(?:\.(0|[1-9][0-9]?))?$/.exec(text)?.[1];
    if (text === "0.3" || (patch !== undefined && Number(patch) <= NEWEST_PATCH)) return text;
    const hint = /^0\.[12](?:\.|$)/.test(text)
      ? "0.3 brought references as mappings, `private_key` for certificates, and key hashes instead of certificate hashes"
      : undefined;
    return context.error(place, { rule: "SL-33", message: `version ${quote(text)} is not supported`, expected: VERSIONS, hint });
  },
  { anyOf: [{ type: "string", pattern: "^0\\.3(\\.(1[0-2]|[0-9]))?$" }, { const: 0.3 }] },
);

/** Patch level a version text asks for (SL-35). */
export function patchOf(text: string): number {
  const patch = /^0\.3\.([0-9]+)$/.exec(text)?.[1];
  return patch === undefined ? NEWEST_PATCH : Number(patch);
}

export const sessionName: Reader<string> = literal("SL-37", "a session name", (text, place, context) => {
  const problem = sessionNameProblem(text);
  return problem === undefined ? text : context.error(place, problem);
});

/** SL-21: null means "not given". */
const predecessor: Reader<string> = {
  read: (place, context) => (isNullNode(place.node) ? "" : hex(32, "SL-45", true).read(place, context)),
  schema: () => ({ anyOf: [hex(32).schema(), { type: "null" }] }),
};

const vaultStore = mapping(
  vaultFields,
  { rule: "SL-154", expected: "a mapping with `token` and `vault`" },
  (raw): SecretStore | undefined => (raw.vault === undefined ? undefined : { kind: "akv", vault: raw.vault, token: raw.token }),
);

const secretStore: Reader<SecretStore> = {
  read(place, context) {
    const { node } = place;
    if (node.tag === "!cas" && node.kind === "scalar" && node.text === "") return { kind: "cas" };
    if (node.tag === "!akv" && node.kind === "map") return vaultStore.read({ ...place, node: { ...node, tag: undefined } }, context);
    return context.error(place, {
      rule: "SL-154",
      message: `\`store_in\` without a known tag`,
      expected: "`!cas` or `!akv {token: …, vault: …}`",
    });
  },
  schema: () => ({ description: "`!cas` or `!akv {token, vault}`." }),
};

/** Monotonic counters (§23) need an operation of the service interface that this version does not have. */
const counters: Reader<never> = {
  read: (place, context) =>
    context.errorAtKey(place.parent ?? place, "counters", {
      rule: "SL-12",
      message: "`counters` needs counters in the CAS, which this version does not have: nothing would be counted",
      expected: "`max_activations` for a limit on starts, a volume for state that must not go back",
    }),
  schema: () => ({ not: {} }),
};

const secretConfig = mapping(
  {
    store_in: {
      reader: secretStore,
      doc: "Where the values are kept.",
      required: { rule: "SL-154", message: "`store_in` is missing", expected: "`!cas` or `!akv {…}`" },
    },
  } as const,
  { rule: "SL-154", expected: "a mapping with `store_in`" },
  (raw) => raw.store_in,
);

const updateProposals: Reader<UpdateProposals> = mapping(
  {
    enabled: { reader: boolean, doc: "Uploads may wait for missing signatures." },
    expires: { reader: duration, doc: "How long they wait, 14 days by default." },
  } as const,
  { rule: "SL-12", expected: "a mapping with `enabled`" },
  (raw) => ({ enabled: raw.enabled ?? true, expiresSeconds: raw.expires ?? 14 * 86_400 }),
);

const names = list(
  literal("SL-12", "a name", (text) => text),
  { rule: "SL-12", expected: "a list of names", nonEmpty: { rule: "SL-12", expected: "at least one name" } },
);

const permission: Reader<Permission> = mapping(
  {
    raise_isvsvn: { reader: names, doc: "Services whose least security version may be raised." },
    add_mrenclave: { reader: names, doc: "Services that may get further measurements." },
    write_secret: { reader: names, doc: "Secrets whose value may be supplied." },
    read_secret: { reader: names, doc: "Secrets whose value may be read." },
  } as const,
  { rule: "SL-12", expected: `a mapping with one of ${PERMISSIONS.join(", ")}` },
  (raw, place, context) => {
    const given = PERMISSIONS.filter((action) => raw[action] !== undefined);
    const [action] = given;
    if (action === undefined || given.length > 1) {
      return context.error(place, {
        rule: "SL-12",
        message: `${given.length} permissions in one item`,
        expected: `one of ${PERMISSIONS.join(", ")}`,
      });
    }
    return { action, names: raw[action] ?? [] };
  },
);

const role: Reader<Role> = mapping(
  {
    name: {
      reader: component("role name"),
      doc: "Unique name.",
      required: { rule: "SL-30", message: "`name` is missing", expected: "a role name" },
    },
    members: {
      reader: accessRuleReader(false),
      doc: "Who has the role.",
      required: { rule: "SL-12", message: "`members` is missing", expected: "a list of entries" },
    },
    may: {
      reader: list(permission, {
        rule: "SL-12",
        expected: "a list of permissions",
        nonEmpty: { rule: "SL-12", expected: "at least one permission" },
      }),
      doc: "What the role permits.",
      required: { rule: "SL-12", message: "`may` is missing", expected: "a list of permissions" },
    },
  } as const,
  { rule: "SL-29", expected: "a mapping with name, members, may" },
  (raw) => (raw.name === undefined ? undefined : { name: raw.name, members: raw.members ?? [], may: raw.may ?? [] }),
);

const listOf = <T>(reader: Reader<T>, what: string) => list(reader, { rule: "SL-29", expected: `a list of ${what}` });

export const sessionFields = {
  version: {
    reader: version,
    doc: "Version of the language.",
    required: { rule: "SL-32", message: "`version` is missing", expected: `\`version: "0.3.${NEWEST_PATCH}"\` or older 0.3.x` },
  },
  name: {
    reader: sessionName,
    doc: "Name of the session.",
    required: { rule: "SL-30", message: "`name` is missing", expected: "a session name" },
  },
  namespace_hash: { reader: hex(32), doc: "The parent must have this hash at creation.", since: 11 },
  predecessor: { reader: predecessor, doc: "Hash of the version that is replaced." },
  salt: { reader: hex(16), doc: "Makes the hash public.", since: 12 },
  services: { reader: listOf(service, "services"), doc: "Programs of the application." },
  secrets: { reader: listOf(secret, "secrets"), doc: "Values, keys and certificates." },
  secret_config: { reader: secretConfig, doc: "Where secrets are kept.", since: 10 },
  volumes: { reader: listOf(volume, "volumes"), doc: "Encrypted directories." },
  images: { reader: listOf(image, "images"), doc: "Files and volumes a service sees." },
  access_policy: { reader: accessPolicy, doc: "Who may read and change the session." },
  security: { reader: orPlaceholder(security), doc: "What is asked of programs and platforms.", since: 1 },
  creator: { reader: creator, doc: "Who uploaded or signed this version." },
  update_proposals: { reader: updateProposals, doc: "Extension: updates may wait for signatures." },
  counters: { reader: counters, doc: "Extension of the language that is refused: this CAS has no counters.", refused: true },
  roles: { reader: listOf(role, "roles"), doc: "Extension: people with limited rights." },
} as const;

export const sessionDocument: Reader<Session> = mapping(
  sessionFields,
  { rule: "SL-9", expected: "a mapping with `version` and `name`" },
  (raw, place, context) => {
    if (raw.version === undefined || raw.name === undefined) return undefined;
    if (raw.namespace_hash !== undefined && raw.predecessor !== undefined && raw.predecessor !== "") {
      const message = "`namespace_hash` with `predecessor`";
      return context.errorAtKey(place, "namespace_hash", { rule: "SL-44", message, expected: "only one, the check is for creation" });
    }
    const session: Session = {
      version: raw.version,
      name: raw.name,
      namespaceHash: raw.namespace_hash,
      predecessor: raw.predecessor === "" ? undefined : raw.predecessor,
      salt: raw.salt,
      creator: raw.creator,
      services: raw.services ?? [],
      secrets: raw.secrets ?? [],
      secretStore: raw.secret_config ?? { kind: "cas" },
      volumes: raw.volumes ?? [],
      images: raw.images ?? [],
      accessPolicy: raw.access_policy ?? { read: undefined, update: undefined, createSessions: undefined, listSessions: undefined },
      security: raw.security ?? DEFAULT_SECURITY,
      updateProposals: raw.update_proposals,
      roles: raw.roles ?? [],
    };
    checkNames(session, context);
    return session;
  },
);

function checkNames(session: Session, context: Context): void {
  checkUnique(session.services, "service", "SL-30", context);
  checkUnique(session.secrets, "secret", "SL-101", context);
  checkUnique(session.volumes, "volume", "SL-30", context);
  checkUnique(session.images, "image", "SL-30", context);
  checkUnique(session.roles, "role", "SL-30", context);
}

/** Reads version and name first: other readers depend on them (SL-36, SL-140). */
export function prepare(place: Place, context: Context, nameOverride: string | undefined): void {
  if (place.node.kind !== "map") return;
  const text = (key: string) => {
    const value = place.node.kind === "map" ? place.node.entries.get(key)?.value : undefined;
    return value?.kind === "scalar" ? value.text : undefined;
  };
  context.patch = patchOf(text("version") ?? "");
  const name = nameOverride ?? text("name") ?? "";
  // With an invalid name the name itself is reported; relative references then resolve against the root.
  context.sessionName = sessionNameProblem(name) === undefined ? name : "/";
}
