import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { Cluster } from "@vouchsafe/kubernetes";
import { defineResources, missingForApiServer, startApiServer } from "../../../../kubernetes/src/testing/api-server.ts";
import type { Shell } from "../../shell.ts";
import { provision } from "./provision.ts";

function testShell(
  t: TestContext,
  environment: Record<string, string> = {},
): { readonly shell: Shell; readonly out: string[]; readonly notes: string[] } {
  const directory = mkdtempSync(join(tmpdir(), "provision-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const [out, notes]: [string[], string[]] = [[], []];
  const shell: Shell = {
    program: "vouchsafe",
    out: (text) => out.push(text),
    note: (text) => notes.push(text),
    environment: { HOME: directory, ...environment },
    directory,
    casConfig: join(directory, "cas"),
    readInput: async () => new Uint8Array(),
    colour: false,
    isTerminal: false,
    isOutTerminal: false,
    outBytes: () => {},
    signal: new AbortController().signal,
  };
  return { shell, out, notes };
}

const wrong = [
  { line: "26", argv: [], code: "E-SVC-UNSUPPORTED" },
  { line: "26", argv: ["vault"], code: "E-SVC-UNSUPPORTED" },
  { line: "27", argv: ["cas", "a-name-with-more-than-15"], code: "E-CAS-NAME" },
  { line: "30", argv: ["cas", "cas", "--wat"], code: "E-OPTION-UNKNOWN" },
  { line: "9", argv: ["cas", "cas", "ns", "more"], code: "E-ARGUMENT" },
  // Options of section 9 that cannot be meant together.
  { line: "9", argv: ["cas", "--wait", "--no-backup"], code: "E-OPTION-VALUE" },
  { line: "9", argv: ["cas", "--vault-client"], code: "E-OPTION-VALUE" },
  { line: "9", argv: ["cas", "--cas-client-port", "99999"], code: "E-OPTION-VALUE" },
  { line: "9", argv: ["cas", "--force"], code: "E-OPTION-VALUE" },
  { line: "9", argv: ["cas", "--postprovision-owner-identity", "me.pem"], code: "E-OPTION-VALUE" },
  { line: "9", argv: ["cas", "--upgrade", "1.0.0", "--preprovision-only"], code: "E-OPTION-VALUE" },
  { line: "9", argv: ["cas", "--is-provisioned", "--print-public-keys"], code: "E-OPTION-VALUE" },
  { line: "9", argv: ["cas", "--local-backup", "--is-provisioned"], code: "E-OPTION-VALUE" },
  { line: "9", argv: ["cas", "--cas-database-recovery", "dir", "--upgrade", "1.0.0"], code: "E-OPTION-VALUE" },
  { line: "9", argv: ["cas", "--verify-image-signatures", "key", "--no-image-signature-check"], code: "E-OPTION-VALUE" },
];
for (const { line, argv, code } of wrong) {
  test(`AC-10, line ${line}: kubectl provision ${argv.join(" ")} is ${code}`, async (t) => {
    const { shell, out, notes } = testShell(t);
    await assert.rejects(provision(argv, shell), { code });
    assert.deepEqual(out, []);
    assert.match(notes.join("\n"), /usage: kubectl provision /);
  });
}

test("CL-42, CL-85: help needs no cluster; without a kubeconfig the remedy names it; a list of them is refused", async (t) => {
  const { shell, out } = testShell(t);
  assert.equal(await provision(["--help"], shell), 0);
  assert.match(out.join("\n"), /--print-public-keys/);
  await assert.rejects(provision(["cas"], shell), { code: "E-CLUSTER", remedy: /KUBECONFIG/ });
  await assert.rejects(provision(["cas"], testShell(t, { KUBECONFIG: "a:b" }).shell), { code: "E-KUBECONFIG-LIST" });
});

test("CL-44, CL-45, CL-50, AC-10, lines 28 and 29: a missing namespace and a missing CAS give nothing on standard output", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const server = await startApiServer();
  t.after(() => server.stop());
  await defineResources(new Cluster(server.config));
  const { shell: base, out, notes } = testShell(t);
  const kubeconfig = join(base.directory, "kubeconfig");
  writeFileSync(kubeconfig, server.kubeconfig);
  const shell = { ...base, environment: { ...base.environment, KUBECONFIG: kubeconfig } };
  await assert.rejects(provision(["cas", "cas", "-n", "nowhere", "--is-provisioned"], shell), { code: "E-NAMESPACE-MISSING" });
  await assert.rejects(provision(["cas", "none", "-n", "default", "--print-public-keys"], shell), { code: "E-CAS-MISSING" });
  assert.deepEqual(out, []);
  assert.equal(await provision(["cas", "none", "default", "--is-provisioned"], shell), 1);
  assert.deepEqual(out, ["NO"]);
  assert.match(notes.join("\n"), /taken as the namespace.*there is no CAS none/s);
  return undefined;
});
