import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CollateralError } from "../collateral-error.ts";
import { type CollateralRequest, requestKey } from "../collateral-request.ts";
import { encodeBundle, parseBundle } from "./collateral-bundle.ts";

const plain = { noNullPrototype: true };
const hex = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => value.toHex());
const update = fc.constantFrom("early", "standard");
const tee = fc.constantFrom("sgx", "tdx");
const spl = fc.nat(255);
const requests: fc.Arbitrary<CollateralRequest> = fc.oneof(
  fc.record({ kind: fc.constant("tcb-info"), tee, fmspc: hex(6), update }, plain),
  fc.record({ kind: fc.constant("qe-identity"), tee, update }, plain),
  fc.record({ kind: fc.constant("pck-crl"), authority: fc.constantFrom("processor", "platform") }, plain),
  fc.constant({ kind: "root-ca-crl" } as const),
  fc.record(
    {
      kind: fc.constant("vcek"),
      product: fc.constantFrom("Milan", "Genoa", "Turin"),
      chipId: hex(64),
      tcb: fc.record({ bootLoader: spl, tee: spl, snp: spl, microcode: spl }, plain),
    },
    plain,
  ),
);
const documents = fc.array(
  fc.record(
    {
      request: requests,
      body: fc.uint8Array(),
      chain: fc.option(fc.uint8Array(), { nil: undefined }),
      fetchedAt: fc.date({ min: new Date(0), max: new Date("9999-01-01"), noInvalidDate: true }),
      source: fc.string({ maxLength: 255 }),
    },
    plain,
  ),
);

test("what is put into a bundle comes out of it, sorted, one document for each request", () => {
  fc.assert(
    fc.property(documents, (given) => {
      const bundle = parseBundle(encodeBundle({ createdAt: new Date(0), documents: given }), "x");
      const last = new Map(given.map((document) => [requestKey(document.request), document]));
      assert.deepEqual(
        bundle.documents,
        [...last].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, document]) => document),
      );
    }),
  );
});

test("no two requests share a key", () => {
  fc.assert(
    fc.property(requests, requests, (a, b) => {
      if (requestKey(a) === requestKey(b)) assert.deepEqual(a, b);
      assert.match(requestKey(a), /^[A-Za-z0-9/.-]+$/);
    }),
  );
});

const text = encodeBundle({
  createdAt: new Date(0),
  documents: [{ request: { kind: "root-ca-crl" }, body: Uint8Array.of(1), chain: undefined, fetchedAt: new Date(0), source: "s" }],
});
const refused: Readonly<Record<string, string>> = {
  "no JSON": "{",
  "another format": text.replace("bundle/1", "bundle/2"),
  "an unknown member": text.replace('"source"', '"url": "http://x/", "source"'),
  "a request that nobody knows": text.replace("root-ca-crl", "qve-identity"),
  "a body that is not base64": text.replace("AQ==", "*"),
  "a date that is none": text.replace("1970-01-01T00:00:00.000Z", "yesterday"),
  "a document twice": text.replace(/"documents": \[\n(.*)\n \]/s, '"documents": [\n$1,\n$1\n ]'),
};
for (const [rule, changed] of Object.entries(refused)) {
  test(`a bundle with ${rule} is refused`, () => {
    assert.notEqual(changed, text);
    assert.throws(() => parseBundle(changed, "b.json"), { code: "COLLATERAL_BUNDLE", message: /^b\.json: not a collateral bundle/ });
  });
}

test("parseBundle reads or says COLLATERAL_BUNDLE, whatever the text", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.nat(text.length).map((at) => text.slice(0, at)),
      ),
      (given) => {
        try {
          parseBundle(given, "x");
        } catch (error) {
          assert.ok(error instanceof CollateralError && error.code === "COLLATERAL_BUNDLE", String(error));
        }
      },
    ),
  );
});
