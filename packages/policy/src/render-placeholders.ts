import { type ParsedPlaceholder, scanPlaceholders } from "./placeholder-syntax.ts";
import { PolicyError } from "./policy-error.ts";

/** What a placeholder stands for, once it is known which secrets exist. */
export interface PlaceholderMeaning {
  readonly secret: string;
  /** Without colon; a deprecated suffix keeps its dot: `.crt`, `.key`, `.chain`, `.hex`. */
  readonly format: string | undefined;
}

const DEPRECATED_SUFFIX = /\.(?:crt|key|chain|hex)$/;

/** The longest existing name wins: `a.key` means the key of `a` only if no secret is called `a.key` (SL-116). */
export function placeholderMeaning(
  { name, format }: Pick<ParsedPlaceholder, "name" | "format">,
  exists: (secret: string) => boolean,
): PlaceholderMeaning | undefined {
  if (exists(name)) return { secret: name, format };
  const suffix = DEPRECATED_SUFFIX.exec(name)?.[0];
  if (suffix === undefined || format !== undefined) return undefined;
  const secret = name.slice(0, -suffix.length);
  return exists(secret) ? { secret, format: suffix } : undefined;
}

export interface PlaceholderValues {
  exists(secret: string): boolean;
  /** Text, or bytes for the formats that only files may hold. May throw. */
  value(meaning: PlaceholderMeaning): string | Uint8Array;
}

function renderedValue(placeholder: ParsedPlaceholder, values: PlaceholderValues): string | Uint8Array {
  const meaning = placeholderMeaning(placeholder, values.exists);
  if (meaning === undefined) {
    throw new PolicyError("PLACEHOLDER_UNRESOLVED", `no secret is called ${placeholder.name}`, {
      rule: "SL-120",
      remedy: "Define the secret in the session.",
    });
  }
  const value = values.value(meaning);
  if (placeholder.encoding === undefined) return value;
  const text = typeof value === "string" ? value : decodeUtf8(value, placeholder.name);
  return JSON.stringify(text).slice(1, -1);
}

function decodeUtf8(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new PolicyError("PLACEHOLDER_NOT_TEXT", `the value of ${name} is no UTF-8 text and cannot be escaped`, { rule: "SL-124", cause });
  }
}

function parts(text: string): (string | ParsedPlaceholder)[] {
  const found: (string | ParsedPlaceholder)[] = [];
  let end = 0;
  for (const placeholder of scanPlaceholders(text)) {
    if (placeholder.kind === "malformed") {
      throw new PolicyError("PLACEHOLDER_MALFORMED", `${placeholder.message}; expected ${placeholder.expected}`, {
        rule: placeholder.rule,
      });
    }
    found.push(text.slice(end, placeholder.offset), placeholder);
    end = placeholder.offset + placeholder.text.length;
  }
  found.push(text.slice(end));
  return found;
}

/**
 * Replaces the placeholders of an argument or a variable, in one pass: replaced text is not scanned again (SL-121).
 * Throws `PolicyError` PLACEHOLDER_…: raw bytes and NUL cannot stand there (SL-119).
 */
export function renderText(text: string, values: PlaceholderValues): string {
  if (!text.includes("$$SCONE:")) return text;
  return parts(text)
    .map((part) => {
      if (typeof part === "string") return part;
      const value = renderedValue(part, values);
      if (typeof value === "string" && !value.includes("\0")) return value;
      throw new PolicyError("PLACEHOLDER_NOT_TEXT", `${part.name} is raw bytes here, or holds a NUL`, {
        rule: "SL-119",
        remedy: "Use a text format such as :hex or :base64.",
      });
    })
    .join("");
}

/** Replaces the placeholders of an injection file, in one pass; raw bytes are allowed. Throws `PolicyError` PLACEHOLDER_…. */
export function renderFile(template: string, values: PlaceholderValues): Uint8Array {
  return Uint8Array.from(
    Buffer.concat(
      parts(template).map((part) => {
        const value = typeof part === "string" ? part : renderedValue(part, values);
        return typeof value === "string" ? Buffer.from(value) : value;
      }),
    ),
  );
}
