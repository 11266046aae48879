import assert from "node:assert/strict";
import { test } from "node:test";
import { makeRecord } from "../test/test-mesh.ts";
import { hardwareAddressOf, layOutMesh } from "./mesh-layout.ts";
import { findSubordinateRange, planIds } from "./user-mapping.ts";

const image = { reference: "vouchsafe.local/x:1", digest: `sha256:${"00".repeat(32)}` };

test("a hardware address follows from the address, is locally administered and no group's", () => {
  assert.equal(hardwareAddressOf("10.244.0.1"), "02:00:0a:f4:00:01");
  assert.equal(hardwareAddressOf("10.244.0.209"), "02:00:0a:f4:00:d1");
});

test("MF-116: a service is found as in a cluster, under its release's name; replicas share the name and nothing else", () => {
  const record = makeRecord([
    { name: "flask", image, replicas: 2 },
    { name: "redis", image },
  ]);
  const { instances, zone, nameServer, searchDomains } = layOutMesh(
    { ...record, nameService: { address: null, namespace: "web" } },
    "clinic",
  );
  assert.deepEqual(
    instances.map(({ name, address }) => `${name} ${address}`),
    ["flask 10.244.0.10", "flask-2 10.244.0.11", "redis 10.244.0.12"],
  );
  for (const name of [
    "clinic-redis",
    "clinic-redis.web",
    "clinic-redis.web.svc",
    "clinic-redis.web.svc.cluster.local",
    "clinic-redis.default.svc.cluster.local",
  ]) {
    assert.deepEqual(zone.addresses.get(name), ["10.244.0.12"], name);
  }
  assert.deepEqual(zone.addresses.get("clinic-flask"), ["10.244.0.10", "10.244.0.11"]);
  assert.deepEqual(zone.addresses.get("cas.scone-system"), ["10.244.0.1"]);
  assert.equal(zone.addresses.get("redis"), undefined);
  assert.equal(nameServer, "10.96.0.10");
  assert.equal(searchDomains[0], "web.svc.cluster.local");
});

test("a record for one release has the release in its host names already", () => {
  const record = makeRecord([{ name: "redis", image, hostName: "clinic-redis" }]);
  const { zone } = layOutMesh({ ...record, release: "clinic" }, "clinic");
  assert.deepEqual(zone.addresses.get("clinic-redis"), ["10.244.0.10"]);
});

test("ids of two meshes never meet, and those of an ordinary user come from his grant", () => {
  const [one, two] = [planIds(false, 1), planIds(false, 2)];
  assert(one.firstProgramId + 254 < two.rootId);
  assert.deepEqual(planIds(true, 77), { rootId: 0, firstProgramId: 1 });
});

const grants = [
  { text: "ann:100000:65536\n", found: { first: 100_000, count: 65_536 } },
  { text: "bob:100000:65536\n1000:200000:65536\n", found: { first: 200_000, count: 65_536 } },
  { text: "ann:100000:10\nann:300000:65536", found: { first: 300_000, count: 65_536 } },
  { text: "anna:100000:65536\nann:0:65536\nann:x:65536\nann\n", found: undefined },
  { text: "", found: undefined },
];
for (const { text, found } of grants) {
  test(`subuid(5) ${JSON.stringify(text)} grants ann (1000) ${found === undefined ? "nothing" : `ids from ${found.first}`}`, () => {
    assert.deepEqual(findSubordinateRange(text, { name: "ann", uid: 1000 }), found);
  });
}
