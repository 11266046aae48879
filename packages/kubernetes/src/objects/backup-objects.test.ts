import assert from "node:assert/strict";
import { test } from "node:test";
import { CasResource } from "../custom-resources/resources.ts";
import { planBackupJob } from "./backup-objects.ts";
import { planCas } from "./cas-objects.ts";

const casOf = (spec: object) => CasResource.parse({ metadata: { name: "vault", namespace: "ns", uid: "u" }, spec });
const release = { image: "r/cas:1" };
const texts = (spec: object, allowsNodeDirectories: boolean) =>
  JSON.stringify(planCas(casOf(spec), release, { allowsNodeDirectories }).find(({ kind }) => kind === "StatefulSet"));
const NODE_KEY = '"--platform-key","/var/lib/vouchsafe-platform/platform.key","--platform-key","/etc/cas/db/platform.key"';
const wanted = { persistence: { enabled: true }, "backup-controller": { enabled: true } };

const cases = [
  { what: "with backups and a volume uses the key of its node, and that of the volume where it came with one", spec: wanted, uses: true },
  { what: "without backups does not", spec: { persistence: { enabled: true } }, uses: false },
  { what: "whose database ends with its pod does not", spec: { "backup-controller": { enabled: true } }, uses: false },
  { what: "in a namespace of Pod Security baseline does not", spec: wanted, isForbidden: true, uses: false },
];
for (const { what, spec, isForbidden = false, uses } of cases) {
  test(`C-76: a CAS ${what}`, () => {
    const set = texts(spec, !isForbidden);
    assert.equal(set.includes(NODE_KEY), uses);
    assert.equal(set.includes("hostPath"), uses);
    assert.equal(set.includes('"--anchor","/etc/cas/db/platform.key.anchor"'), uses, "it moves with the database");
  });
}

test("CL 10.1: image, env, imagePullSecrets and debug of the backup controller are those of the pods that show a node", () => {
  const plain = JSON.stringify(planBackupJob(casOf({ ...wanted, imagePullSecrets: [{ name: "mine" }] }), "n1", release));
  assert.match(plain, /"image":"r\/cas:1".*"name":"mine"|"name":"mine".*"image":"r\/cas:1"/);
  assert.match(plain, /"ttlSecondsAfterFinished":0[,}]/);
  const given = { enabled: true, image: "r/cas:2", env: [{ name: "A", value: "b" }], debug: true, imagePullSecrets: [{ name: "other" }] };
  const chosen = JSON.stringify(planBackupJob(casOf({ ...wanted, "backup-controller": given }), "n1", release));
  for (const part of ['"image":"r/cas:2"', '"env":[{"name":"A","value":"b"}]', '"imagePullSecrets":[{"name":"other"}]'])
    assert.ok(chosen.includes(part), part);
  assert.match(chosen, /"ttlSecondsAfterFinished":600/);
  const name = (node: string, spec: object) => planBackupJob(casOf(spec), node, release).metadata.name;
  assert.notEqual(name("n1", wanted), name("n2", wanted));
  assert.notEqual(name("n1", wanted), name("n1", { ...wanted, image: "r/cas:3" }), "another image is another Job");
  assert.match(name("a-node-with-a-long-name.example.org", wanted), /^vault-backup-[0-9a-f]{10}$/);
});
