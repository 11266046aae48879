import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { curatedImages, planCuratedImage } from "./index.ts";

test("MF-108, MF-110: only a reference that ends in the name of a curated image is one", () => {
  assert.deepEqual(curatedImages, ["redis", "memcached", "nginx", "mariadb"]);
  for (const name of curatedImages) {
    assert.equal(planCuratedImage(`vouchsafe.local/${name}:latest`)?.name, name);
    assert.equal(planCuratedImage(`127.0.0.1:5000/team/${name}`)?.reference, `127.0.0.1:5000/team/${name}`);
    assert.deepEqual(planCuratedImage(name)?.aliases, [`${name}-scone`]);
    for (const other of [`vouchsafe.local/${name}-x:1`, `vouchsafe.local/${name}/api:1`, `${name}x`])
      assert.equal(planCuratedImage(other), undefined, other);
  }
});

test("MF-42: every key of a curated image migrates, so that clients go on trusting it after an update", () => {
  for (const name of curatedImages) {
    const keys = (planCuratedImage(name)?.metadata.secretsTemplate ?? "").split("\n").filter((line) => /kind: private-key/.test(line));
    assert(keys.length >= 2, name);
    for (const key of keys) assert.match(key, /migrate: true/);
  }
});

test("MF-110: the page on curated images has each of them, with each variable and each secret that others may import", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../../docs/curated-images.md"), "utf8");
  const sections = new Map(page.split(/^## /m).map((section) => [section.split("\n")[0], section]));
  for (const name of curatedImages) {
    const section = sections.get(name) ?? assert.fail(`no section on ${name}`);
    const { environment = "", secretsTemplate = "" } = planCuratedImage(name)?.metadata ?? {};
    const variables = [...environment.matchAll(/^- \{name: (\w+)/gm)].map(([, variable = ""]) => variable);
    const secrets = [...secretsTemplate.matchAll(/name: (\w+(?:CA_CERT|CLIENT_CERT|PASSWORD))\b/gi)].map(([, secret = ""]) => secret);
    assert(variables.length > 0 && secrets.length > 0);
    for (const mentioned of [...variables, ...secrets]) assert(section.includes(`\`${mentioned}\``), `${mentioned} of ${name}`);
  }
});
