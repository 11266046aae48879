import assert from "node:assert/strict";
import { test } from "node:test";
import type { EvidenceSource } from "@vouchsafe/attester";
import { chooseSource, describeSource } from "../src/evidence/choose-source.ts";
import { readSettings } from "../src/settings.ts";

const settings = (environment: Record<string, string>) =>
  readSettings({ SCONE_CONFIG_ID: "shop/api", SCONE_CAS_ADDR: "cas.scone-system", ...environment });
const source = (kinds: EvidenceSource["kinds"], absence?: string): EvidenceSource => ({
  ...{ kinds, name: `/dev/${kinds[0]}`, absence: () => absence },
  gather: () => assert.fail(),
});

test("the first source that exists and is asked for is taken; what is absent is said in the debug log", (t) => {
  const lines: string[] = [];
  t.mock.method(process.stderr, "write", (line: string) => lines.push(line) > 0);
  const candidates = [source(["sgx"], "no enclave"), source(["tdx", "snp"]), source(["tpm"]), source(["node", "simulated"])];
  const choose = (environment: Record<string, string>) => chooseSource(settings(environment), candidates)?.kinds[0];
  assert.equal(choose({}), "tdx");
  assert.equal(choose({ VOUCHSAFE_EVIDENCE: "tpm,node" }), "tpm");
  assert.equal(choose({ VOUCHSAFE_EVIDENCE: "simulated" }), "node");
  assert.deepEqual(lines, []);
  assert.equal(choose({ SCONE_LOG: "debug" }), "tdx");
  assert.deepEqual(lines, ["vouchsafe: skipped: sgx evidence from /dev/sgx: no enclave\n"]);
});

test("what is asked for and exists nowhere ends the start, with every reason", () => {
  const choose = () => chooseSource(settings({ VOUCHSAFE_EVIDENCE: "sgx" }), [source(["sgx"], "no enclave"), source(["tpm"])]);
  assert.throws(choose, ({ message, cause }: Error) => /kind sgx/.test(message) && String(cause).includes("/dev/sgx: no enclave"));
  assert.throws(() => settings({ VOUCHSAFE_EVIDENCE: "sgx2" }), /VOUCHSAFE_EVIDENCE names "sgx2"/);
  assert.throws(() => settings({ VOUCHSAFE_TPM: "usb:1" }), /expected device:PATH, unix:PATH or tcp:HOST:PORT/);
});

test("where nothing is asked for and nothing exists there is no source; a source that was not asked for is not looked at", () => {
  assert.equal(chooseSource(settings({}), [source(["sgx"], "no enclave")]), undefined);
  const untouched: EvidenceSource = { ...source(["tdx"]), absence: () => assert.fail() };
  assert.equal(chooseSource(settings({ VOUCHSAFE_EVIDENCE: "sgx" }), [untouched, source(["sgx"])])?.name, "/dev/sgx");
  const nothing = ({ message, cause }: Error) => /no source of it/.test(message) && cause === undefined;
  assert.throws(() => chooseSource(settings({ VOUCHSAFE_EVIDENCE: "sgx" }), [untouched]), nothing);
});

test("the log says of a source what it is worth where that is nothing about hardware", () => {
  const said = (one: EvidenceSource | undefined, environment: Record<string, string> = {}) => describeSource(one, settings(environment));
  const agent = source(["node", "simulated"]);
  assert.equal(said(undefined), "none");
  assert.equal(said(source(["tdx", "snp"])), "tdx, snp from /dev/tdx");
  assert.match(said(agent), /^node \(measured by the node agent; proves nothing about hardware\)$/);
  assert.match(said(agent, { VOUCHSAFE_EVIDENCE: "node" }), /^node /);
  assert.match(said(agent, { VOUCHSAFE_EVIDENCE: "simulated" }), /^simulated \(DEVELOPMENT ONLY/);
});
