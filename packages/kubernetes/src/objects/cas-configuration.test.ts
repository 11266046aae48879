import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAvailabilityConfig } from "../../../cas/src/config/availability-config.ts";
import { CasResource } from "../custom-resources/resources.ts";
import { bundleDirectory, casConfiguration } from "./cas-configuration.ts";
import { planCas } from "./cas-objects.ts";

const casOf = (spec: object) => CasResource.parse({ metadata: { name: "cas", namespace: "ns", uid: "u" }, spec });
const fileOf = (spec: object) => casConfiguration(casOf(spec))["cas.toml"] ?? assert.fail("no configuration");
const podOf = (spec: object) => {
  const set = planCas(casOf(spec), { image: "r/cas:1" }, { allowsNodeDirectories: true }).find(({ kind }) => kind === "StatefulSet");
  assert(set !== undefined);
  return (set["spec"] as { template: { metadata: { annotations: Record<string, string> }; spec: Record<string, unknown> } }).template;
};

test("C-10, CL 10.1: what the resource says reaches the CAS, which takes it", () => {
  const collateral = {
    intel: ["https://pccs.example/sgx/certification/v4/"],
    amd: ["http://kds.cache/"],
    bundles: [{ configMap: "documents", key: "bundle.json" }],
    offline: true,
    update: "early",
    maxAgeDays: 7,
    refreshHours: 6,
    timeoutSeconds: 20,
  };
  const text = fileOf({ collateral, databaseSnapshots: { enabled: true, interval: "5m" }, persistence: { mountPath: '/odd "path"' } });
  const read = parseAvailabilityConfig(text, "cas.toml");
  assert.equal(read.databasePath, '/odd "path"/cas.db');
  assert.deepEqual(read.snapshots, { directory: "/var/mnt/cas-database-snapshots", intervalMs: 300_000 });
  assert.equal(read.collateral?.update, "early");
  assert.equal(read.collateral?.sources.length, 1, "offline: the bundle alone");
  assert(text.includes(`bundles = ["${bundleDirectory("documents")}/bundle.json"]\n`), text);
  assert.match(text, /max_age_days = 7\nrefresh_hours = 6\ntimeout_seconds = 20\n/);
  assert.equal(parseAvailabilityConfig(fileOf({}), "cas.toml").collateral, undefined);
});

test("bundles are mounted from their ConfigMaps, each once; the authority of the servers is a file beside the configuration", () => {
  const bundles = ["a", "b"].map((key) => ({ configMap: "documents", key }));
  const { spec } = podOf({ collateral: { bundles, caCertificate: "PEM" } });
  assert.match(JSON.stringify(spec["volumes"]), /"configMap":\{"name":"documents"\}/);
  assert.equal(JSON.stringify(spec["volumes"]).split("documents").length, 2);
  assert.equal(casConfiguration(casOf({ collateral: { caCertificate: "PEM" } }))["collateral-ca.pem"], "PEM");
  assert.match(fileOf({ collateral: { caCertificate: "PEM" } }), /ca_certificate_file = "\/etc\/vouchsafe\/collateral-ca.pem"/);
});

test("another configuration is another pod: a CAS reads it at start only", () => {
  const hashOf = (spec: object) => podOf(spec).metadata.annotations["vouchsafe.dev/configuration"];
  assert.equal(hashOf({}), hashOf({}));
  assert.notEqual(hashOf({}), hashOf({ collateral: { intel: ["https://x/"] } }));
});
