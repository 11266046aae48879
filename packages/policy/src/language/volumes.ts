import { mapping } from "../mapping.ts";
import { type Context, child, hex, list, literal, oneOf, orPlaceholder, type Place, type Reader } from "../reader.ts";
import type { SessionReference, Volume, VolumeExport } from "../session.ts";
import { volumeImport, volumeTarget } from "./references.ts";
import { label } from "./value-readers.ts";

export const volumePolicy = oneOf("SL-165", ["rollback_protected", "ephemeral", "no_rollback_protection"]);

const longExport: Reader<VolumeExport> = mapping(
  {
    to: {
      reader: volumeTarget,
      doc: "The importing session.",
      required: { rule: "SL-163", message: "`to` is missing", expected: "the reference under `to`" },
    },
    update_policy: { reader: volumePolicy, doc: "What an importer may choose at most.", since: 2 },
    volume_alias: { reader: literal("SL-164", "a name", (text) => text), doc: "Name under which the importer sees the volume.", since: 10 },
  } as const,
  { rule: "SL-163", expected: "a reference, or a mapping with `to`" },
  (raw) => raw.to && { to: raw.to, updatePolicy: raw.update_policy ?? "rollback_protected", alias: raw.volume_alias },
);

const volumeExport: Reader<VolumeExport> = {
  read(place, context) {
    const keys = place.node.kind === "map" ? place.node.entries : new Map();
    if (keys.has("to")) return longExport.read(place, context);
    const misplaced = ["update_policy", "volume_alias"].find((key) => keys.has(key));
    if (misplaced !== undefined) {
      const message = `\`${misplaced}\` next to \`session\``;
      return context.errorAtKey(place, misplaced, { rule: "SL-163", message, expected: "the reference under `to`" });
    }
    const to: SessionReference | undefined = volumeTarget.read(place, context);
    return to && { to, updatePolicy: "rollback_protected", alias: undefined };
  },
  schema: () => ({ anyOf: [volumeTarget.schema(), longExport.schema()] }),
};

const volumeFields = {
  name: {
    reader: label("SL-30", "volume name"),
    doc: "Unique name.",
    required: { rule: "SL-30", message: "`name` is missing", expected: "a volume name" },
  },
  fspf_key: { reader: orPlaceholder(hex(32), "key"), doc: "Key of the volume; made by the CAS without it.", sensitive: true },
  fspf_tag: { reader: hex(16), doc: "Initial state of the volume." },
  files: { reader: oneOf("SL-159", ["encrypted", "authenticated-only"]), doc: "How files are protected.", since: 11 },
  export: {
    reader: list(volumeExport, {
      rule: "SL-162",
      expected: "a reference or a list of references",
      nonEmpty: { rule: "SL-162", expected: "at least one reference" },
      single: true,
    }),
    doc: "Sessions that may import the volume.",
  },
  import: { reader: volumeImport, doc: "A volume of another session." },
} as const;

export const volume: Reader<Volume> = mapping(volumeFields, { rule: "SL-29", expected: "a mapping with `name`" }, (raw, place, context) => {
  const { name } = raw;
  if (name === undefined) return undefined;
  const exports = raw.export ?? [];
  if (!checkVisibleNames(name, exports, place, context)) return undefined;
  if (raw.import !== undefined) {
    const extra = (["fspf_key", "fspf_tag", "files", "export"] as const).find((key) => raw[key] !== undefined);
    if (extra !== undefined)
      return context.errorAtKey(place, extra, { rule: "SL-162", message: `\`${extra}\` with \`import\``, expected: "only one of them" });
    const { session, volume: there, sessionHash } = raw.import;
    return { name, source: { kind: "import", session, volume: there === "" ? name : there, sessionHash }, exports: [] };
  }
  const { fspf_key: key, fspf_tag: tag } = raw;
  if (key === undefined && tag === undefined) return { name, source: { kind: "auto", files: raw.files ?? "encrypted" }, exports };
  if (key === undefined || tag === undefined) {
    const [given, missing] = key === undefined ? ["fspf_tag", "fspf_key"] : ["fspf_key", "fspf_tag"];
    return context.errorAtKey(place, given, { rule: "SL-160", message: `\`${missing}\` is missing`, expected: "both or neither" });
  }
  if (raw.files !== undefined) {
    return context.errorAtKey(place, "files", {
      rule: "SL-160",
      message: "`files` with `fspf_key`",
      expected: "it only for volumes that are initialised on first use",
    });
  }
  return { name, source: { kind: "explicit", key, tag }, exports };
});

/** SL-164: one target must not see two volumes under one name. Within one volume that means one alias, or none, per target. */
function checkVisibleNames(name: string, exports: readonly VolumeExport[], place: Place, context: Context): boolean {
  const seen = new Set<string>();
  for (const [index, { to, alias }] of exports.entries()) {
    const key = `${to.target} ${alias ?? name}`;
    if (seen.has(key)) {
      const at = child(place, "export");
      const item = at.node.kind === "list" ? child(at, index) : at;
      context.error(item, { rule: "SL-164", message: `two exports to \`${to.target}\` as \`${alias ?? name}\``, expected: "one" });
      return false;
    }
    seen.add(key);
  }
  return true;
}
