import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { CliWorkplace } from "../src/testing/run-cli.ts";
import { CODE_KEY, storeServiceImage } from "../src/testing/store-service-image.ts";

const service = (name: string, tag: string, more = "") => `
apiVersion: scone/5.8
kind: genservice
environment: {}
build: {name: ${name}, kind: python, to: "vouchsafe.local/${name}:${tag}", command: python3 shop.py${more}}
`;

describe("MF-55: build.stable", () => {
  const place = new CliWorkplace();
  let digest = "";
  before(async () => {
    ({ digest } = await storeServiceImage(place, service("shop", "1"), { encrypted: true }));
    await storeServiceImage(place, service("other", "1"), { encrypted: true });
    await storeServiceImage(place, service("open", "1"));
  });
  after(() => place[Symbol.dispose]());
  const apply = (name: string, stable: string, ...argv: string[]) => {
    place.write("service.yaml", service(name, "2", `, stable: "vouchsafe.local/${stable}"`));
    return place.run("sconectl", ["apply", "-f", "service.yaml", "--no-push", "--dry-run", ...argv]);
  };

  test("the plan names digest and state of the version that keeps running, and no key", async () => {
    const { code, out, err } = await apply("shop", "shop:1", "--json");
    assert.equal(code, 0, err);
    assert.deepEqual(JSON.parse(out).stable, { digest, fileSystemTag: "7a".repeat(16) });
    assert(!(out + err).includes(CODE_KEY));
  });

  for (const [what, name, stable, says] of [
    ["bad input 108: an image without metadata", "shop", "nothing:1", /nothing:1 has no metadata/],
    ["an image of another service", "shop", "other:1", /of the service other; expected an earlier image of shop/],
    ["an image that is not encrypted", "open", "open:1", /encrypt: false, this one has encrypt: true/],
  ] as const) {
    test(`${what} is E-STABLE, at the field`, async () => {
      const { code, out, err } = await apply(name, stable);
      assert.equal(code, 1);
      assert.equal(out, "");
      assert.match(err, /^service\.yaml:5:\d+: error\[E-STABLE\]: build\.stable: /m);
      assert.match(err, says);
    });
  }

  test("without the code key of the earlier version there is no common policy", async () => {
    rmSync(place.path("target", "services", "vouchsafe-local-shop-1", "code.key"));
    const { code, err } = await apply("shop", "shop:1");
    assert.equal(code, 1);
    assert.match(err, /E-STABLE.*code key of vouchsafe\.local\/shop:1 is not available/);
  });
});
