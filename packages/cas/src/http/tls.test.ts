import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createTestClient, startTestCas } from "../testing/test-cas.ts";

/** Output of `openssl s_client` with these arguments; needs the openssl program. */
function openssl(port: number, ...more: string[]): Promise<{ readonly code: number; readonly text: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      "openssl",
      ["s_client", "-connect", `127.0.0.1:${port}`, ...more],
      { timeout: 10_000 },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : 1, text: `${stdout}${stderr}` });
      },
    );
    child.stdin?.end("Q\n");
  });
}

test("hazards B4, B5, field/2026-03-session-tickets: TLS 1.3 only, and no session is resumed, on both ports", async (t) => {
  const cas = await startTestCas(t);
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-tls-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const ports = [
    [cas.running.clientAddress.port, "http/1.1"],
    [cas.running.serviceAddress.port, "vouchsafe/1"],
  ] as const;
  for (const [port, alpn] of ports) {
    const session = join(directory, `${port}.pem`);
    const good = await openssl(port, "-alpn", alpn, "-tls1_3", "-sess_out", session);
    assert.match(good.text, /TLSv1\.3/);
    assert.match(good.text, /X25519MLKEM768|X25519/);
    if (existsSync(session)) {
      // OpenSSL still hands out names of sessions, but there is no store behind them: a client that comes back makes a full handshake.
      const again = await openssl(port, "-alpn", alpn, "-tls1_3", "-sess_in", session);
      assert.match(again.text, /^New, TLSv1\.3/m);
      assert.doesNotMatch(again.text, /^Reused/m);
    }
    const old = await openssl(port, "-alpn", alpn, "-tls1_2");
    assert.match(old.text, /alert protocol version|no protocols available|unsupported protocol/);
    const suite = await openssl(port, "-alpn", alpn, "-tls1_2", "-cipher", "NULL:EXPORT:aNULL");
    assert.notEqual(suite.code, 0);
  }
  const foreign = await openssl(cas.running.serviceAddress.port, "-alpn", "h2");
  assert.match(foreign.text, /no application protocol|alert/i);
});

test("C-18: the client's certificate is judged by its key only, however odd its dates and names are", async (t) => {
  const cas = await startTestCas(t);
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-client-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const run = (...argv: string[]) =>
    new Promise<void>((resolve, reject) => execFile("openssl", argv, (error) => (error === null ? resolve() : reject(error))));
  const [key, certificate] = [join(directory, "key.pem"), join(directory, "cert.pem")];
  await run(
    "req",
    "-x509",
    "-newkey",
    "rsa:2048",
    "-nodes",
    "-keyout",
    key,
    "-out",
    certificate,
    "-days",
    "1",
    "-subj",
    "/CN=\u00e4 * expired",
  );
  const odd = { certificate: readFileSync(certificate, "utf8"), privateKey: readFileSync(key, "utf8"), keyHash: "" };
  const { hash } = await cas.client(odd).uploadSession('version: "0.3"\nname: odd\n');
  assert.equal((await cas.client(odd).readSession("odd")).hash, hash);
  await assert.rejects(cas.client(createTestClient()).readSession("odd"));
});
