import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { startCollateralServer } from "../../../../collateral/src/testing/collateral-server.ts";

/** Reads a manifest in a process of its own, which trusts the test's authority. */
const READ = `
  import { parseOptions } from ${JSON.stringify(join(import.meta.dirname, "..", "..", "parse-options.ts"))};
  import { readCasManifest } from ${JSON.stringify(join(import.meta.dirname, "cas-manifest.ts"))};
  import { PROVISION_OPTIONS } from ${JSON.stringify(join(import.meta.dirname, "kubernetes-spec.ts"))};
  const options = parseOptions(PROVISION_OPTIONS, process.argv.slice(1), { maxOperands: 9 });
  const manifest = await readCasManifest({ name: "cas", namespace: "ns" }, options, { environment: {}, directory: "/" });
  process.stdout.write(JSON.stringify(manifest));
`;

test("section 9: -f and --manifests-dir take https addresses, whose server is verified, and follow no redirect", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "manifest-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const server = await startCollateralServer(t, { tls: true });
  const authority = join(directory, "ca.pem");
  writeFileSync(authority, server.ca ?? assert.fail("TLS has an authority"));
  const text = "apiVersion: services.scone.cloud/v1beta1\nkind: CAS\nspec: {persistence: {enabled: true}}\n";
  server.documents.set("/cas.yaml", { body: Buffer.from(text) });
  const read = async (environment: Record<string, string>, ...argv: readonly string[]) => {
    const env = { ...process.env, ...environment };
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", READ, "--", ...argv], { env });
    return JSON.parse(stdout);
  };
  const trusting = { NODE_EXTRA_CA_CERTS: authority };
  const expected = { spec: { persistence: { enabled: true } }, isExplicit: true };
  assert.deepEqual(await read(trusting, "-f", new URL("/cas.yaml", server.url).href), expected);
  assert.deepEqual(await read(trusting, "--manifests-dir", server.url.href), expected);
  await assert.rejects(read({}, "--manifests-dir", server.url.href), /cannot be fetched/);
  await assert.rejects(read(trusting, "-f", new URL("/other.yaml", server.url).href), /cannot be fetched: status 404/);
  server.hostile = (_, response) => void response.writeHead(302, { location: "/cas.yaml" }).end();
  await assert.rejects(read(trusting, "-f", new URL("/cas.yaml", server.url).href), /cannot be fetched/);
});
