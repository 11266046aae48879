/** Each finding of a verification of the log, on logs that are made here line by line. */
import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import { appendLeaf, EMPTY_EDGE, leafHash, rootOf, type TreeEdge } from "@vouchsafe/attestation";
import { keyHashOf } from "@vouchsafe/policy";
import { issueCertificate, systemRandomness } from "@vouchsafe/secrets";
import { LogSigner } from "./log-signer.ts";
import { type LogExpectations, provenLogKeys, verifyAuditLog } from "./verify-audit-log.ts";

const newKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const publicOf = (key: KeyObject) => createPublicKey(key.export({ type: "pkcs8", format: "pem" }));
const [casKey, softwareKey, strangerKey] = [newKey(), newKey(), newKey()];
const casKeyHash = keyHashOf(publicOf(casKey));
const signerOf = (hash: string) =>
  new LogSigner({ casKeyHash: hash, softwareKey, auditKey: generateKeyPairSync("ed25519").privateKey } as ConstructorParameters<
    typeof LogSigner
  >[0]);
const signer = signerOf(casKeyHash);
const { verifierKey } = signer.binding;

const entry = (sequence: number, more: object = {}) =>
  JSON.stringify({ sequence, time: "2026-06-15T12:00:00Z", cas: "cas", event: "session_created", data: {}, ...more });
/** Entries 1 to 9. */
const entries = Array.from({ length: 9 }, (_, index) => entry(index + 1));
const edgeOf = (lines: readonly string[]): TreeEdge =>
  lines.reduce((edge, line) => appendLeaf(edge, leafHash(Buffer.from(line))).edge, EMPTY_EDGE);
/** What the CAS signs about its first `size` entries. */
const note = (size: number, of = entries, by = signer) => by.checkpoint(size, rootOf(edgeOf(of.slice(0, size))));
/** The line that stands in the log after entry `size`. */
const line = (size: number, of = entries) =>
  JSON.stringify({
    checkpoint: note(size, of),
    edge: edgeOf(of.slice(0, size)).hashes.map((hash) => Buffer.from(hash).toString("base64")),
  });

const known: LogExpectations = { casKeyHash, verifierKeys: [verifierKey], checkpoints: [note(9)] };
const verify = (lines: readonly string[], change: Partial<LogExpectations> = {}) =>
  verifyAuditLog(`${lines.join("\n")}\n`, { ...known, ...change });
const tail = entries.slice(4);
const fork = [...entries.slice(0, 8), entry(9, { event: "other" })];

const cases: readonly {
  rule: string;
  lines: readonly string[];
  change?: Partial<LogExpectations>;
  exit: number;
  reasons: readonly RegExp[];
}[] = [
  { rule: "all entries, all of them signed", lines: entries, exit: 0, reasons: [] },
  { rule: "checkpoints among the entries", lines: [...entries.slice(0, 3), line(3), ...entries.slice(3), line(9)], exit: 0, reasons: [] },
  {
    rule: "a rotated file that begins with the checkpoint before it",
    lines: [line(4), ...tail],
    change: { predecessor: 4 },
    exit: 0,
    reasons: [],
  },
  {
    rule: "checkpoints of the CAS in any order",
    lines: entries,
    change: { checkpoints: [note(9), note(3), note(5)] },
    exit: 0,
    reasons: [],
  },
  {
    rule: "a checkpoint of the CAS about what lies before the file",
    ...{ lines: [line(4), ...tail], change: { predecessor: 4, checkpoints: [note(9), note(3)] }, exit: 0, reasons: [] },
  },
  {
    rule: "one entry written twice, the first version of which was not committed",
    ...{
      lines: [...fork.slice(0, 9), entries[8] ?? ""],
      exit: 10,
      reasons: [/entry 9 is there twice: its first version was not committed/],
    },
  },
  {
    rule: "a log that ends too early",
    lines: entries.slice(0, 7),
    change: { checkpoints: [note(9), note(7)] },
    exit: 14,
    reasons: [/the CAS has 9, the log 7/],
  },
  {
    rule: "a file that ends before the entry that it has to reach",
    ...{
      lines: entries.slice(0, 7),
      change: { last: 8, checkpoints: [note(9), note(7)] },
      exit: 14,
      reasons: [/ends with entry 7, expected 8/],
    },
  },
  {
    rule: "a file that reaches it, though the CAS went on",
    lines: entries.slice(0, 7),
    change: { last: 7 },
    exit: 16,
    reasons: [/covers the entries after 0/],
  },
  { rule: "a log without its beginning", lines: [line(4), ...tail], exit: 15, reasons: [/begins with entry 5, expected 1/] },
  {
    rule: "another beginning than the file before it has",
    ...{ lines: [line(4), ...tail], change: { predecessor: 3 }, exit: 15, reasons: [/begins with entry 5, expected 4/] },
  },
  {
    rule: "entries that no checkpoint reaches back to",
    ...{ lines: tail, change: { predecessor: 4 }, exit: 16, reasons: [/no checkpoint of the CAS covers the entries after 0/] },
  },
  {
    rule: "entries before the first checkpoint of a file",
    lines: [...entries.slice(4, 6), line(6), ...entries.slice(6)],
    ...{ change: { predecessor: 4 }, exit: 16, reasons: [/no checkpoint before them covers the entries 5 to 6/] },
  },
  {
    rule: "a CAS that was not asked, of a log that is signed to its end",
    ...{ lines: [...entries, line(9)], change: { checkpoints: undefined }, exit: 16, reasons: [/the CAS was not asked/] },
  },
  {
    rule: "a CAS that was not asked, of a log whose end nobody signed",
    lines: [...entries.slice(0, 5), line(5), ...entries.slice(5)],
    ...{
      change: { checkpoints: undefined },
      exit: 16,
      reasons: [/the CAS was not asked/, /covers the entries after 5: nobody signed them/],
    },
  },
  {
    rule: "a CAS that gives no checkpoint",
    ...{ lines: entries, change: { checkpoints: [] }, exit: 16, reasons: [/gave no checkpoint/] },
  },
  { rule: "an entry that is missing", lines: entries.toSpliced(4, 1), exit: 17, reasons: [/entries 5 to 5 are missing/, /after 0/] },
  {
    rule: "an entry that is missing before a checkpoint from which the rest can be compared",
    lines: [...entries.slice(0, 3), ...entries.slice(4, 6), line(6), ...entries.slice(6)],
    ...{ exit: 17, reasons: [/entries 4 to 4 are missing/, /before them covers the entries 5 to 6/] },
  },
  {
    rule: "an entry that is missing right behind the checkpoint that a file begins with",
    ...{ lines: [line(4), ...entries.slice(5)], change: { predecessor: 4 }, exit: 17, reasons: [/entries 5 to 5 are missing/, /after 4/] },
  },
  {
    rule: "an entry that is missing, and a checkpoint that covers only a part of what follows",
    lines: [...entries.slice(0, 3), ...entries.slice(4, 7), line(6), ...entries.slice(7)],
    ...{ exit: 17, reasons: [/entries 4 to 4 are missing/, /after 0/] },
  },
  {
    rule: "a checkpoint of more entries than stand before it",
    ...{
      lines: [...entries.slice(0, 3), line(4), ...entries.slice(3)],
      exit: 17,
      reasons: [/covers 4 entries, the log before it ends with 3/],
    },
  },
  { rule: "more entries than the CAS has", lines: [...entries, entry(10)], exit: 18, reasons: [/ends with entry 9, the log with 10/] },
  { rule: "other entries than the CAS has", lines: fork, exit: 18, reasons: [/other entries up to 9/, /after 0/] },
  {
    rule: "other entries than the CAS had at an earlier checkpoint",
    lines: [entry(1, { event: "other" }), ...entries.slice(1)],
    ...{ change: { checkpoints: [note(9), note(3)] }, exit: 18, reasons: [/up to 9/, /up to 3/, /after 0/] },
  },
  {
    rule: "a beginning that is missing, and an end that is another",
    ...{ lines: [line(4), ...fork.slice(4)], exit: 18, reasons: [/other entries up to 9/, /after 4/, /begins with entry 5/] },
  },
  {
    rule: "an entry in another version than the checkpoint before it covers, and nothing else",
    lines: [...entries.slice(4, 6), line(6), entry(6, { event: "other" }), ...entries.slice(6)],
    ...{ change: { predecessor: 4 }, exit: 18, reasons: [/entry 6 is there twice, and a checkpoint covered/, /covers the entries 5 to 6/] },
  },
  {
    rule: "two entries in two versions",
    ...{ lines: [...fork.slice(0, 9), ...entries.slice(7)], exit: 18, reasons: [/entries 8 to 9 are there in two versions/] },
  },
  {
    rule: "one entry in two versions, the first of which was signed",
    ...{
      lines: [...entries, line(9), entry(9, { event: "other" })],
      exit: 18,
      reasons: [/entry 9 is there twice, and a checkpoint covered/, /up to 9/],
    },
  },
  {
    rule: "an entry of another CAS",
    lines: entries.with(8, entry(9, { cas: "b" })),
    exit: 19,
    reasons: [/entry 9 was written by b/, /up to 9/, /after 0/],
  },
  {
    rule: "a checkpoint of another CAS, by a key that is known",
    lines: entries,
    change: {
      verifierKeys: [verifierKey, signerOf("other").binding.verifierKey],
      checkpoints: [note(9, entries, signerOf("other")), note(9)],
    },
    ...{ exit: 19, reasons: [/a checkpoint of the CAS: no known key signed/] },
  },
  {
    rule: "a checkpoint that a known key signed for another log",
    ...{
      lines: entries,
      change: { casKeyHash: "x", checkpoints: [note(9)] },
      exit: 19,
      reasons: [/belongs to vouchsafe-cas/, /gave no checkpoint/],
    },
  },
  {
    rule: "a checkpoint of this log by an unknown key",
    ...{
      lines: entries,
      change: { checkpoints: [note(9, entries, signerOf(casKeyHash)), note(9)] },
      exit: 20,
      reasons: [/no known key signed/],
    },
  },
  {
    rule: "a checkpoint that is none",
    lines: entries,
    change: { checkpoints: ["x", note(9)] },
    exit: 20,
    reasons: [/a checkpoint of the CAS: /],
  },
  {
    rule: "a checkpoint in the log that other entries lead to",
    lines: [...entries.slice(0, 3), line(3, [entry(1, { event: "other" }), ...entries.slice(1)]), ...entries.slice(3)],
    ...{ exit: 20, reasons: [/the entries up to 3 do not lead to the checkpoint of the log/] },
  },
  {
    rule: "subtrees that do not lead to their checkpoint",
    lines: [line(3).replace(/"edge":\[("[^"]+"),("[^"]+")\]/, '"edge":[$2,$1]'), ...entries],
    ...{ exit: 20, reasons: [/beside the checkpoint of 3 entries do not lead to it/] },
  },
  {
    rule: "a checkpoint in the log by an unknown key",
    ...{
      lines: [JSON.stringify({ checkpoint: note(3, entries, signerOf(casKeyHash)), edge: [] }), ...entries],
      exit: 20,
      reasons: [/a checkpoint of the log: no known key/],
    },
  },
  {
    rule: "one subtree in place of those that a tree of this size has",
    lines: [
      JSON.stringify({ checkpoint: note(3), edge: [Buffer.from(rootOf(edgeOf(entries.slice(0, 3)))).toString("base64")] }),
      ...entries,
    ],
    ...{ exit: 20, reasons: [/do not lead to it/] },
  },
  {
    rule: "more subtrees than a tree of this size has",
    lines: [line(3).replace(/"edge":\[("[^"]+"),/, '"edge":[$1,$1,'), ...entries],
    ...{ exit: 20, reasons: [/do not lead to it/] },
  },
  { rule: "an empty log", lines: [], exit: 20, reasons: [/the log is empty/] },
  { rule: "a line that is neither entry nor checkpoint", lines: [...entries, "{}"], exit: 20, reasons: [/line 10 is neither/] },
  { rule: "a line that is no JSON", lines: ["{", ...entries], exit: 20, reasons: [/line 1 is neither/] },
  { rule: "an entry that says more", lines: [entry(1, { more: 1 })], exit: 20, reasons: [/line 1 is neither/] },
];

for (const { rule, lines, change, exit, reasons } of cases) {
  test(`C-81, C-88, C-89: exit ${exit} for ${rule}`, () => {
    const found = verify(lines, change);
    assert.equal(found.exit, exit, found.reasons.join("; "));
    assert.equal(found.reasons.length, reasons.length, found.reasons.join("; "));
    for (const [index, reason] of reasons.entries()) assert.match(found.reasons[index] ?? "", reason);
  });
}

test("C-84: of an entry that is there twice the second version counts", () => {
  const { entries: found } = verify([...fork.slice(0, 9), entries[8] ?? ""]);
  assert.deepEqual(found.map(({ sequence, event }) => `${sequence} ${event}`).slice(7), ["8 session_created", "9 session_created"]);
});

const certificate = (key: KeyObject, by: KeyObject, isCa = true) => {
  const request = { isCa, commonName: "x", san: [], endpoint: undefined, validForSeconds: undefined, control: undefined };
  const issuer = issueCertificate({ ...request, isCa: true }, { ownKey: by }, { now: new Date(), random: systemRandomness }).pem;
  const signing = by === key ? { ownKey: key } : { publicKey: publicOf(key), issuer: { certificate: issuer, privateKey: by } };
  return issueCertificate(request, signing, { now: new Date(), random: systemRandomness }).pem;
};

test("C-87: a log proves its keys by the software key that the CAS key certified, and no others", () => {
  const casCertificate = certificate(casKey, casKey);
  const by = (chain: readonly string[] | undefined, more: object = {}) =>
    provenLogKeys(entry(1, { data: { ...signer.binding, ...(chain && { chain }), ...more } }), casCertificate);
  const good = ["", certificate(softwareKey, casKey)];
  assert.deepEqual(by(good), [verifierKey]);
  assert.deepEqual(by(undefined), [], "no chain");
  assert.deepEqual(by([""]), [], "a chain of one");
  assert.deepEqual(by(["", certificate(softwareKey, strangerKey)]), [], "certified by another CAS key");
  assert.deepEqual(by(["", certificate(softwareKey, casKey, false)]), [], "certified as no authority");
  assert.deepEqual(by(["", certificate(strangerKey, casKey)]), [], "signed by another software key");
  assert.deepEqual(by(good, { verifierKey: signerOf(casKeyHash).binding.verifierKey }), [], "a signature over another key");
  assert.deepEqual(by(["", "no certificate"]), [], "what cannot be read proves nothing");
  assert.deepEqual(provenLogKeys(entry(1), casCertificate), []);
  const twice = [1, 2].map((sequence) => entry(sequence, { data: { ...signer.binding, chain: good } })).join("\n");
  assert.deepEqual(provenLogKeys(twice, casCertificate), [verifierKey], "each once");
});
