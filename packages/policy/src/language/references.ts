import { parseKeyHash } from "../key-hash.ts";
import { mapping } from "../mapping.ts";
import { type Context, child, hex, type Issue, literal, type Place, quote, type Reader } from "../reader.ts";
import type { RemoteCas, SecretImport, SessionReference } from "../session.ts";
import { isRelativeName, resolveSessionName } from "../session-name.ts";

const DEFAULT_PORT = 8081;

const keyHashText: Reader<string> = literal("SL-138", "a key hash", (text, place, context) => {
  const reading = parseKeyHash(text);
  if (reading.kind === "ok") return text;
  const message =
    reading.kind === "checksum" ? "key hash with a wrong checksum; is a character mistyped?" : `${quote(text)} is no key hash`;
  return context.error(place, { rule: "SL-173", message, expected: "50 characters as printed by `cert show-key-hash`" });
});

/** `host[:port]`, also `[::1]:port`; the default port is filled in. */
const casAddress: Reader<string> = literal("SL-138", "`host[:port]`", (text, place, context) => {
  const match = /^((?:[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9_])?)|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?$/.exec(text);
  const port = Number(match?.[2] ?? DEFAULT_PORT);
  if (match === null || port < 1 || port > 65_535)
    return context.error(place, { rule: "SL-138", message: quote(text), expected: "`host[:port]`" });
  return `${match[1]}:${port}`;
});

/** A session name as used in references; absolute after reading (SL-139, SL-140). */
const sessionTarget: Reader<string> = literal("SL-37", "a session name", (text, place, context) => {
  const resolved = resolveSessionName(text, context.sessionName);
  if (!("rule" in resolved)) {
    if (isRelativeName(text)) context.needs(10, "a relative name", place);
    return resolved.name;
  }
  return context.error(place, resolved);
});

const fields = {
  session: { reader: sessionTarget, doc: "Absolute or relative name of a session." },
  namespace: { reader: sessionTarget, doc: "A session and everything nested in it.", since: 6 },
  session_hash: { reader: hex(32), doc: "Only while the session has this hash." },
  cas_url: { reader: casAddress, doc: "Another CAS, `host[:port]`." },
  cas_key: { reader: keyHashText, doc: "Key hash of that CAS." },
  cas_software_key: { reader: keyHashText, doc: "Key hash of one software revision of that CAS." },
} as const;

interface RawReference {
  readonly session: string | undefined;
  readonly namespace: string | undefined;
  readonly session_hash: string | undefined;
  readonly cas_url: string | undefined;
  readonly cas_key: string | undefined;
  readonly cas_software_key: string | undefined;
}

function remoteCas(raw: RawReference, place: Place, context: Context): { readonly cas: RemoteCas | undefined } | undefined {
  const { cas_url: address, cas_key: key, cas_software_key: software } = raw;
  if (address === undefined) {
    if (key === undefined && software === undefined) return { cas: undefined };
    return context.errorAtKey(place, key === undefined ? "cas_software_key" : "cas_key", {
      rule: "SL-138",
      message: "a CAS key without `cas_url`",
      expected: "`cas_url` with one key",
    });
  }
  if (key !== undefined && software !== undefined) {
    return context.errorAtKey(place, "cas_software_key", {
      rule: "SL-138",
      message: "`cas_software_key` with `cas_key`",
      expected: "exactly one of them",
    });
  }
  const keyHash = key ?? software;
  if (keyHash === undefined) {
    const message = "`cas_key` or `cas_software_key` is missing; an address alone authenticates nobody";
    return context.errorAtKey(place, "cas_url", { rule: "SL-138", message, expected: "the key hash of that CAS" });
  }
  const session = place.node.kind === "map" ? place.node.entries.get("session")?.value : undefined;
  if (session?.kind === "scalar" && isRelativeName(session.text)) {
    return context.error(child(place, "session"), {
      rule: "SL-140",
      message: "a relative name on another CAS",
      expected: "an absolute name",
    });
  }
  return { cas: { address, key: { kind: key === undefined ? "software" : "cas", keyHash } } };
}

function reference(raw: RawReference, place: Place, context: Context): SessionReference | undefined {
  const { session, namespace } = raw;
  if (session !== undefined && namespace !== undefined) {
    return context.errorAtKey(place, "namespace", {
      rule: "SL-137",
      message: "`namespace` with `session`",
      expected: "exactly one of them",
    });
  }
  const target = session ?? namespace;
  if (target === undefined) {
    return context.errorMissing(place, { rule: "SL-137", message: "`session` or `namespace` is missing", expected: "exactly one of them" });
  }
  if (namespace !== undefined) {
    const extra = (["session_hash", "cas_url", "cas_key", "cas_software_key"] as const).find((key) => raw[key] !== undefined);
    if (extra !== undefined)
      return context.errorAtKey(place, extra, { rule: "SL-137", message: `\`${extra}\` with \`namespace\``, expected: "`session`" });
  }
  const remote = remoteCas(raw, place, context);
  if (remote === undefined) return undefined;
  return { scope: session === undefined ? "namespace" : "session", target, sessionHash: raw.session_hash, cas: remote.cas };
}

/** Splits the one-line form `[host[:port]]/key=value,…` (SL-141); undefined with a report when it is something else (SL-142). */
function oneLine(text: string, keys: readonly string[], place: Place, context: Context): ReadonlyMap<string, string> | undefined {
  const slash = text.indexOf("/");
  if (slash < 0 || !/^\/[a-z_]{1,20}=/.test(text.slice(slash))) {
    const name = /^[^:]*/.exec(text)?.[0] ?? text;
    return context.error(place, {
      rule: "SL-142",
      message: quote(text),
      expected: `\`{session: ${name.slice(0, 80)}}\``,
      hint: "the 0.2 form `name:hash` is gone",
    });
  }
  const fail = (message: string, expected: string) => context.error(place, { rule: "SL-141", message, expected });
  const parts = new Map<string, string>();
  if (slash > 0) parts.set("cas_url", text.slice(0, slash));
  for (const part of text.slice(slash + 1).split(",")) {
    const equals = part.indexOf("=");
    const key = part.slice(0, Math.max(equals, 0));
    if (!keys.includes(key) || key === "cas_url")
      return fail(`${quote(part)} in a one-line reference`, keys.map((known) => `\`${known}=…\``).join(", "));
    if (parts.has(key)) return fail(`\`${key}\` twice in a one-line reference`, "each key once");
    parts.set(key, part.slice(equals + 1));
  }
  for (const key of ["session", "namespace"]) {
    if (isRelativeName(parts.get(key) ?? "")) return fail("relative name in a one-line reference", "the mapping form");
  }
  return parts;
}

/** Accepts the one-line form wherever `reader` accepts a mapping: the text is read as the mapping it stands for, at the place of the text. */
function orOneLine<T>(reader: Reader<T>, keys: readonly string[]): Reader<T> {
  return {
    read(place, context) {
      const { node } = place;
      if (node.kind !== "scalar") return reader.read(place, context);
      const parts = oneLine(node.text, keys, place, context);
      if (parts === undefined) return undefined;
      const scalar = (text: string) => ({ ...node, text, style: "double" as const, substituted: true });
      const entries = new Map([...parts].map(([key, value]) => [key, { key: scalar(key), value: scalar(value) }]));
      const { start, end } = node;
      return reader.read({ ...place, node: { kind: "map", entries, tag: undefined, start, end } }, context);
    },
    schema: () => ({ anyOf: [reader.schema(), { type: "string", pattern: "^[^/]*/[a-z_]+=" }] }),
  };
}

const referenceOptions = { rule: "SL-137", expected: "a mapping with `session` or `namespace`" };

/** A reference as it stands in `export`. */
export const sessionReference: Reader<SessionReference> = orOneLine(mapping(fields, referenceOptions, reference), Object.keys(fields));

const importFields = {
  ...fields,
  secret: { reader: literal("SL-144", "a secret name", (text) => text), doc: "Name of the secret there; the own name by default." },
} as const;

function notANamespace(raw: { readonly namespace: string | undefined }, rule: string, place: Place, context: Context): boolean {
  if (raw.namespace === undefined) return true;
  const issue: Issue = { rule, message: "`namespace` in an import", expected: "`session`" };
  context.errorAtKey(place, "namespace", issue);
  return false;
}

/** `secret` is empty when it was not given: the own name is meant. */
export const secretImport: Reader<SecretImport> = orOneLine(
  mapping(importFields, { rule: "SL-144", expected: "a mapping with `session` and `secret`" }, (raw, place, context) => {
    if (!notANamespace(raw, "SL-144", place, context)) return undefined;
    const target = reference(raw, place, context);
    if (target === undefined) return undefined;
    return { session: target.target, secret: raw.secret ?? "", sessionHash: target.sessionHash, cas: target.cas };
  }),
  Object.keys(importFields),
);

export interface VolumeImport {
  readonly session: string;
  readonly volume: string;
  readonly sessionHash: string | undefined;
}

const volumeImportFields = {
  ...fields,
  volume: { reader: literal("SL-162", "a volume name", (text) => text), doc: "Name of the volume there; the own name by default." },
} as const;

/** Only from the same CAS (SL-162). `volume` is empty when it was not given. */
export const volumeImport: Reader<VolumeImport> = orOneLine(
  mapping(volumeImportFields, { rule: "SL-162", expected: "a mapping with `session` and `volume`" }, (raw, place, context) => {
    const remote = (["cas_url", "cas_key", "cas_software_key"] as const).find((key) => raw[key] !== undefined);
    if (remote !== undefined)
      return context.errorAtKey(place, remote, {
        rule: "SL-162",
        message: `\`${remote}\` in the import of a volume`,
        expected: "a session of the same CAS",
      });
    if (!notANamespace(raw, "SL-162", place, context)) return undefined;
    const target = reference(raw, place, context);
    return target && { session: target.target, volume: raw.volume ?? "", sessionHash: target.sessionHash };
  }),
  Object.keys(volumeImportFields),
);

/** A volume's export names one session of the same CAS (SL-162). */
export const volumeTarget: Reader<SessionReference> = orOneLine(
  mapping(fields, { rule: "SL-162", expected: "a mapping with `session`" }, (raw, place, context) => {
    if (raw.namespace !== undefined) {
      return context.errorAtKey(place, "namespace", {
        rule: "SL-162",
        message: "volumes cannot be exported to a namespace",
        expected: "`session`",
      });
    }
    const remote = (["cas_url", "cas_key", "cas_software_key"] as const).find((key) => raw[key] !== undefined);
    if (remote !== undefined)
      return context.errorAtKey(place, remote, {
        rule: "SL-162",
        message: `\`${remote}\` in the export of a volume`,
        expected: "a session of the same CAS",
      });
    return reference(raw, place, context);
  }),
  Object.keys(fields),
);
