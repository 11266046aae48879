import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { test } from "node:test";
import { type Certificate, parseCertificate } from "./certificate.ts";
import type { PathOptions } from "./certification-path.ts";
import { findCertificationPath } from "./find-certification-path.ts";
import { issueCertificate } from "./issue-certificate.ts";

const NOW = new Date("2026-06-15T12:00:00Z");
const newKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const keys = { root: newKey(), ca: newKey(), other: newKey(), leaf: newKey() };
type Named = readonly [subject: string, key: KeyObject];

const issue = ([subject, key]: Named, [issuer, issuerKey]: Named, isCa = true, notAfter = new Date("2027-01-01T00:00:00Z")): Certificate =>
  parseCertificate(
    issueCertificate({
      ...{ subject, issuer, issuerKey, publicKey: createPublicKey(key), serial: 7n, isCa },
      ...{ notBefore: new Date("2026-01-01T00:00:00Z"), notAfter },
    }),
  );
const ROOT: Named = ["root", keys.root];
const CA: Named = ["ca", keys.ca];
const root = issue(ROOT, ROOT);
const ca = issue(CA, ROOT);
const leaf = issue(["leaf", keys.leaf], CA, false);
/** Bears the CA's name, and is another. */
const namesake = issue(["ca", keys.other], ROOT);
const options: PathOptions = { anchors: [root], now: NOW };
const times = <T>(count: number, item: T): readonly T[] => Array<T>(count).fill(item);
const find = (intermediates: readonly Certificate[], change: Partial<PathOptions> = {}) =>
  findCertificationPath(leaf, intermediates, { ...options, ...change }).certificates;

const NO_PATH = { reason: "bad-chain", message: /no path to a trust anchor was found/ };
const GIVEN_UP = { reason: "bad-chain", message: /the search was given up/ };

test("RFC 4158: a path is found through what belongs to it, in any order, among namesakes", () => {
  assert.deepEqual(find([root, namesake, ca, leaf]), [leaf, ca]);
  assert.deepEqual(find([], { anchors: [ca] }), [leaf]);
  assert.deepEqual(find([ca], { anchors: [issue(["root", keys.other], ["root", keys.other]), root] }), [leaf, ca]);
});

test("a path may hold two names of one key, and two keys of one name", () => {
  const aliased = issue(["alias", keys.ca], ROOT);
  const byAlias = issue(CA, ["alias", keys.ca]);
  assert.deepEqual(find([byAlias, aliased]), [leaf, byAlias, aliased]);
  const rolled = issue(CA, ["ca", keys.other]);
  assert.deepEqual(find([rolled, namesake]), [leaf, rolled, namesake]);
});

test("a path that is found and does not hold says why, unless another does", () => {
  const ended = issue(CA, ROOT, true, new Date("2026-02-01T00:00:00Z"));
  assert.throws(() => find([ended]), { code: "EVIDENCE_STALE", reason: "cert-expired" });
  assert.deepEqual(find([ended, ca]), [leaf, ca]);
});

test("hazard A19: a fault of the verifier itself ends the search, whatever other paths there are", () => {
  const again = issue(CA, ROOT);
  const faulty = (faults: number): Partial<PathOptions> => ({
    revocation: {
      lists: [],
      get missing(): "accept" {
        if (faults-- > 0) throw new RangeError("a fault");
        return "accept";
      },
    },
  });
  assert.deepEqual(find([ca, again], faulty(0)), [leaf, ca]);
  assert.throws(() => find([ca, again], faulty(1)), RangeError);
});

test("hazard A8: namesakes of the issuer and of the anchor lead nowhere", () => {
  assert.throws(() => find([namesake]), NO_PATH);
  assert.throws(() => find([ca], { anchors: [issue(["root", keys.other], ["root", keys.other])] }), NO_PATH);
  assert.throws(() => find([ca], { anchors: [] }), NO_PATH);
});

test("hazard A17: two CAs that certify each other are no way round for ever", () => {
  const there = issue(CA, ["b", keys.other]);
  const back = issue(["b", keys.other], CA);
  assert.throws(() => find([there, back]), NO_PATH);
});

test("hazard A17: a search spends a hundred signature checks at most, on issuers and on anchors", () => {
  assert.throws(() => find(times(100, namesake)), NO_PATH);
  assert.throws(() => find(times(101, namesake)), GIVEN_UP);
  const impostor = issue(["ca", keys.other], ["ca", keys.other]);
  assert.throws(() => find([], { anchors: times(100, impostor) }), NO_PATH);
  assert.throws(() => find([], { anchors: [...times(100, impostor), ca] }), GIVEN_UP);
});

test("hazard A17: what has another name costs nothing", () => {
  const stranger = issue(["x", keys.other], ["x", keys.other]);
  assert.deepEqual(find([...times(150, stranger), ca], { anchors: [...times(150, stranger), root] }), [leaf, ca]);
});

test("RFC 4158 §3.5.12: the issuer whose key identifier fits is tried first, and one without before those of others", () => {
  const without: Certificate = { ...ca, subjectKeyIdentifier: undefined };
  const namesakeWithout: Certificate = { ...namesake, subjectKeyIdentifier: undefined };
  assert.deepEqual(find([...times(150, namesakeWithout), ca]), [leaf, ca]);
  assert.deepEqual(find([...times(150, namesake), without]), [leaf, without]);
  const asking: Certificate = { ...leaf, authorityKeyIdentifier: undefined };
  assert.throws(() => findCertificationPath(asking, [...times(150, namesake), without], options), GIVEN_UP, "nothing tells them apart");
});
