import assert from "node:assert/strict";
import { test } from "node:test";
import { encode, Tagged } from "cborg";
import fc from "fast-check";
import { EvidenceError } from "../core/errors.ts";
import { corimDigests, parseCorim } from "./corim.ts";

const launch = new Uint8Array(48).fill(7);
const digest = new Uint8Array(32).fill(9);

/** A CoRIM with one CoMID; its members may be replaced. */
function mintCorim(values: ReadonlyMap<number, unknown>): Uint8Array {
  const environment = new Map([
    [
      0,
      new Map<number, unknown>([
        [0, new Tagged(111, Uint8Array.of(42, 3))],
        [1, "AMD"],
        [2, "Milan"],
      ]),
    ],
  ]);
  const measurement = new Map<number, unknown>([
    [0, "launch"],
    [1, values],
  ]);
  const comid = new Map<number, unknown>([
    [1, new Map([[0, "guest firmware"]])],
    [4, new Map([[0, [[environment, [measurement]]]]])],
  ]);
  const tags = [new Tagged(506, encode(comid)), new Tagged(505, new Uint8Array(3))];
  return encode(
    new Tagged(
      501,
      new Map<number, unknown>([
        [0, "corim-7"],
        [1, tags],
      ]),
    ),
  );
}

test("reference triples give environment, key, digests and SVN", () => {
  const corim = parseCorim(
    mintCorim(
      new Map<number, unknown>([
        [1, new Tagged(553, 3)],
        [
          2,
          [
            [7, launch],
            ["sha-256", digest],
          ],
        ],
      ]),
    ),
  );
  assert.equal(corim.id, "corim-7");
  assert.deepEqual(corim.references, [
    {
      environment: { classId: "2a03", vendor: "AMD", model: "Milan" },
      key: "launch",
      digests: [
        { algorithm: "sha384", value: launch },
        { algorithm: "sha256", value: digest },
      ],
      svn: undefined,
      minSvn: 3,
      rawValue: undefined,
    },
  ]);
  assert.deepEqual(
    corimDigests(corim, "sha384", ({ environment }) => environment.vendor === "AMD"),
    [launch.toHex()],
  );
  assert.deepEqual(
    corimDigests(corim, "sha384", () => false),
    [],
  );
});

test("an exact SVN and a raw value are kept apart from a minimum", () => {
  const [reference] = parseCorim(
    mintCorim(
      new Map<number, unknown>([
        [1, new Tagged(552, 4)],
        [4, new Tagged(560, Uint8Array.of(1))],
      ]),
    ),
  ).references;
  assert.deepEqual([reference?.svn, reference?.minSvn, reference?.rawValue], [4, undefined, Uint8Array.of(1)]);
});

const withTags = (tags: readonly unknown[]): Uint8Array =>
  encode(
    new Tagged(
      501,
      new Map<number, unknown>([
        [0, "corim-7"],
        [1, tags],
      ]),
    ),
  );
const comidWith = (environment: unknown, measurements: readonly unknown[]): unknown =>
  new Tagged(506, encode(new Map([[4, new Map([[0, [[environment, measurements]]]])]])));
const emptyMeasurement = new Map([[1, new Map()]]);
const keyed = (key: unknown) => withTags([comidWith(new Map(), [new Map([...emptyMeasurement, [0, key]] as [number, unknown][])])]);
const says: readonly { readonly rule: string; readonly bytes: Uint8Array; readonly message: RegExp }[] = [
  { rule: "65 tags", bytes: withTags(Array.from({ length: 65 }, () => new Tagged(505, new Uint8Array(0)))), message: /at most 64/ },
  {
    rule: "10,001 reference values",
    bytes: withTags([
      comidWith(
        new Map(),
        Array.from({ length: 10_001 }, () => emptyMeasurement),
      ),
    ]),
    message: /at most 10000/,
  },
  { rule: "digests that are no list", bytes: mintCorim(new Map([[2, 5]])), message: /digests is not a list/ },
  { rule: "a digest that is text", bytes: mintCorim(new Map([[2, [[1, "x".repeat(32)]]]])), message: /has not 32 bytes/ },
  { rule: "a raw value that is null", bytes: mintCorim(new Map([[4, null]])), message: /raw value/ },
  { rule: "a raw value with another tag", bytes: mintCorim(new Map([[4, new Tagged(552, Uint8Array.of(1))]])), message: /raw value/ },
  { rule: "an SVN that is null", bytes: mintCorim(new Map([[1, null]])), message: /SVN/ },
  { rule: "an SVN with another tag", bytes: mintCorim(new Map([[1, new Tagged(560, 1)]])), message: /SVN/ },
  { rule: "an SVN that is a fraction", bytes: mintCorim(new Map([[1, 1.5]])), message: /SVN/ },
  { rule: "an id that is neither text, number nor bytes", bytes: keyed(true), message: /an id is neither/ },
  { rule: "another tag", bytes: encode(new Tagged(505, new Map())), message: /has not the tag 501/ },
  { rule: "no tag", bytes: encode(new Map()), message: /has not the tag 501/ },
  { rule: "nothing in it", bytes: encode(null), message: /has not the tag 501/ },
  {
    rule: "measurement values that are no map",
    bytes: withTags([comidWith(new Map(), [new Map([[1, 5]])])]),
    message: /measurement values is not a map/,
  },
  { rule: "a tag that is not tagged", bytes: withTags([7]), message: /not tagged/ },
  { rule: "a CoMID that is not wrapped", bytes: withTags([new Tagged(506, 7)]), message: /not wrapped/ },
  {
    rule: "bytes behind a CoMID",
    bytes: withTags([new Tagged(506, Uint8Array.of(...encode(new Map([[4, new Map()]])), 0))]),
    message: /1 bytes follow a CoMID/,
  },
  { rule: "a raw value that is no byte string", bytes: mintCorim(new Map([[4, 7]])), message: /raw value/ },
  {
    rule: "a vendor that is no text",
    bytes: withTags([comidWith(new Map([[0, new Map([[1, 7]])]]), [emptyMeasurement])]),
    message: /vendor is not a text/,
  },
];
for (const { rule, bytes, message } of says) {
  test(`parseCorim says what is wrong with ${rule}`, () => {
    assert.throws(() => parseCorim(bytes), { code: "EVIDENCE_MALFORMED", message });
  });
}

test("ids may be numbers, members of a class may be absent, bare SVNs and raw values are those of their tags", () => {
  const environment = new Map([[0, new Map([[2, "Genoa"]])]]);
  const measurement = new Map<number, unknown>([
    [0, 7],
    [
      1,
      new Map<number, unknown>([
        [1, 3],
        [4, Uint8Array.of(1)],
      ]),
    ],
  ]);
  const [reference] = parseCorim(withTags([comidWith(environment, [measurement])])).references;
  assert.deepEqual(reference, {
    environment: { classId: undefined, vendor: undefined, model: "Genoa" },
    key: "7",
    digests: [],
    svn: 3,
    minSvn: undefined,
    rawValue: Uint8Array.of(1),
  });
});

const refused = [
  { rule: "a digest of the wrong length", bytes: mintCorim(new Map([[2, [[7, digest]]]])) },
  { rule: "an unknown digest algorithm", bytes: mintCorim(new Map([[2, [[99, digest]]]])) },
  { rule: "a negative SVN", bytes: mintCorim(new Map([[1, -1]])) },
  { rule: "another tag", bytes: encode(new Tagged(500, new Map())) },
  { rule: "no tag", bytes: encode(new Map()) },
  { rule: "bytes behind it", bytes: Uint8Array.of(...mintCorim(new Map()), 0) },
  { rule: "deep nesting", bytes: new Uint8Array(100_000).fill(0x81) },
];
for (const { rule, bytes } of refused) {
  test(`parseCorim refuses ${rule}`, () => {
    assert.throws(() => parseCorim(bytes), { name: "EvidenceError", code: "EVIDENCE_MALFORMED" });
  });
}

test("parseCorim accepts or says EVIDENCE_MALFORMED, whatever the input", () => {
  const valid = mintCorim(new Map<number, unknown>([[2, [[7, launch]]]]));
  const nearlyValid = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, value]) => Uint8Array.from(valid).fill(value, at, at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), nearlyValid), (bytes) => {
      try {
        parseCorim(bytes);
      } catch (error) {
        assert(error instanceof EvidenceError && error.code === "EVIDENCE_MALFORMED", String(error));
      }
    }),
  );
});
