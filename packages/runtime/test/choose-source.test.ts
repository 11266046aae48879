import assert from "node:assert/strict";
import { test } from "node:test";
import type { EvidenceSource } from "@vouchsafe/attester";
import { chooseSource } from "../src/evidence/choose-source.ts";
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
