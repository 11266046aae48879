import { mapping } from "../mapping.ts";
import { anyText, type Context, child, describe, list, literal, type Place, quote, type Reader, templateText } from "../reader.ts";
import type { Image, InjectionFile, Mount } from "../session.ts";
import { absolutePath, label } from "./value-readers.ts";
import { volumePolicy } from "./volumes.ts";

export const DEFAULT_PERMISSION = 0o700;

const mount: Reader<Mount> = mapping(
  {
    name: {
      reader: label("SL-166", "volume name"),
      doc: "Name of a volume of the session.",
      required: { rule: "SL-166", message: "`name` is missing", expected: "the name of a volume" },
    },
    path: {
      reader: absolutePath,
      doc: "Mount point.",
      required: { rule: "SL-166", message: "`path` is missing", expected: "an absolute path" },
    },
    update_policy: { reader: volumePolicy, doc: "Which states are accepted.", since: 2 },
  } as const,
  { rule: "SL-166", expected: "a mapping with `name` and `path`" },
  ({ name, path, update_policy: updatePolicy = "rollback_protected" }, place, context) => {
    if (name === undefined || path === undefined) return undefined;
    if (updatePolicy === "no_rollback_protection") {
      const message = "`no_rollback_protection` accepts any older state of the volume";
      context.error(child(place, "update_policy"), { severity: "warning", rule: "SL-165", message, expected: "`rollback_protected`" });
    }
    return { name, path, updatePolicy };
  },
);

/** SL-169: octal with `0o`, also quoted. */
const permission: Reader<number> = {
  read(place, context) {
    const { node } = place;
    const expected = "`0o…` up to `0o777`, e.g. `0o600`";
    if (node.kind !== "scalar" || node.text === "") return context.error(place, { rule: "SL-169", message: describe(node), expected });
    const { text } = node;
    if (/^0o[0-7]{1,3}$/.test(text)) return Number(text);
    if (/^0?[0-7]{3}$/.test(text)) {
      return context.error(place, {
        rule: "SL-169",
        message: `\`${text}\` is read as decimal ${Number(text)}`,
        expected: `\`0o${text.replace(/^0/, "")}\``,
      });
    }
    return context.error(place, { rule: "SL-169", message: quote(text), expected });
  },
  schema: () => ({
    anyOf: [
      { type: "string", pattern: "^0o[0-7]{1,3}$" },
      { type: "integer", minimum: 0, maximum: 0o777 },
    ],
  }),
};

const base64Content: Reader<string> = literal("SL-167", "base64", (text, place, context) => {
  try {
    return Uint8Array.fromBase64(text.replace(/\s+/g, ""), { lastChunkHandling: "strict" }).toBase64();
  } catch {
    return context.error(place, { rule: "SL-167", message: `${text.length} characters that are no base64`, expected: "base64, padded" });
  }
});

/** Content in which placeholders are replaced, unless the file is `raw`. */
const content: Reader<string> = {
  read(place, context) {
    const file = place.parent?.node;
    const raw = file?.kind === "map" ? file.entries.get("raw")?.value : undefined;
    const isRaw = raw?.kind === "scalar" && raw.text === "true";
    return isRaw ? rawContent(place, context) : templateContent.read(place, context);
  },
  schema: () => ({ type: ["string", "number", "boolean"] }),
};

const templateContent = templateText("file");

function rawContent(place: Place, context: Context): string | undefined {
  const { node } = place;
  return node.kind === "scalar" ? node.text : context.error(place, { rule: "SL-14", message: describe(node), expected: "a string" });
}

const rawFlag: Reader<boolean> = {
  read(place, context) {
    const { node } = place;
    if (node.kind === "scalar" && (node.text === "true" || node.text === "false")) return node.text === "true";
    return context.error(place, { rule: "SL-16", message: describe(node), expected: "`true` or `false`" });
  },
  schema: () => ({ type: "boolean" }),
};

const longFile: Reader<InjectionFile> = mapping(
  {
    path: {
      reader: absolutePath,
      doc: "Where the program finds the file.",
      required: { rule: "SL-168", message: "`path` is missing", expected: "an absolute path" },
    },
    content: { reader: content, doc: "What the file holds; without it the file of the image is the template." },
    content_base64: { reader: base64Content, doc: "Extension: bytes, delivered as they are." },
    raw: { reader: rawFlag, doc: "Extension: `content` is delivered without replacing placeholders." },
    permission: { reader: permission, doc: "Octal, `0o700` by default.", since: 10 },
  } as const,
  { rule: "SL-168", expected: "a path, or a mapping with `path`" },
  (raw, place, context) => {
    const { path, content: text, content_base64: base64 } = raw;
    if (path === undefined) return undefined;
    const bits = raw.permission ?? DEFAULT_PERMISSION;
    if (text !== undefined && base64 !== undefined) {
      return context.errorAtKey(place, "content_base64", {
        rule: "SL-167",
        message: "`content_base64` with `content`",
        expected: "one of them",
      });
    }
    if (raw.raw === true && text === undefined) {
      return context.errorAtKey(place, "raw", { rule: "SL-167", message: "`raw` without `content`", expected: "`content`" });
    }
    if (base64 !== undefined) return { path, source: { kind: "raw", base64 }, permission: bits };
    if (text === undefined) return { path, source: { kind: "image" }, permission: bits };
    if (raw.raw === true) return { path, source: { kind: "raw", base64: Buffer.from(text).toString("base64") }, permission: bits };
    return { path, source: { kind: "template", text }, permission: bits };
  },
);

const injectionFile: Reader<InjectionFile> = {
  read(place, context) {
    if (place.node.kind !== "scalar") return longFile.read(place, context);
    const path = absolutePath.read(place, context);
    return path === undefined ? undefined : { path, source: { kind: "image" }, permission: DEFAULT_PERMISSION };
  },
  schema: () => ({ anyOf: [{ type: "string" }, longFile.schema()] }),
};

export const image: Reader<Image> = mapping(
  {
    name: {
      reader: label("SL-30", "image name"),
      doc: "Unique name.",
      required: { rule: "SL-30", message: "`name` is missing", expected: "an image name" },
    },
    volumes: { reader: list(mount, { rule: "SL-166", expected: "a list of mounts" }), doc: "Volumes and where they are mounted." },
    injection_files: { reader: list(injectionFile, { rule: "SL-168", expected: "a list of files" }), doc: "Files made at start." },
    provide_secrets: {
      reader: list(anyText("SL-170", "a secret name"), { rule: "SL-170", expected: "a list of secret names" }),
      doc: "Secrets that template files of the image and the run-time interface may use.",
      since: 11,
    },
  } as const,
  { rule: "SL-29", expected: "a mapping with `name`" },
  (raw, place, context) => {
    const { name, volumes = [], injection_files: injectionFiles = [] } = raw;
    if (name === undefined) return undefined;
    const distinct = [
      checkDistinct(
        injectionFiles.map(({ path }) => path),
        "injection_files",
        "path",
        "SL-168",
        place,
        context,
      ),
      checkDistinct(
        volumes.map(({ path }) => path),
        "volumes",
        "path",
        "SL-166",
        place,
        context,
      ),
      checkDistinct(
        volumes.map((one) => one.name),
        "volumes",
        "name",
        "SL-166",
        place,
        context,
      ),
    ];
    return distinct.includes(false) ? undefined : { name, volumes, injectionFiles, provideSecrets: raw.provide_secrets };
  },
);

function checkDistinct(values: readonly string[], listKey: string, key: string, rule: string, place: Place, context: Context): boolean {
  const first = new Map<string, number>();
  let distinct = true;
  for (const [index, value] of values.entries()) {
    const valueAt = (at: number) => {
      const item = child(child(place, listKey), at);
      return item.node.kind === "map" ? child(item, key) : item;
    };
    const earlier = first.get(value);
    if (earlier === undefined) {
      first.set(value, index);
      continue;
    }
    const { line, column } = context.reporter.source.position(valueAt(earlier).node.start);
    context.error(valueAt(index), {
      rule,
      message: `${quote(value)} is defined twice; first at line ${line} column ${column}`,
      expected: "each once",
    });
    distinct = false;
  }
  return distinct;
}
