import assert from "node:assert/strict";
import { test } from "node:test";
import { certificateWith } from "../testing/mint-x509.ts";
import type { GeneralName } from "./general-name.ts";
import { isCertificateDnsName, isDnsName, isNamed, type SubjectName } from "./subject-name.ts";

const certificate = certificateWith({});
const dns = (text: string) => ({ kind: "dns", text }) as const;
const email = (text: string) => ({ kind: "email", text }) as const;
const ip = (hex: string) => ({ kind: "ip", bytes: Uint8Array.fromHex(hex) }) as const;

const named: readonly (readonly [wanted: SubjectName, names: readonly GeneralName[], isNamed: boolean])[] = [
  [dns("www.example.com"), [dns("a.example"), dns("WWW.Example.com")], true],
  [dns("WWW.example.com"), [dns("www.example.com")], true],
  [dns("example.com"), [dns("www.example.com")], false],
  [dns("www.example.com"), [dns("*.Example.com")], true],
  [dns("a.www.example.com"), [dns("*.example.com")], false],
  [dns("example.com"), [dns("*.example.com")], false],
  [dns("localhost"), [dns("*.localhost")], false],
  [dns("a.localhost"), [dns("*.localhost")], false],
  [dns("*.example.com"), [dns("*.example.com")], false],
  [dns("a_b.example.com"), [dns("a_b.example.com")], false],
  [dns("a_b.example.com"), [dns("*.example.com")], false],
  [dns("a.example.com"), [dns("a.*.com"), dns("a*.example.com")], false],
  [dns("a.example"), [email("a.example"), { kind: "uri", text: "a.example" }], false],
  [email("a@b.example"), [email("a@b.example")], true],
  [email("A@b.example"), [email("a@b.example")], false],
  [email("a@b.example"), [dns("b.example")], false],
  [ip("0a000001"), [ip("0a000001")], true],
  [ip("0a000001"), [ip("0a000002"), dns("10.0.0.1")], false],
  [ip("00".repeat(16)), [ip("00".repeat(16))], true],
  [ip("0a00000001"), [ip("0a00000001")], false],
];

test("RFC 9525 §6: which alternative names are the one that was asked for", () => {
  for (const [wanted, names, expected] of named) {
    assert.equal(isNamed({ ...certificate, subjectAltNames: names }, wanted), expected, JSON.stringify([wanted, names]));
  }
  assert.equal(isNamed(certificate, dns("subject")), false);
});

test("RFC 1034 §3.5: host names, and those that certificates may have", () => {
  const label = "a".repeat(63);
  for (const text of ["a", "a-b.example", "1.2.3.4", label, `${label}.${label}.${label}.${label.slice(2)}`]) {
    assert.deepEqual([isDnsName(text), isCertificateDnsName(text)], [true, true], text);
  }
  for (const text of [
    "",
    ".",
    "a.",
    ".a",
    "a..b",
    "-a",
    "a-",
    "a_b",
    `${label}a`,
    `${label}.${label}.${label}.${label.slice(1)}`,
    "*",
    "*.a",
    "*.",
    "*.a_b.c",
    "a.*.b",
  ]) {
    assert.deepEqual([isDnsName(text), isCertificateDnsName(text)], [false, false], text);
  }
  assert.deepEqual([isDnsName("*.a.b"), isCertificateDnsName("*.a.b")], [false, true]);
});
