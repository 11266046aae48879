import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8 } from "../core/bytes.ts";
import { attribute, nameDer, readName, relativeName } from "../testing/mint-x509.ts";
import { integer, objectIdentifier, sequence, tlv, utf8String } from "./der-writer.ts";
import { commonNames, describeName, emailAddresses, findCommonName, isEmptyName, isNameWithin, isSameName } from "./distinguished-name.ts";

const CN = "2.5.4.3";
const EMAIL = "1.2.840.113549.1.9.1";
const common = (value: Uint8Array) => readName(sequence(relativeName(attribute(CN, value))));
const utf16 = (text: string) => tlv(0x1e, Buffer.from(text, "utf16le").swap16());
const plain = nameDer("Example Root");

/** RFC 5280 §7.1: which values name the same. */
const same: readonly (readonly [rule: string, value: Uint8Array, isSame: boolean])[] = [
  ["another case", utf8String("EXAMPLE root"), true],
  ["more spaces, also around", utf8String("  Example   Root "), true],
  ["a PrintableString", tlv(0x13, encodeUtf8("Example Root")), true],
  ["a TeletexString", tlv(0x14, encodeUtf8("Example Root")), true],
  ["an IA5String", tlv(0x16, encodeUtf8("Example Root")), true],
  ["a BMPString", utf16("Example Root"), true],
  ["a BMPString of an odd length", tlv(0x1e, Buffer.from("00450078006100", "hex")), false],
  ["another text", utf8String("Example Rood"), false],
  ["no text", integer(1), false],
];

for (const [rule, value, isSame] of same) {
  test(`RFC 5280 §7.1: ${rule} is ${isSame ? "the same name" : "another name"}`, () => {
    assert.equal(isSameName(readName(plain), common(value)), isSame);
    assert.equal(isSameName(common(value), readName(plain)), isSame);
  });
}

test("values that are no text are compared by their bytes", () => {
  const twice = [integer(1), integer(1), integer(2)].map((value) =>
    readName(sequence(relativeName(attribute(CN, value)), relativeName(attribute(EMAIL, tlv(0x16, encodeUtf8("A")))))),
  );
  const [one, , two] = twice;
  const folded = readName(sequence(relativeName(attribute(CN, integer(1))), relativeName(attribute(EMAIL, tlv(0x16, encodeUtf8("a"))))));
  assert.ok(one !== undefined && two !== undefined);
  assert.equal(isSameName(one, folded), true);
  assert.equal(isSameName(two, folded), false);
});

test("a name lies within its own beginnings, whatever the order inside one relative name", () => {
  const [a, ab, ba] = [nameDer("a"), nameDer("a", "b"), nameDer("b", "a")].map(readName) as [
    ReturnType<typeof readName>,
    ReturnType<typeof readName>,
    ReturnType<typeof readName>,
  ]; // three in, three out
  assert.deepEqual([isNameWithin(ab, a), isNameWithin(a, ab), isNameWithin(ba, a), isNameWithin(ab, ab)], [true, false, false, true]);
  assert.deepEqual([isSameName(ab, a), isSameName(a, ab)], [false, false]);
  const [one, two] = [attribute(CN, utf8String("x")), attribute("2.5.4.10", utf8String("y"))];
  const louder = attribute(CN, utf8String("X"));
  assert.equal(isSameName(readName(sequence(relativeName(one, two))), readName(sequence(relativeName(two, louder)))), true);
});

test("texts of a name: the last common name, all addresses, a description that is cut and escaped", () => {
  const name = readName(
    sequence(
      ...[attribute("2.5.4.6", tlv(0x13, encodeUtf8("CH"))), attribute(CN, utf8String("first")), attribute(CN, utf8String('la"st'))].map(
        (each) => relativeName(each),
      ),
      relativeName(attribute(EMAIL, tlv(0x16, encodeUtf8("a@b.example"))), attribute(CN, integer(1))),
    ),
  );
  assert.deepEqual([findCommonName(name), commonNames(name), emailAddresses(name)], ['la"st', ["first", 'la"st'], ["a@b.example"]]);
  assert.equal(describeName(name), `"CN=?, ${EMAIL}=a@b.example, CN=la\\"st, CN=first, C=CH"`);
  assert.equal(describeName(readName(nameDer("x".repeat(200)))).length, 122);
  assert.deepEqual([isEmptyName(name), isEmptyName(readName(sequence()))], [false, true]);
});

const refused: readonly { rule: string; der: Uint8Array; says: RegExp }[] = [
  { rule: "an empty relative name", der: sequence(relativeName()), says: /no attributes/ },
  {
    rule: "an attribute of three members",
    der: sequence(relativeName(sequence(objectIdentifier(CN), integer(1), integer(2)))),
    says: /3 bytes follow/,
  },
  { rule: "65 relative names", der: nameDer(...Array<string>(65).fill("x")), says: /more than 64/ },
  {
    rule: "17 attributes in one",
    der: sequence(relativeName(...Array<Uint8Array>(17).fill(attribute(CN, integer(1))))),
    says: /more than 16/,
  },
];

for (const { rule, der, says } of refused) test(`a name is refused: ${rule}`, () => assert.throws(() => readName(der), { message: says }));
