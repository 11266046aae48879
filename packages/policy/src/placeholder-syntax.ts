/** Syntax of `$$SCONE::name[:format][|encoding]$$` (§12.2). What a name means is not decided here. */

export interface ParsedPlaceholder {
  readonly kind: "placeholder";
  /** The whole text, with both `$$`. */
  readonly text: string;
  /** In UTF-16 units from the start of the scanned text. */
  readonly offset: number;
  /** The name as written, deprecated suffixes such as `.crt` included (SL-116). `self::x` for the predefined values. */
  readonly name: string;
  /** Without the leading colon, for instance `privatekey:pem`. */
  readonly format: string | undefined;
  readonly encoding: "escape(json)" | undefined;
}

export interface MalformedPlaceholder {
  readonly kind: "malformed";
  readonly text: string;
  readonly offset: number;
  readonly rule: "SL-115" | "SL-124";
  readonly message: string;
  readonly expected: string;
  readonly hint?: string | undefined;
}

const OPENING = "$$SCONE:";
const SELF = "self::";

/** All placeholders of a text, from left to right; every other `$$` is literal (SL-115). Linear in the length of the text. */
export function scanPlaceholders(text: string): (ParsedPlaceholder | MalformedPlaceholder)[] {
  const found: (ParsedPlaceholder | MalformedPlaceholder)[] = [];
  let at = text.indexOf(OPENING);
  while (at >= 0) {
    const placeholder = readPlaceholder(text, at);
    found.push(placeholder);
    at = text.indexOf(OPENING, at + placeholder.text.length);
  }
  return found;
}

function readPlaceholder(text: string, offset: number): ParsedPlaceholder | MalformedPlaceholder {
  const close = text.indexOf("$$", offset + 2);
  const malformed = (length: number, rest: Omit<MalformedPlaceholder, "kind" | "text" | "offset">): MalformedPlaceholder => ({
    kind: "malformed",
    text: text.slice(offset, offset + length),
    offset,
    ...rest,
  });
  if (close < 0 || text.slice(offset, close).includes("\n")) {
    return malformed(OPENING.length, {
      rule: "SL-115",
      message: "placeholder is not closed",
      expected: "`$$` at its end, on the same line",
    });
  }
  const whole = text.slice(offset, close + 2);
  const inner = whole.slice(OPENING.length, -2);
  if (!inner.startsWith(":")) {
    return malformed(whole.length, { rule: "SL-115", message: "one colon after SCONE", expected: `\`$$SCONE::${inner}$$\`` });
  }
  const body = inner.slice(1);
  const bar = body.indexOf("|");
  const reference = bar < 0 ? body : body.slice(0, bar);
  const encoding = bar < 0 ? undefined : body.slice(bar + 1);
  const prefix = reference.startsWith(SELF) ? SELF : "";
  const rest = reference.slice(prefix.length);
  const colon = rest.indexOf(":");
  const name = prefix + (colon < 0 ? rest : rest.slice(0, colon));
  const format = colon < 0 ? undefined : rest.slice(colon + 1);
  if (!/^(?:self::)?[A-Za-z0-9_.~-]{1,128}$/.test(name)) {
    return malformed(whole.length, { rule: "SL-115", message: "placeholder without a valid secret name", expected: "`$$SCONE::name$$`" });
  }
  if (encoding !== undefined && encoding !== "escape(json)") {
    return malformed(whole.length, { rule: "SL-124", message: `encoding \`${encoding.slice(0, 40)}\``, expected: "`escape(json)`" });
  }
  return { kind: "placeholder", text: whole, offset, name, format, encoding };
}
