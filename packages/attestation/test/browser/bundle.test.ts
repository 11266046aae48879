import assert from "node:assert/strict";
import { test } from "node:test";
import { bundleForBrowser } from "./bundle.ts";

test("the library bundles for browsers: no node: import, no global of Node, nothing that only Node can do", async () => {
  for (const entry of ["@vouchsafe/attestation", "@vouchsafe/attestation/portable"]) {
    const { inputs, nodeGlobals, gzippedBytes } = await bundleForBrowser({ contents: `export * from "${entry}";` });
    assert.deepEqual(nodeGlobals, []);
    assert.ok(inputs.some((path) => path.endsWith("crypto/web-provider.ts")));
    assert.deepEqual(
      inputs.filter((path) => /node-provider|simulated-platform|create-node|make-credential|\/(vectors|testing)\//.test(path)),
      [],
    );
    assert.ok(gzippedBytes < 90_000, `${gzippedBytes} bytes`);
  }
});

test("a verifier alone does not pay for what it does not use", async () => {
  const one = 'import { verifyAsync, verifySnpReport } from "@vouchsafe/attestation"; export { verifyAsync, verifySnpReport };';
  const { text, gzippedBytes } = await bundleForBrowser({ contents: one });
  const found = text.match(/Intel SGX PCK|ear\.status|dstack|-----BEGIN/)?.[0];
  assert.equal(found, undefined);
  assert.ok(gzippedBytes < 30_000, `${gzippedBytes} bytes`);
});

test("the check itself sees what it looks for", async () => {
  await assert.rejects(bundleForBrowser({ contents: 'import { hash } from "node:crypto"; export default hash;' }), /node:crypto/);
  const { nodeGlobals } = await bundleForBrowser({ contents: "export const size = Buffer.byteLength(process.argv[0]);" });
  assert.deepEqual(nodeGlobals.toSorted(), ["nodeGlobal_Buffer", "nodeGlobal_process"]);
});
