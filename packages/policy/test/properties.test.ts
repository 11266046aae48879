/** Promises that hold for every document, tried on generated ones. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  type JsonValue,
  MAX_DIAGNOSTICS,
  normaliseSession,
  parseSession,
  printSession,
  renderDiagnostics,
  scanPlaceholders,
  sessionHash,
} from "../src/index.ts";
import { A, B, KEY, TAG } from "./documents.ts";

const CANARY = "c4n4ry";
const CREATOR = { kind: "certificate", keyHash: KEY, pem: undefined } as const;

const text = fc
  .oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom("true", "~", "1e3", "0o7", "- a", "a: b", "#x", "@x", "$HOME", "😀", "a\nb\n", " x ", "'", '"', "$$", ""),
  )
  .map((value) => value.replaceAll("\0", "").replaceAll("$$SCONE:", ""));
const hex64 = fc.constantFrom(A, B, A.toUpperCase());
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
const reference = fc.oneof(
  fc.record({ session: fc.constantFrom("a/b", "./x", "../y", "z") }),
  fc.record({ namespace: fc.constantFrom("a", "..") }),
  fc.constantFrom("/session=q", `cas.example/cas_key=${KEY},session=vault`),
  fc.record({ session: fc.constant("v"), session_hash: hex64, cas_url: fc.constant("[::1]:9"), cas_software_key: fc.constant(KEY) }),
);
const sharing = { export: optional(fc.oneof(reference, fc.array(reference, { minLength: 1, maxLength: 3 }))) };

/** Four secrets: a key, a CA with it, and two of other kinds. */
const secrets = fc.tuple(
  fc.record({
    name: fc.constant("s0"),
    kind: fc.constant("private-key"),
    key_type: optional(fc.constantFrom("P-256", "P-384", "Ed25519")),
    migrate: optional(fc.boolean()),
    ...sharing,
  }),
  fc.record({
    name: fc.constant("s1"),
    kind: fc.constant("x509-ca"),
    private_key: fc.constant("s0"),
    valid_for: optional(fc.constantFrom("1 year 2d", "90 days", "10m")),
    ...sharing,
  }),
  fc.record({
    name: fc.constant("s2"),
    kind: fc.constantFrom("ascii", "binary"),
    size: optional(fc.oneof(fc.integer({ min: 1, max: 64 }), fc.constant("20"))),
    export_public: optional(fc.boolean()),
    ...sharing,
  }),
  fc.oneof(
    fc.record({
      name: fc.constant("s3"),
      kind: fc.constant("x509"),
      private_key: fc.constant("s0"),
      issuer: optional(fc.constant("s1")),
      dns: optional(fc.constantFrom("a.example", ["b.example", "*.c.example"])),
      san: optional(fc.constantFrom("dns:d.example", ["ip:10.0.0.1", "ip:2001:DB8::0:1"])),
    }),
    fc.record({ name: fc.constant("s3"), kind: fc.constant("ascii"), value: text.map((value) => CANARY + value) }),
    fc.record({ name: fc.constant("s3"), import: fc.record({ session: fc.constant("o"), secret: optional(fc.constant("s3")) }) }),
    fc.record({
      name: fc.constant("s3"),
      kind: fc.constant("config-fragment"),
      value: fc.jsonValue({ maxDepth: 2 }).filter((value) => value !== null),
    }),
  ),
);

const variant = fc.record({
  mrenclave: fc.oneof(hex64, fc.array(hex64, { minLength: 1, maxLength: 3 })),
  signer: optional(
    fc.record({ mrsigner: hex64, isvprodid: fc.integer({ min: 0, max: 65_535 }), isvsvn_min: optional(fc.constantFrom(3, "3")) }),
  ),
});
const service = (name: string) =>
  fc
    .record({
      name: fc.constant(name),
      command: fc.oneof(
        fc.constantFrom("run", 'run "a b"  c', "sh -c 'x y'"),
        fc
          .array(
            text.filter((word) => !/@@/.test(word)),
            { maxLength: 3 },
          )
          .map((words) => ["run", ...words]),
      ),
      pwd: fc.constantFrom("/", "/srv/a b"),
      environment: optional(
        fc.dictionary(
          fc.constantFrom("A", "B", "@@C", "true"),
          fc.oneof(text, fc.integer(), fc.boolean(), fc.constant("x$$SCONE::s0$$y")),
          { maxKeys: 4 },
        ),
      ),
      image_name: optional(fc.constant("i0")),
      attestation: fc.oneof(variant, fc.array(variant, { minLength: 1, maxLength: 2 })),
      fspf_path: optional(fc.constant("/f")),
    })
    .map(({ fspf_path: path, ...rest }) => (path === undefined ? rest : { ...rest, fspf_path: path, fspf_key: A, fspf_tag: TAG }));

const entry = fc.constantFrom("CREATOR", KEY);
const session = fc
  .record({
    version: fc.constantFrom("0.3", "0.3.12"),
    name: fc.constantFrom("t", "team/app"),
    salt: optional(fc.constant(TAG)),
    predecessor: optional(fc.oneof(hex64, fc.constant(null))),
    services: optional(fc.tuple(service("a"), service("b")).map((services): JsonValue => JSON.parse(JSON.stringify(services)))),
    secrets,
    volumes: fc.constant([
      { name: "v", export: [{ session: "team/x" }] },
      { name: "w", fspf_key: B, fspf_tag: TAG },
    ]),
    images: fc
      .record({
        name: fc.constant("i0"),
        volumes: optional(fc.constant([{ name: "v", path: "/d" }])),
        injection_files: optional(
          fc.array(
            fc.record({ path: fc.constantFrom("/a"), content: optional(text), permission: optional(fc.constantFrom("0o600", "0o700")) }),
            { maxLength: 1 },
          ),
        ),
      })
      .map((image) => [image]),
    access_policy: optional(
      fc.record(
        {
          read: optional(fc.oneof(entry, fc.array(entry, { minLength: 1, maxLength: 2 }), fc.constant("ANY"))),
          update: optional(fc.oneof(entry, fc.constant([{ "require-all": ["CREATOR", KEY] }]), fc.constant("NONE"))),
        },
        { requiredKeys: [] },
      ),
    ),
    security: optional(
      fc.record({
        attestation: fc.record({
          tolerate: optional(fc.subarray(["debug", "hyperthreading"])),
          ignore_advisories: optional(fc.constantFrom("*", ["INTEL-SA-00161"])),
          evidence: optional(fc.constantFrom(["node"], ["sgx", "tdx", "snp", "nitro"])),
        }),
      }),
    ),
  })
  .map((document): { [key: string]: JsonValue } => JSON.parse(JSON.stringify(document)));

test("SL-54 the hash of a document is that of its normal form, printed and read again", () => {
  fc.assert(
    fc.property(session, (document) => {
      const source = JSON.stringify(document);
      const { session: read, diagnostics } = parseSession(source);
      assert(read !== undefined, renderDiagnostics(diagnostics, { source }));
      const printed = printSession(read, { creator: CREATOR });
      const again = parseSession(printed);
      assert(again.session !== undefined, renderDiagnostics(again.diagnostics, { source: printed }));
      assert.equal(sessionHash(again.session, { creator: CREATOR }), sessionHash(read, { creator: CREATOR }));
      assert.deepEqual(normaliseSession(again.session, { creator: CREATOR }), normaliseSession(read, { creator: CREATOR }));
    }),
    { numRuns: 200 },
  );
});

function reverseKeys(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(reverseKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([key, item]) => [key, reverseKeys(item)]),
  );
}

test("SL-22 the order of keys changes no hash", () => {
  fc.assert(
    fc.property(session, (document) => {
      const [one, other] = [document, reverseKeys(document)].map((value) => parseSession(JSON.stringify(value, undefined, 1)).session);
      assert(one !== undefined && other !== undefined);
      assert.equal(sessionHash(one, { creator: CREATOR }), sessionHash(other, { creator: CREATOR }));
    }),
    { numRuns: 100 },
  );
});

/** Reads hostile text: no exception, positions inside the text, no secret in what is printed. */
function survive(source: string): void {
  const { session: read, diagnostics } = parseSession(source, { variables: new Map() });
  assert(diagnostics.length <= MAX_DIAGNOSTICS);
  assert(read !== undefined || diagnostics.length > 0);
  const lines = source.replace(/^\uFEFF/, "").split("\n");
  for (const { line, column, endLine, endColumn } of diagnostics) {
    assert(line >= 1 && line <= lines.length && column >= 1 && column <= [...(lines[line - 1] ?? "")].length + 1, `${line}:${column}`);
    assert(endLine > line || endColumn >= column);
  }
  const printed = renderDiagnostics(diagnostics, { source }) + renderDiagnostics(diagnostics, { json: true });
  assert(!printed.includes(CANARY), printed);
}

const piece = fc.constantFrom(
  "a",
  "name: t\n",
  "version: 0.3\n",
  "services:\n",
  "- ",
  "  ",
  "[",
  "]",
  "{",
  "}",
  ": ",
  ", ",
  "|\n",
  '"',
  "'",
  "&a ",
  "*a",
  "!x ",
  "#",
  "\n",
  "~",
  "$$SCONE::a",
  "$$",
  "\t",
  "---\n",
  "? ",
  "😀",
  "\\",
  "@@1",
  "%",
  "<<: ",
);

test("whatever the text, the reader answers with diagnostics inside it", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string({ maxLength: 60 }),
        fc.string({ unit: "binary", maxLength: 60 }),
        fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join("")),
      ),
      survive,
    ),
    { numRuns: 1500 },
  );
});

test("SL-5, hazard C9 a valid document with one change at any place is survived, and no secret is shown", () => {
  const damaged = fc.tuple(session, fc.nat(), fc.oneof(piece, fc.constant(""))).map(([document, at, insertion]) => {
    const source = JSON.stringify(document, undefined, 1);
    const offset = at % source.length;
    // The canary itself is left whole, else it could not be found.
    const start = source.lastIndexOf(CANARY, offset);
    const safe = start >= 0 && offset < start + CANARY.length ? start : offset;
    return source.slice(0, safe) + insertion + source.slice(safe + (insertion === "" ? 1 : 0));
  });
  fc.assert(
    fc.property(
      damaged.filter((source) => source.includes(CANARY)),
      survive,
    ),
    { numRuns: 500 },
  );
});

test("SL-115 the placeholder scanner covers its input from left to right, whatever it is", () => {
  const soup = fc
    .array(fc.constantFrom("$$", "$", "SCONE", "::", ":", "a", "|", "escape(json)", "\n", ".key", " "), { maxLength: 40 })
    .map((pieces) => pieces.join(""));
  fc.assert(
    fc.property(soup, (source) => {
      let end = 0;
      for (const found of scanPlaceholders(source)) {
        assert(found.offset >= end && found.text.length > 0);
        assert.equal(source.slice(found.offset, found.offset + found.text.length), found.text);
        end = found.offset + found.text.length;
      }
    }),
  );
});

test("the scanner and the splitter are linear: megabytes take seconds at most", () => {
  const before = process.cpuUsage();
  scanPlaceholders("$$SCONE::".repeat(110_000));
  parseSession(`version: "0.3.12"\nname: t\nservices: [{name: s, pwd: /, command: "${"'a' ".repeat(200_000)}"}]`);
  parseSession(`a: ${'"'.repeat(500_000)}`);
  parseSession(`version: "0.3.12"\nname: t\n${Array.from({ length: 60_000 }, (_, index) => `k${index}: 1\n`).join("")}`);
  const { user, system } = process.cpuUsage(before);
  assert((user + system) / 1000 < 3000);
});
