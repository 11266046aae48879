import { decodeAscii } from "../core/bytes.ts";
import { type DerReader, readList } from "./der-reader.ts";
import { type DistinguishedName, readDistinguishedName } from "./distinguished-name.ts";

/** RFC 5280 §4.2.1.6. `bytes` of an `ip` is an address, or an address and a mask in a name constraint. */
export type GeneralName =
  | { readonly kind: "dns" | "email" | "uri"; readonly text: string }
  | { readonly kind: "ip"; readonly bytes: Uint8Array }
  | { readonly kind: "directory"; readonly name: DistinguishedName }
  | { readonly kind: "other"; readonly tag: number };

const NAMES_MAX = 4096;
const TEXT_KINDS = new Map<number, "dns" | "email" | "uri">([
  [0x81, "email"],
  [0x82, "dns"],
  [0x86, "uri"],
]);
const OTHER_TAGS = [0xa0, 0xa3, 0xa5, 0x88];

export function readGeneralNames(reader: DerReader, field: string): readonly GeneralName[] {
  return readList(reader, NAMES_MAX, field, (list) => readGeneralName(list, field));
}

export function readGeneralName(reader: DerReader, field: string): GeneralName {
  const { tag, content } = reader.any(field);
  const kind = TEXT_KINDS.get(tag);
  if (kind !== undefined) {
    if (content.some((octet) => octet >= 0x80)) throw reader.fail(`${field} is not ASCII`);
    return { kind, text: decodeAscii(content) };
  }
  if (tag === 0x87) return { kind: "ip", bytes: content };
  if (tag === 0xa4) {
    const inner = reader.within(content, field);
    const name = readDistinguishedName(inner, field);
    inner.finish();
    return { kind: "directory", name };
  }
  if (!OTHER_TAGS.includes(tag)) throw reader.fail(`${field} has the unknown form 0x${tag.toString(16)}`);
  return { kind: "other", tag };
}
