import assert from "node:assert/strict";
import { test } from "node:test";
import { locateField, locateServiceField } from "./locate-field.ts";
import { parseSession } from "./parse-session.ts";

const measurement = "ab".repeat(32);
const text = `version: "0.3.11"
name: shop
security:
  attestation:
    tolerate: [outdated-tcb]
services:
  - name: api
    command: api
    attestation:
      - mrenclave: [${measurement}]
      - signer: {mrsigner: ${measurement}, isvprodid: 1}
  - name: db
    command: db
    attestation: {mrenclave: ${measurement}}
    security:
      attestation:
        tolerate: [outdated-tcb]
`;

function documentOf(yaml: string) {
  const { document } = parseSession(yaml, { file: "shop.yaml" });
  assert.ok(document);
  return document;
}
const document = documentOf(text);
const places = (service: string, ...path: (string | number)[]) =>
  locateServiceField(document, service, path).map(({ line, column, path: name, isWritten }) => `${line}:${column} ${name} ${isWritten}`);

test("a field of a service is found by its line and column, whatever form it is written in", () => {
  assert.deepEqual(places("api", "attestation", 0, "mrenclave"), ["10:9 services[0].attestation[0].mrenclave true"]);
  assert.deepEqual(places("api", "attestation", 1, "signer", "mrsigner"), ["11:18 services[0].attestation[1].signer.mrsigner true"]);
  assert.deepEqual(
    places("db", "attestation", 0, "mrenclave"),
    ["14:19 services[1].attestation[0].mrenclave true"],
    "one for a list of one",
  );
});

test("a field that is not written is told at the mapping around it", () => {
  assert.deepEqual(places("api", "platforms"), ["7:5 services[0].platforms false"]);
  assert.deepEqual(places("api", "security", "attestation", "ignore_advisories"), ["4:3 security.attestation.ignore_advisories false"]);
  assert.deepEqual(places("api", "attestation", 7, "mrenclave"), ["9:5 services[0].attestation[7].mrenclave false"]);
});

test("where a service has a security section of its own, both sections are told", () => {
  assert.deepEqual(places("db", "security", "attestation", "tolerate"), [
    "17:9 services[1].security.attestation.tolerate true",
    "5:5 security.attestation.tolerate true",
  ]);
});

test("a service that the document does not define has no place; the root always has one", () => {
  assert.deepEqual(places("cache", "platforms"), []);
  assert.deepEqual(locateServiceField(documentOf("version: 0.3.11\nname: x\n"), "api", ["platforms"]), []);
  assert.deepEqual(locateField(document, []), { line: 1, column: 1, file: "shop.yaml", path: "", isWritten: true });
});
