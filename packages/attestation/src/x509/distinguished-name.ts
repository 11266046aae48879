import { decodeAscii, isSameBytes } from "../core/bytes.ts";
import { DER, type DerReader, type DerValue, readList } from "./der-reader.ts";

export interface NameAttribute {
  readonly type: string;
  readonly value: DerValue;
}

/** An X.501 Name as it stands in a certificate. */
export interface DistinguishedName {
  readonly bytes: Uint8Array;
  readonly relativeNames: readonly (readonly NameAttribute[])[];
}

const RELATIVE_NAMES_MAX = 64;
const ATTRIBUTES_MAX = 16;
const SHORT_NAMES = new Map([
  ["2.5.4.3", "CN"],
  ["2.5.4.6", "C"],
  ["2.5.4.7", "L"],
  ["2.5.4.8", "ST"],
  ["2.5.4.10", "O"],
  ["2.5.4.11", "OU"],
]);
const UTF8 = new TextDecoder("utf-8", { ignoreBOM: true });
const UTF16 = new TextDecoder("utf-16be", { ignoreBOM: true });
const COMMON_NAME = "2.5.4.3";
const EMAIL_ADDRESS = "1.2.840.113549.1.9.1";

/** Reads a Name (RFC 5280 §4.1.2.4); it may be empty. */
export function readDistinguishedName(reader: DerReader, field: string): DistinguishedName {
  const sequence = reader.value(DER.sequence, field);
  return { bytes: sequence.bytes, relativeNames: readRelativeNames(reader, sequence, field) };
}

function readRelativeNames(reader: DerReader, sequence: DerValue, field: string): readonly (readonly NameAttribute[])[] {
  if (sequence.content.length === 0) return [];
  const names = reader.within(sequence.content, field);
  return readList(names, RELATIVE_NAMES_MAX, "relative names", (list) =>
    readList(list.open(DER.set, field), ATTRIBUTES_MAX, "attributes", (set) => {
      const attribute = set.open(DER.sequence, field);
      const type = attribute.oid("attribute type");
      const value = attribute.any("attribute value");
      attribute.finish();
      return { type, value };
    }),
  );
}

/** Whether two Names are the same by the rules of RFC 5280 §7.1: case and runs of spaces do not matter. */
export function isSameName(a: DistinguishedName, b: DistinguishedName): boolean {
  if (isSameBytes(a.bytes, b.bytes)) return true;
  return a.relativeNames.length === b.relativeNames.length && isNameWithin(a, b);
}

/** Whether `name` lies in the subtree below `base` (RFC 5280 §4.2.1.10, directoryName). */
export function isNameWithin(name: DistinguishedName, base: DistinguishedName): boolean {
  return base.relativeNames.every((relative, index) => canonical(relative) === canonical(name.relativeNames[index] ?? []));
}

export const isEmptyName = (name: DistinguishedName): boolean => name.relativeNames.length === 0;

/** Text of the last common name; undefined when there is none. */
export function findCommonName(name: DistinguishedName): string | undefined {
  return attributeTexts(name, COMMON_NAME).at(-1);
}

export const commonNames = (name: DistinguishedName): readonly string[] => attributeTexts(name, COMMON_NAME);
export const emailAddresses = (name: DistinguishedName): readonly string[] => attributeTexts(name, EMAIL_ADDRESS);

/** For messages: `CN=…, O=…`, cut and escaped. */
export function describeName(name: DistinguishedName): string {
  const parts = name.relativeNames.flat().map(({ type, value }) => `${SHORT_NAMES.get(type) ?? type}=${decodeText(value) ?? "?"}`);
  return JSON.stringify(parts.toReversed().join(", ").slice(0, 120));
}

function attributeTexts(name: DistinguishedName, type: string): readonly string[] {
  return name.relativeNames.flat().flatMap((attribute) => (attribute.type === type ? (decodeText(attribute.value) ?? []) : []));
}

const canonical = (relative: readonly NameAttribute[]): string =>
  relative
    .map(({ type, value }) => {
      const text = decodeText(value);
      if (text === undefined) return `${type}=#${value.bytes.toHex()}`;
      return `${type}=${JSON.stringify(text.normalize("NFKC").toLowerCase().trim().replace(/ +/g, " "))}`;
    })
    .sort()
    .join("+");

function decodeText({ tag, content }: DerValue): string | undefined {
  switch (tag) {
    case DER.utf8String:
      return UTF8.decode(content);
    case DER.printableString:
    case DER.ia5String:
    case DER.teletexString:
      return decodeAscii(content);
    case DER.bmpString:
      return content.length % 2 === 0 ? UTF16.decode(content) : undefined;
    default:
      return undefined;
  }
}
