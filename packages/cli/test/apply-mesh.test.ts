import assert from "node:assert/strict";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { parseMeshRecord } from "@vouchsafe/mesh";
import { REGISTRY_PASSWORD, startRegistry } from "../../image/src/testing/start-registry.ts";
import { CliWorkplace } from "../src/testing/run-cli.ts";
import { CODE_KEY, storeServiceImage } from "../src/testing/store-service-image.ts";

const ENCRYPTION_KEY = "5f1de83b0ac94762d18e3c20b79a54f6e0d21b8c4a3975ee1066f2c98bd37a41";
const CANARY = "canary-of-the-local-value";
const SHOP = `
apiVersion: scone/5.8
kind: genservice
environment:
  local: [{name: HIDDEN, value: ${CANARY}}, {name: PIN, value: "$$SCONE::pin:hex$$"}]
  global: [{name: GREETING, value: hello}]
secrets:
  global: [{name: pin, kind: binary, size: 4}]
build: {name: shop, kind: python, to: "vouchsafe.local/shop:1", command: python3 shop.py}
`;
const mesh = (mode: string, greeting = "hello", image = "shop") => `
apiVersion: scone/5.8
kind: mesh
cas: [{cas_url: cas.nowhere.invalid, cas_encryption_key: ${ENCRYPTION_KEY}, mode: ${mode}}]
policy: {namespace: team-1}
env: [{service: global, env: [{name: GREETING, value: ${greeting}}, {name: APP_SERVICE_PORT, value: 8080}]}]
services: [{name: shop, image: "vouchsafe.local/${image}:1"}]
`;

/** Every file below a directory with its text. */
function snapshot(directory: string): Map<string, string> {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return new Map(files.map((entry) => join(entry.parentPath, entry.name)).map((file) => [file, readFileSync(file, "utf8")]));
}

describe("apply on a mesh", () => {
  const place = new CliWorkplace({ "mesh.yaml": mesh("EncryptedManifest") });
  const apply = (...argv: string[]) =>
    place.run("sconectl", ["apply", "-f", "mesh.yaml", "--evidence", "node", "--release", "fair", "--no-pull", ...argv]);
  before(async () => {
    await storeServiceImage(place, SHOP, { encrypted: true });
    await storeServiceImage(place, SHOP.replace("vouchsafe.local/shop:1", "vouchsafe.local/open:1"));
  });
  after(() => place[Symbol.dispose]());

  test("CL-27, MF-132: the last line is the helm command; target holds what section 14 says, templates for copying too", async () => {
    const { code, out, err } = await apply();
    assert.equal(code, 0, err);
    assert.equal(out, "helm install fair target/helm\n");
    for (const file of [
      "mesh.json",
      "helm/Chart.yaml",
      "helm/charts/shop/values.yaml",
      "policies/shop.yaml",
      "templates/shop/env.yaml",
      ...["team-1", "team-1-shop"].flatMap((name) => [
        `session_files/signed_${name}.json`,
        `session_files/signed_${name}.predecessor`,
        `session_files/encrypted_${name}.json`,
        `session_files/signed_manifest_${name}.yaml`,
        `session_files/encrypted_manifest_${name}.yaml`,
      ]),
    ]) {
      assert.ok(existsSync(place.path("target", file)), file);
    }
    const record = parseMeshRecord(readFileSync(place.path("target", "mesh.json"), "utf8"));
    assert.deepEqual(
      record.policies.map(({ name }) => name),
      ["team-1", "team-1/shop"],
    );
    assert.deepEqual(
      record.services.map(({ hostName, ports, serviceId }) => ({ hostName, ports, serviceId })),
      [{ hostName: "fair-shop", ports: [{ port: 8080, publish: true }], serviceId: "team-1/shop/python3" }],
    );
    assert.equal(statSync(place.path("target", "session_files", "signed_team-1-shop.json")).mode & 0o777, 0o600);
  });

  test("CL-28, hazard H5: a second run gives the same files byte for byte, and says that nothing changed", async () => {
    const first = snapshot(place.path("target"));
    const { err } = await apply();
    assert.match(err, /unchanged/);
    assert.deepEqual(snapshot(place.path("target")), first);
  });

  test("AC-9, MF-131, hazard H9: code key and local values are in no file that others read", async () => {
    for (const [file, text] of snapshot(place.path("target"))) {
      const isPrivate = (statSync(file).mode & 0o077) === 0;
      if (!isPrivate) assert.ok(!text.includes(CODE_KEY), file);
      if (file.includes("/helm/"))
        for (const secret of [CANARY, CODE_KEY, "kiosk"]) assert.ok(!text.includes(secret), `${secret} in ${file}`);
    }
  });

  test("verify: what was applied is accepted; a changed policy, image name or chart is named", async () => {
    assert.equal((await place.run("vouchsafe", ["verify"])).code, 0);
    const changes: [string, (text: string) => string, RegExp][] = [
      ["session_files/signed_team-1-shop.json", (text) => text.replace("hello", "hullo"), /FAILED policy team-1\/shop/],
      ["helm/charts/shop/values.yaml", (text) => text.replace(/sha256:[0-9a-f]{4}/, "sha256:0000"), /FAILED chart of shop/],
    ];
    for (const [file, change, says] of changes) {
      const path = place.path("target", file);
      const text = readFileSync(path, "utf8");
      assert.notEqual(change(text), text);
      writeFileSync(path, change(text));
      const { code, out } = await place.run("vouchsafe", ["verify"]);
      assert.equal(code, 1);
      assert.match(out, says);
      writeFileSync(path, text);
    }
  });

  test("CL-28: a failed run leaves the chart as it was; the finding has file, line and column", async () => {
    const before = snapshot(place.path("target", "helm"));
    place.write("mesh.yaml", mesh("EncryptedManifest").replace("value: 8080", "value: abc"));
    const { code, err } = await apply();
    assert.equal(code, 1);
    assert.match(err, /^mesh\.yaml:6:\d+: error\[E-CHART-VALUE\]: .*APP_SERVICE_PORT.*; expected a port/m);
    assert.deepEqual(snapshot(place.path("target", "helm")), before);
    place.write("mesh.yaml", mesh("EncryptedManifest"));
  });

  test("MF-100: where no CAS can be asked, a changed policy names the version of the earlier run", async () => {
    const hash = readFileSync(place.path("target", "session_files", "signed_team-1-shop.predecessor"), "utf8").trim();
    place.write("mesh.yaml", mesh("EncryptedManifest", "welcome"));
    assert.equal((await apply()).code, 0);
    const record = parseMeshRecord(readFileSync(place.path("target", "mesh.json"), "utf8"));
    assert.equal(record.policies.find(({ name }) => name === "team-1/shop")?.predecessor, hash);
    assert.equal(record.policies.find(({ name }) => name === "team-1")?.predecessor, null);
  });

  test("SL-196, manifests section 9: the files of each CAS mode", async () => {
    const files = async (mode: string, image: string) => {
      place.write("mesh.yaml", mesh(mode, "hello", image));
      const { code, err } = await apply("-d");
      assert.equal(code, 0, err);
      return {
        session: readdirSync(place.path("target", "session_files")),
        resources: existsSync(place.path("target", "helm", "templates", "policies.yaml"))
          ? readFileSync(place.path("target", "helm", "templates", "policies.yaml"), "utf8")
          : "",
      };
    };
    const only = await files("EncryptedOnly", "shop");
    assert.ok(only.session.every((name) => name.startsWith("encrypted_")) && only.session.length === 4, only.session.join());
    assert.equal(only.resources, "");
    assert.equal((await files("NoUpload", "shop")).resources, "");
    const signed = await files("SignedManifest", "open");
    assert.match(signed.resources, /kind: SignedPolicy/);
    const encrypted = await files("EncryptedManifest", "shop");
    assert.match(encrypted.resources, /kind: EncryptedPolicy[\s\S]*helm\.sh\/hook-weight: "1"[\s\S]*helm\.sh\/hook-weight: "2"/);
  });

  test("137a: a signed manifest would show the key of an encrypted program", async () => {
    place.write("mesh.yaml", mesh("SignedManifest"));
    const { code, err } = await apply();
    assert.equal(code, 1);
    assert.match(err, /error\[E-SIGNED-CODEKEY\].*EncryptedManifest/);
  });

  test("135, AC-8: a CAS that cannot be reached in mode Upload is E-CAS-CONNECT", async () => {
    place.write("mesh.yaml", mesh("Upload"));
    const { code, err } = await place.run("sconectl", ["apply", "-f", "mesh.yaml", "--evidence", "node"], {
      environment: { SCONE_CLI_RETRIES: "0" },
    });
    assert.equal(code, 1);
    assert.match(err, /error\[E-CAS-CONNECT\].*cas\.nowhere\.invalid/);
  });

  test("CL-41: --fail-on-warning makes the status 1; --json prints findings as objects", async () => {
    place.write("mesh.yaml", mesh("EncryptedManifest"));
    const { code, err } = await apply("--fail-on-warning", "--json");
    assert.equal(code, 1);
    const [first = ""] = err.split("\n");
    assert.deepEqual(Object.keys(JSON.parse(first)).sort(), [
      "column",
      "endColumn",
      "endLine",
      "expected",
      "file",
      "hint",
      "line",
      "message",
      "path",
      "rule",
      "severity",
    ]);
  });

  test("MF-66, 150: metadata that another key has signed is refused", async () => {
    const { code, err } = await place.run("sconectl", ["apply", "-f", "mesh.yaml", "--evidence", "node", "-t", "other"]);
    assert.equal(code, 1);
    assert.match(err, /error\[E-META-SIGNATURE\].*not accepted/);
  });

  test("manifests section 5.6, MF-68a: repo copies the images, pushes the copies, and the chart names them", async () => {
    using registry = await startRegistry();
    mkdirSync(place.path(".docker"), { recursive: true });
    const auth = Buffer.from(`builder:${REGISTRY_PASSWORD}`).toString("base64");
    place.write(".docker/config.json", JSON.stringify({ auths: { [registry.host]: { auth } } }));
    place.write("copied.yaml", `${mesh("EncryptedManifest")}repo: {destination: "${registry.host}/team"}\n`);
    const argv = ["apply", "-f", "copied.yaml", "--evidence", "node", "--release", "fair", "--no-pull", "-t", "target"];
    const dry = await place.run("sconectl", [...argv, "--dry-run"]);
    assert.equal(dry.code, 0, dry.err);
    const tags = () =>
      fetch(`http://${registry.host}/v2/team/shop/tags/list`, { headers: { authorization: `Basic ${auth}` } }).then(({ status }) => status);
    assert.equal(await tags(), 404, "hazard H6: a dry run pushes nothing");
    const { code, err } = await place.run("sconectl", argv);
    assert.equal(code, 0, err);
    assert.equal(await tags(), 200);
    const { image, codeIdentities } = parseMeshRecord(readFileSync(place.path("target/mesh.json"), "utf8")).services[0] ?? assert.fail();
    assert.equal(image.reference, `${registry.host}/team/shop:1`);
    assert.match(
      readFileSync(place.path("target/helm/charts/shop/values.yaml"), "utf8"),
      new RegExp(`${registry.host}/team/shop:1@${image.digest}`),
    );
    const earlier = await apply();
    assert.equal(earlier.code, 0, earlier.err);
    const original = parseMeshRecord(readFileSync(place.path("target/mesh.json"), "utf8")).services[0] ?? assert.fail();
    assert.notEqual(original.image.digest, image.digest, "stripped");
    assert.notDeepEqual(original.codeIdentities, codeIdentities);
  });

  test("manifests section 5.6: confidential signing is refused by name", async () => {
    place.write("signed.yaml", `${mesh("EncryptedManifest")}repo: {destination: vouchsafe.local/team, config_id: signer/one}\n`);
    const { code, err } = await place.run("sconectl", ["apply", "-f", "signed.yaml", "--evidence", "node", "--no-pull"]);
    assert.equal(code, 1);
    assert.match(err, /^signed\.yaml:8:\d+: error\[E-MODE-UNSUPPORTED\].*confidential signing/m);
  });

  test("CL-24, MF-111: -p prints variables and imports of all images", async () => {
    const { out, code } = await apply("-p");
    assert.equal(code, 0);
    assert.equal(out, "shop:\n  required: []\n  defaults:\n    GREETING: hello\n  imports: []\n");
  });
});
