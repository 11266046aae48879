import fc from "fast-check";
import type { JsonValue } from "../src/index.ts";
import { A, B, KEY, TAG } from "./documents.ts";

/** Stands in every explicit secret; must never be printed. */
export const CANARY = "c4n4ry";

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
/** Valid documents as JSON, with a canary in the explicit secrets. */
export const generatedSession = fc
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
          exceptions: optional(
            fc.constantFrom(
              [{ tolerate: ["outdated-tcb"], until: "2027-01-31", because: "the BIOS comes in January" }],
              [{ ignore_advisories: ["INTEL-SA-00615"], tolerate: ["hyperthreading"], until: "2027-02-01T12:00:00Z", because: "x" }],
            ),
          ),
          evidence: optional(fc.constantFrom(["node"], ["sgx", "tdx", "snp", "nitro"])),
        }),
      }),
    ),
  })
  .map((document): { [key: string]: JsonValue } => JSON.parse(JSON.stringify(document)));
