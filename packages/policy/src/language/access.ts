import { createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { decodeBase58Check } from "../base58check.ts";
import { keyHash, keyHashOf, parseKeyHash } from "../key-hash.ts";
import { mapping } from "../mapping.ts";
import { encodePem, parsePem } from "../pem.ts";
import { scanPlaceholders } from "../placeholder-syntax.ts";
import {
  type Context,
  child,
  collectPlaceholders,
  describe,
  list,
  orPlaceholder,
  type Place,
  quote,
  type Reader,
  stringNode,
} from "../reader.ts";
import { type AccessEntry, type AccessPolicy, type Creator, OPERATIONS, type Placeholder } from "../session.ts";
import { didYouMean } from "../spelling.ts";

const KEYWORDS = { CREATOR: { kind: "creator" }, ANY: { kind: "any" }, NONE: { kind: "none" } } as const satisfies Record<
  string,
  AccessEntry
>;
const SIGNER_EXPECTED = "SPKI of an Ed25519 or P-384 key";
const ED25519_SPKI_PREFIX = Uint8Array.fromHex("302a300506032b6570032100");
/** Version byte of the older form of a signing key: raw Ed25519 (SL-176). */
const OLD_SIGNER_VERSION = 0x0a;

function isSigningKey(key: KeyObject): boolean {
  return key.asymmetricKeyType === "ed25519" || key.asymmetricKeyDetails?.namedCurve === "secp384r1";
}

/** A signing key from PEM SPKI, or from the older Base58Check form; the message tells what it is instead. */
export function readSigningKey(
  text: string,
): { readonly publicKey: string; readonly keyHash: string; readonly old: boolean } | { readonly problem: string } {
  const old = decodeBase58Check(text.trim());
  let der: Uint8Array;
  if (old.kind === "ok" && old.version === OLD_SIGNER_VERSION && old.payload.length === 32) {
    der = Uint8Array.of(...ED25519_SPKI_PREFIX, ...old.payload);
  } else {
    const [block, ...others] = parsePem(text) ?? [];
    if (block === undefined || others.length > 0) return { problem: "not a PEM public key" };
    if (block.label !== "PUBLIC KEY") return { problem: `a PEM ${block.label.toLowerCase()}` };
    der = block.der;
  }
  try {
    const key = createPublicKey({ key: Buffer.from(der), format: "der", type: "spki" });
    if (!isSigningKey(key)) return { problem: `a public key of type ${key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType}` };
    const spki = key.export({ type: "spki", format: "der" });
    return { publicKey: encodePem("PUBLIC KEY", spki), keyHash: keyHash(spki), old: old.kind === "ok" };
  } catch {
    return { problem: "not a valid public key" }; // OpenSSL's own words would not help the reader of a policy
  }
}

/** A certificate and the hash of its key; undefined when the text is not exactly one PEM certificate. */
export function readCertificate(text: string): { readonly pem: string; readonly keyHash: string } | undefined {
  const blocks = parsePem(text);
  const block = blocks?.[0];
  if (blocks?.length !== 1 || block?.label !== "CERTIFICATE") return undefined;
  try {
    return { pem: encodePem("CERTIFICATE", block.der), keyHash: keyHashOf(new X509Certificate(block.der).publicKey) };
  } catch {
    return undefined; // PEM armour around something else
  }
}

/** Reads a scalar entry; `text` may come from a document or from the value of a secret (SL-182). */
export function readEntryText(
  text: string,
): AccessEntry | { readonly problem: string; readonly rule: string; readonly expected: string; readonly hint?: string | undefined } {
  const keyword = Object.entries(KEYWORDS).find(([word]) => word === text)?.[1];
  if (keyword !== undefined) return keyword;
  const expected = "CREATOR, ANY, NONE, a PEM certificate or a key hash";
  if (text.includes("-----BEGIN")) {
    const certificate = readCertificate(text);
    if (certificate !== undefined) return { kind: "certificate", ...certificate };
    const label = /-----BEGIN ([A-Z0-9 ]{1,40})-----/.exec(text)?.[1]?.toLowerCase() ?? "block";
    const hint = label === "public key" ? "a signing key is written `signer: <PEM>`" : undefined;
    return { rule: "SL-171", problem: label === "certificate" ? "not a valid PEM certificate" : `a PEM ${label}`, expected, hint };
  }
  if (/^[0-9a-fA-F]{64}$/.test(text)) {
    return { rule: "SL-174", problem: "a certificate hash", expected: "a key hash (50 characters, `cert show-key-hash`)" };
  }
  const reading = parseKeyHash(text);
  if (reading.kind === "ok") return { kind: "key", keyHash: text };
  if (reading.kind === "checksum" && text.length >= 46 && text.length <= 54) {
    return {
      rule: "SL-173",
      problem: "key hash with a wrong checksum; is a character mistyped?",
      expected: "a key hash as printed by `cert show-key-hash`",
    };
  }
  if (reading.kind === "version") {
    const hint = reading.version === OLD_SIGNER_VERSION ? "a signing key is written `signer: <key>`" : undefined;
    return { rule: "SL-173", problem: `Base58Check of version ${reading.version}`, expected: "a key hash (version 1)", hint };
  }
  return { rule: "SL-171", problem: quote(text), expected, hint: didYouMean(text, Object.keys(KEYWORDS)) };
}

function entryReader(readOnly: boolean): Reader<AccessEntry> {
  const reader: Reader<AccessEntry> = {
    read: (place, context) =>
      place.node.kind === "map" ? readMappingEntry(place, context, reader, readOnly) : readScalarEntry(place, context),
    schema: () =>
      readOnly
        ? { type: "string" }
        : {
            anyOf: [
              { type: "string" },
              {
                type: "object",
                minProperties: 1,
                maxProperties: 1,
                properties: { signer: { type: "string" }, "require-all": { $ref: "#/$defs/accessEntries" } },
                patternProperties: { "^require-at-least-[1-9][0-9]*$": { $ref: "#/$defs/accessEntries" } },
                additionalProperties: false,
              },
            ],
          },
  };
  return reader;
}

function readScalarEntry(place: Place, context: Context): AccessEntry | undefined {
  const node = stringNode(place, context, "SL-171", "CREATOR, ANY, NONE, a PEM certificate or a key hash");
  if (node === undefined) return undefined;
  if (node.text.startsWith("$$SCONE:")) {
    if (!collectPlaceholders(node.text, "section", place, context)) return undefined;
    const [placeholder] = scanPlaceholders(node.text);
    if (placeholder?.kind === "placeholder" && placeholder.text === node.text)
      return { kind: "placeholder", secret: placeholder.name, text: node.text };
  }
  const entry = readEntryText(node.text);
  if ("problem" in entry)
    return context.error(place, { rule: entry.rule, message: entry.problem, expected: entry.expected, hint: entry.hint });
  return entry;
}

function readMappingEntry(place: Place, context: Context, reader: Reader<AccessEntry>, readOnly: boolean): AccessEntry | undefined {
  if (place.node.kind !== "map") return undefined;
  const keys = [...place.node.entries.keys()];
  const [key] = keys;
  const expected = "`signer`, `require-all` or `require-at-least-N`";
  if (key === undefined || keys.length > 1) {
    return context.error(place, { rule: "SL-178", message: `a mapping with ${keys.length} keys`, expected: `exactly one of ${expected}` });
  }
  const count = /^require-at-least-([1-9][0-9]{0,4})$/.exec(key)?.[1];
  if (key !== "signer" && key !== "require-all" && count === undefined) {
    const hint = didYouMean(key, ["signer", "require-all", "require-at-least-1"]);
    return context.errorAtKey(place, key, { rule: "SL-12", message: `unknown key ${quote(key)}`, expected, hint });
  }
  if (readOnly) {
    const message = `\`${key}\` in \`${String(place.parent?.key ?? place.key)}\``;
    return context.errorAtKey(place, key, { rule: "SL-177", message: readOnlyMessage(key, place) ?? message, expected: "single entries" });
  }
  const value = child(place, key);
  if (key === "signer") return readSigner(value, context);
  const entries = list(reader, {
    rule: "SL-178",
    expected: "a list of entries",
    nonEmpty: { rule: "SL-178", expected: "at least one entry" },
  }).read(value, context);
  if (entries === undefined || !checkAlone(entries, value, context)) return undefined;
  if (count === undefined) return context.remember<AccessEntry>({ kind: "all", entries }, place);
  return readQuorum(Number(count), key, entries, place, context);
}

function readOnlyMessage(key: string, place: Place): string | undefined {
  for (let at: Place | undefined = place; at !== undefined; at = at.parent) {
    if (typeof at.key === "string") return `\`${key}\` in \`${at.key}\``;
  }
  return undefined;
}

function readQuorum(count: number, key: string, entries: readonly AccessEntry[], place: Place, context: Context): AccessEntry | undefined {
  if (count > entries.length) {
    return context.errorAtKey(place, key, {
      rule: "SL-178",
      message: `${count} of ${entries.length} entries`,
      expected: `1…${entries.length}`,
    });
  }
  const seen = new Set<string>();
  for (const [index, entry] of entries.entries()) {
    const hash =
      "keyHash" in entry
        ? `${entry.kind === "signer" ? "signer" : "key"} ${entry.keyHash}`
        : entry.kind === "creator"
          ? "CREATOR"
          : undefined;
    if (hash === undefined) continue;
    if (seen.has(hash)) {
      const at = child(child(place, key), index);
      return context.error(at, {
        rule: "SL-179",
        message: `the same key twice in \`${key}\``,
        expected: "each key once, or the quorum is weaker than it says",
      });
    }
    seen.add(hash);
  }
  return context.remember<AccessEntry>({ kind: "at-least", count, entries }, place);
}

function readSigner(place: Place, context: Context): AccessEntry | undefined {
  const node = stringNode(place, context, "SL-176", SIGNER_EXPECTED);
  if (node === undefined) return undefined;
  if (node.text.includes("PRIVATE KEY")) context.reporter.hide(node);
  const key = readSigningKey(node.text);
  if ("problem" in key) return context.error(place, { rule: "SL-176", message: key.problem, expected: SIGNER_EXPECTED });
  if (key.old)
    context.error(place, { severity: "warning", rule: "SL-176", message: "the older form of a signing key", expected: "PEM SPKI" });
  return { kind: "signer", keyHash: key.keyHash, publicKey: key.publicKey };
}

/** SL-172. */
function checkAlone(entries: readonly AccessEntry[], place: Place, context: Context): boolean {
  const index = entries.findIndex((entry) => entry.kind === "any" || entry.kind === "none");
  if (index < 0 || entries.length === 1) return true;
  const word = entries[index]?.kind === "any" ? "ANY" : "NONE";
  const at = place.node.kind === "list" ? child(place, index) : place;
  context.error(at, { rule: "SL-172", message: `\`${word}\` next to other entries`, expected: "it alone" });
  return false;
}

/** The entries of one operation: any of them suffices (SL-171). */
export function accessRuleReader(readOnly: boolean): Reader<readonly AccessEntry[]> {
  const entries = list(entryReader(readOnly), {
    rule: "SL-171",
    expected: "an entry or a list of entries",
    nonEmpty: { rule: "SL-171", expected: "at least one entry" },
    single: true,
  });
  return {
    read(place, context) {
      const read = entries.read(place, context);
      return read !== undefined && checkAlone(read, place, context) ? read : undefined;
    },
    schema: entries.schema,
  };
}

const policyFields = {
  read: { reader: accessRuleReader(true), doc: "Who may read the document and its old versions." },
  update: { reader: accessRuleReader(false), doc: "Who may upload a successor." },
  create_sessions: { reader: accessRuleReader(false), doc: "Who may create sessions in this namespace.", since: 5 },
  list_sessions: { reader: accessRuleReader(true), doc: "Who may list the sessions of this namespace.", since: 12 },
} as const;

export const accessPolicy: Reader<AccessPolicy | Placeholder> = orPlaceholder(
  mapping(policyFields, { rule: "SL-171", expected: `a mapping with ${OPERATIONS.join(", ")}` }, (raw) => ({
    read: raw.read,
    update: raw.update,
    createSessions: raw.create_sessions,
    listSessions: raw.list_sessions,
  })),
);

/** `creator`: a PEM certificate, or `signer:` with a signing key (§19). */
export const creator: Reader<Creator> = {
  read(place, context) {
    const expected = "a PEM certificate or `signer: <PEM>`";
    if (place.node.kind !== "map") {
      const node = stringNode(place, context, "SL-186", expected);
      if (node === undefined) return undefined;
      const certificate = readCertificate(node.text);
      if (certificate !== undefined) return { kind: "certificate", ...certificate };
      if (parseKeyHash(node.text).kind === "ok") return { kind: "certificate", keyHash: node.text, pem: undefined };
      return context.error(place, { rule: "SL-186", message: describe(node), expected });
    }
    const entry = entryReader(false).read(place, context);
    if (entry === undefined) return undefined;
    if (entry.kind !== "signer") return context.error(place, { rule: "SL-186", message: "an access rule", expected });
    return { kind: "signer", keyHash: entry.keyHash, publicKey: entry.publicKey };
  },
  schema: () => ({
    anyOf: [
      { type: "string" },
      { type: "object", required: ["signer"], properties: { signer: { type: "string" } }, additionalProperties: false },
    ],
  }),
};
