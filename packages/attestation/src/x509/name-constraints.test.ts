import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8 } from "../core/bytes.ts";
import { attribute, certificateWith, nameDer, readName, relativeName } from "../testing/mint-x509.ts";
import { sequence, tlv } from "./der-writer.ts";
import type { GeneralName } from "./general-name.ts";
import { ConstrainedNames, findConstraintFault } from "./name-constraints.ts";

const dns = (text: string): GeneralName => ({ kind: "dns", text });
const email = (text: string): GeneralName => ({ kind: "email", text });
const uri = (text: string): GeneralName => ({ kind: "uri", text });
const ip = (hex: string): GeneralName => ({ kind: "ip", bytes: Uint8Array.fromHex(hex) });
const directory = (...names: readonly string[]): GeneralName => ({ kind: "directory", name: readName(nameDer(...names)) });
const other = (tag: number): GeneralName => ({ kind: "other", tag });

const nameless = certificateWith({ subject: sequence() });
/** Why a certificate with these alternative names and no subject lies outside. */
function findFault(
  names: readonly GeneralName[],
  permitted: readonly GeneralName[],
  excluded: readonly GeneralName[] = [],
): string | undefined {
  const constrained = new ConstrainedNames();
  constrained.add({ permitted, excluded });
  return constrained.findFault({ ...nameless, subjectAltNames: names });
}

/** §4.2.1.10: whether a name lies in a subtree. */
const within: readonly (readonly [name: GeneralName, constraint: GeneralName, isWithin: boolean])[] = [
  [dns("example.com"), dns("example.com"), true],
  [dns("www.EXAMPLE.com"), dns("Example.COM"), true],
  [dns("badexample.com"), dns("example.com"), false],
  [dns("*.example.com"), dns("example.com"), true],
  [dns("anything.example"), dns(""), true],
  [email("a@example.com"), email("a@EXAMPLE.com"), true],
  [email("A@example.com"), email("a@example.com"), false],
  [email("a@www.example.com"), email("a@example.com"), false],
  [email("a@example.com"), email("example.com"), true],
  [email("a@www.example.com"), email("example.com"), false],
  [email("a@www.example.com"), email(".example.com"), true],
  [email("a@example.com"), email(".example.com"), false],
  [email("a@www.example.org"), email(".example.com"), false],
  [uri("https://user@www.example.com:8443/x"), uri("www.example.com"), true],
  [uri("https://www.example.com"), uri(".example.com"), true],
  [uri("https://example.com"), uri(".example.com"), false],
  [uri("https://www.example.com"), uri("example.com"), false],
  [ip("0a010203"), ip("0a000000ff000000"), true],
  [ip("0b010203"), ip("0a000000ff000000"), false],
  [ip("0a010203"), ip("0a000000".repeat(4) + "ff".repeat(16)), false],
  [ip(`20010db8${"00".repeat(12)}`), ip(`20010db8${"00".repeat(12)}ffffffff${"00".repeat(12)}`), true],
  [directory("a", "b"), directory("a"), true],
  [directory("b"), directory("a"), false],
];

for (const [name, constraint, isWithin] of within) {
  const text = (each: GeneralName) => ("text" in each ? each.text : each.kind === "ip" ? each.bytes.toHex() : each.kind);
  test(`RFC 5280 §4.2.1.10: ${name.kind} ${text(name)} is ${isWithin ? "" : "not "}within ${text(constraint)}`, () => {
    assert.match(findFault([name], [constraint]) ?? "inside", isWithin ? /^inside$/ : /is not permitted/);
    assert.match(findFault([name], [], [constraint]) ?? "outside", isWithin ? /is excluded/ : /^outside$/);
  });
}

const faults: readonly {
  rule: string;
  names: readonly GeneralName[];
  permitted?: readonly GeneralName[];
  excluded?: readonly GeneralName[];
  says?: RegExp;
}[] = [
  {
    rule: "a wildcard that reaches into an excluded subtree",
    names: [dns("*.Example.com")],
    excluded: [dns("www.example.COM")],
    says: /"\*\.Example\.com" is excluded/,
  },
  { rule: "a wildcard beside an excluded subtree", names: [dns("*.example.com")], excluded: [dns("www.example.org")] },
  { rule: "a host beside an excluded one", names: [dns("a.example.com")], excluded: [dns("b.example.com")] },
  { rule: "a host two letters longer than its neighbour", names: [dns("xxexample.com")], excluded: [dns("www.example.com")] },
  { rule: "a wildcard above a permitted host", names: [dns("*.example.com")], permitted: [dns("www.example.com")], says: /not permitted/ },
  { rule: "names of a kind that nothing constrains", names: [ip("0a010203"), email("a@b.example")], permitted: [dns("example.com")] },
  {
    rule: "the second name outside",
    names: [dns("a.example.com"), dns("a.example.org")],
    permitted: [dns("example.com")],
    says: /a\.example\.org/,
  },
  { rule: "the second of two permitted", names: [dns("a.example.org")], permitted: [dns("example.com"), dns("example.org")] },
  {
    rule: "permitted, but excluded",
    names: [dns("a.example.com")],
    permitted: [dns("example.com")],
    excluded: [dns("a.example.com")],
    says: /excluded/,
  },
  { rule: "a form that cannot be compared", names: [other(0xa0)], permitted: [other(0xa0)], says: /cannot be compared/ },
  { rule: "another form that cannot be compared", names: [other(0xa0)], permitted: [other(0x88)] },
  { rule: "a host name that is none", names: [dns("a_b.example.com")], permitted: [dns("example.com")], says: /cannot be compared with/ },
  { rule: "an address of five bytes", names: [ip("0a01020304")], permitted: [ip("0a000000ff000000")], says: /address 0a01020304 cannot/ },
  { rule: "a mailbox that is none", names: [email("a@b@c.example")], excluded: [email("c.example")], says: /cannot be compared with/ },
  { rule: "a mailbox at no host", names: [email("a@b_c.example")], excluded: [email("c.example")], says: /cannot be compared with/ },
  { rule: "a URI of an address", names: [uri("https://10.0.0.1/")], excluded: [uri("example.com")], says: /cannot be compared with/ },
  { rule: "a URI without a host", names: [uri("urn:x:y")], excluded: [uri("example.com")], says: /cannot be compared with/ },
  { rule: "a URI at no host", names: [uri("https://a_b.example/")], excluded: [uri("example.com")], says: /cannot be compared with/ },
];

for (const { rule, names, permitted = [], excluded = [], says } of faults) {
  test(`name constraints ${says === undefined ? "allow" : "forbid"} ${rule}`, () => {
    const fault = findFault(names, permitted, excluded);
    if (says === undefined) assert.equal(fault, undefined);
    else assert.match(fault ?? "no fault", says);
  });
}

test("the subject counts, and its address where no alternative name is a mailbox", () => {
  const address = sequence(relativeName(attribute("1.2.840.113549.1.9.1", tlv(0x16, encodeUtf8("a@example.org")))));
  const constrained = new ConstrainedNames();
  const subject = certificateWith({ subject: address });
  assert.equal(constrained.findFault(subject), undefined);
  constrained.add({ permitted: [email("example.com")], excluded: [] });
  assert.match(constrained.findFault(subject) ?? "", /email "a@example\.org" is not permitted/);
  assert.equal(constrained.findFault({ ...subject, subjectAltNames: [email("a@example.com")] }), undefined);
  assert.match(constrained.findFault({ ...subject, subjectAltNames: [dns("a.example")] }) ?? "", /a@example\.org/);
  assert.equal(constrained.findFault(nameless), undefined);
  constrained.add({ permitted: [directory("a")], excluded: [] });
  assert.match(constrained.findFault(certificateWith({ subject: nameDer("b") })) ?? "", /directory is not permitted/);
  assert.equal(constrained.findFault(nameless), undefined);
});

test("each CA's permitted names must hold", () => {
  const constrained = new ConstrainedNames();
  for (const base of ["example.com", "www.example.com"]) constrained.add({ permitted: [dns(base)], excluded: [] });
  const fault = (text: string) => constrained.findFault({ ...nameless, subjectAltNames: [dns(text)] });
  assert.equal(fault("a.www.example.com"), undefined);
  assert.match(fault("b.example.com") ?? "", /not permitted/);
});

test("hazard A17: comparisons are counted over the whole path, and have an end", () => {
  const permitted = Array<GeneralName>(500).fill(dns("example.com"));
  const excluded = Array<GeneralName>(500).fill(dns("example.org"));
  const names = (count: number) => Array<GeneralName>(count).fill(dns("a.example.com"));
  assert.equal(findFault(names(250), permitted, excluded), undefined);
  assert.match(findFault(names(251), permitted, excluded) ?? "", /more than 250000 comparisons/);
});

const constraints: readonly (readonly [constraint: GeneralName, says: RegExp | undefined])[] = [
  [dns(""), undefined],
  [dns("example.com"), undefined],
  [dns(".example.com"), /dns "\.example\.com" is not a domain/],
  [email("a@example.com"), undefined],
  [email("example.com"), undefined],
  [email(".example.com"), undefined],
  [email("a@"), /not a mailbox, host or domain/],
  [uri(".example.com"), undefined],
  [uri("https://example.com"), /not a host or domain/],
  [ip("0a000000ff000000"), undefined],
  [directory("a"), undefined],
];

test("a constraint has to say something that a name can be compared with", () => {
  for (const [constraint, says] of constraints) {
    for (const fault of [
      { permitted: [constraint], excluded: [] },
      { permitted: [], excluded: [constraint] },
    ].map(findConstraintFault)) {
      if (says === undefined) assert.equal(fault, undefined);
      else assert.match(fault ?? "no fault", says);
    }
  }
});
