import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { FileshieldError } from "./fileshield-error.ts";
import { decodeListing, encodeListing, findRegion, measureRegion, verifyRegion } from "./listing.ts";
import type { Region } from "./protection-file.ts";

function sampleRoot(context: TestContext) {
  const root = mkdtempSync(join(tmpdir(), "vouchsafe-listing-"));
  context.after(() => rmSync(root, { recursive: true }));
  mkdirSync(join(root, "usr/lib/nested"), { recursive: true });
  writeFileSync(join(root, "usr/lib/a.py"), "a");
  writeFileSync(join(root, "usr/lib/nested/free"), "anything");
  symlinkSync("a.py", join(root, "usr/lib/b.py"));
  const open: Region = { path: "/usr/lib/nested", protection: "not-protected" };
  const bare: Region = { path: "/usr", protection: "authenticated" };
  const listing = encodeListing(measureRegion(root, bare, [bare, open]));
  const region: Region = { ...bare, digest: new Uint8Array(createHash("sha256").update(listing).digest()) };
  const verify = (bytes = listing) => verifyRegion(root, region, [region, open], bytes);
  return { root, listing, verify };
}

test("C-96: a region that is as listed is accepted; what a nested region holds does not matter", (context) => {
  const { root, verify } = sampleRoot(context);
  verify();
  writeFileSync(join(root, "usr/lib/nested/free"), "other");
  verify();
});

const tampered = [
  { rule: "changed content", act: (root: string) => writeFileSync(join(root, "usr/lib/a.py"), "b"), says: /a\.py was changed/ },
  { rule: "a changed mode", act: (root: string) => chmodSync(join(root, "usr/lib/a.py"), 0o777), says: /a\.py was changed/ },
  { rule: "an unlisted file", act: (root: string) => writeFileSync(join(root, "usr/lib/evil.pth"), ""), says: /evil\.pth is not listed/ },
  { rule: "a missing file", act: (root: string) => unlinkSync(join(root, "usr/lib/a.py")), says: /a\.py is missing/ },
  {
    rule: "a link led elsewhere",
    act: (root: string) => {
      unlinkSync(join(root, "usr/lib/b.py"));
      symlinkSync("/tmp/evil", join(root, "usr/lib/b.py"));
    },
    says: /b\.py was changed/,
  },
  { rule: "a missing region", act: (root: string) => rmSync(join(root, "usr"), { recursive: true }), says: /cannot be read/ },
];
for (const { rule, act, says } of tampered) {
  test(`C-96: ${rule} is refused`, (context) => {
    const { root, verify } = sampleRoot(context);
    act(root);
    assert.throws(() => verify(), { code: "FSPF_FILE", message: says });
  });
}

test("C-96: a changed listing is refused", (context) => {
  const { listing, verify } = sampleRoot(context);
  for (let at = 0; at < listing.length; at++)
    assert.throws(() => verify(listing.map((byte, index) => (index === at ? byte ^ 1 : byte))), { code: "FSPF_FILE" });
});

test("C-96: a region whose digest the protection file does not name is refused", (context) => {
  const { root, listing } = sampleRoot(context);
  const region: Region = { path: "/usr", protection: "authenticated" };
  assert.throws(() => verifyRegion(root, region, [region], listing), {
    code: "FSPF_FILE",
    message: /list of the files of \/usr was changed/,
  });
});

test("C-96: what is neither a file, a directory nor a link is refused by name", (context) => {
  const { root, verify } = sampleRoot(context);
  execFileSync("mkfifo", [join(root, "usr/lib/pipe")]);
  assert.throws(() => verify(), { code: "FSPF_FILE", message: "/usr/lib/pipe is neither a file, a directory nor a link" });
});

test("a listing holds permission bits and no others", () => {
  const listing = (mode: number) => encodeListing([{ kind: "file", path: "/a", mode, size: 1, digest: new Uint8Array(32) }]);
  assert.equal(decodeListing(listing(0o777)).length, 1);
  assert.throws(() => decodeListing(listing(0o1000)), { code: "FSPF_MALFORMED", message: /mode 0o1000 of \/a/ });
});

test("C-94: the longest prefix decides, by whole names", () => {
  const regions: Region[] = ["/", "/usr", "/usr/lib/x"].map((path) => ({ path, protection: "authenticated" }));
  const cases: readonly [string, string][] = [
    ["/etc", "/"],
    ["/usr", "/usr"],
    ["/usrlocal", "/"],
    ["/usr/lib/x/y", "/usr/lib/x"],
    ["/usr/lib/xy", "/usr"],
  ];
  for (const [path, region] of cases) {
    for (const list of [regions, regions.toReversed()]) assert.equal(findRegion(list, path)?.path, region, path);
  }
  assert.equal(findRegion(regions.slice(1), "/etc"), undefined);
});

test("decodeListing accepts or says FSPF_MALFORMED, and accepts one spelling only", () => {
  const valid = encodeListing([
    { kind: "file", path: "/a", mode: 0o644, size: 1, digest: new Uint8Array(32) },
    { kind: "link", path: "/b", target: "a" },
  ]);
  const nearlyValid = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, value]) => Uint8Array.from(valid).fill(value, at, at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), nearlyValid), (bytes) => {
      try {
        assert.deepEqual(encodeListing(decodeListing(bytes)), Uint8Array.from(bytes));
      } catch (error) {
        assert(error instanceof FileshieldError && error.code === "FSPF_MALFORMED", String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
