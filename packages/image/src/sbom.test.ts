import assert from "node:assert/strict";
import { test } from "node:test";
import { renderSbom } from "./sbom.ts";

const hash = "a".repeat(64);

test("the list of contents names every package once, with version, hash and package URL, and does not change by itself", () => {
  const render = () =>
    renderSbom(
      { name: "flask", platformVersion: "1" },
      [{ name: "libstdc++6", version: "12.2.0-14+deb12u1", sha256: hash }],
      `# requirements sha256:${hash}\nflask==3.1.3 --hash=sha256:${hash}\n`,
    );
  const document = JSON.parse(render());
  assert.equal(render(), render());
  assert.equal(document.spdxVersion, "SPDX-2.3");
  const urls = document.packages.flatMap(
    (one: { externalRefs?: { referenceLocator: string }[] }) => one.externalRefs?.map((each) => each.referenceLocator) ?? [],
  );
  assert.deepEqual(urls, [
    `pkg:npm/node@${process.versions.node}`,
    "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14%2Bdeb12u1",
    "pkg:pypi/flask@3.1.3",
  ]);
  const identifiers: string[] = document.packages.map((one: { SPDXID: string }) => one.SPDXID);
  assert.equal(new Set(identifiers).size, identifiers.length);
  for (const one of identifiers) assert.match(one, /^SPDXRef-[A-Za-z0-9.-]+$/);
  for (const { relatedSpdxElement } of document.relationships) assert(identifiers.includes(relatedSpdxElement));
});
