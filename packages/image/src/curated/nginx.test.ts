import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:https";
import { type TestContext, test } from "node:test";
import type { TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { makeAuthority, secretsOf, type TestAuthority, type TestCertificate } from "../testing/certificates.ts";
import { freePort, startCurated, unpackCurated } from "../testing/curated-program.ts";
import { nginx } from "./nginx.ts";

/** A service that demands a client certificate and says whose it saw. */
async function startBackend(context: TestContext, { crt, key }: TestCertificate, ca: string): Promise<Server> {
  const server = createServer(
    { cert: readFileSync(crt), key: readFileSync(key), ca: readFileSync(ca), requestCert: true, rejectUnauthorized: true },
    async (request, response) => {
      const peer = (request.socket as TLSSocket).getPeerCertificate().subject.CN;
      let size = 0;
      for await (const chunk of request) size += chunk.length;
      response.end(`${peer} ${request.headers.host} ${request.headers["x-forwarded-proto"]} ${request.url} ${size}\n`);
    },
  );
  server.on("tlsClientError", () => undefined); // nginx with the wrong certificate
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => server.close());
  return server;
}

const portOf = (server: Server): number => {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : assert.fail("no port");
};

const curl = async (...args: string[]): Promise<string> => {
  const { stdout } = await promisify(execFile)("curl", ["-sS", "--max-time", "20", "--noproxy", "*", ...args]);
  return stdout;
};

test("MF-110: nginx of the curated image ends TLS and speaks mutual TLS with the backend of the right name", async (context) => {
  const unpacked = await unpackCurated(context, nginx);
  const own = makeAuthority(unpacked.directory, "nginx");
  const backendCa = makeAuthority(unpacked.directory, "backend");
  const foreign = makeAuthority(unpacked.directory, "foreign");
  const nginxCertificate = own.certificate("server", "shop.example");
  const start = async (server: Server, client: TestCertificate, trusted: TestAuthority) => {
    const port = await freePort();
    const started = await startCurated(context, unpacked, nginx, port, {
      variables: {
        nginx_server_name: "shop.example",
        APP_SERVICE_PORT: String(port),
        // Every name below localhost is this machine.
        nginx_backend_server_name: "localhost",
        nginx_backend_server_port: String(portOf(server)),
        NGINX_BACKEND_CLIENT_CERT: "api_client",
        NGINX_BACKEND_CA_CERT: "api_ca",
      },
      secrets: {
        ...secretsOf("NGINX_SERVER_CERT", nginxCertificate),
        ...secretsOf("api_client", client),
        "api_ca.chain": readFileSync(trusted.ca, "utf8"),
      },
    });
    assert.equal(started.process.exitCode, null, started.output());
    const target = ["--resolve", `shop.example:${port}:127.0.0.1`, `https://shop.example:${port}/a?b=c`];
    const stop = async () => {
      started.process.kill("SIGKILL");
      await once(started.process, "exit");
    };
    return { ...started, port, target, stop };
  };
  const client = backendCa.certificate("nginx-client");
  const backend = await startBackend(context, backendCa.certificate("api", "localhost"), backendCa.ca);

  const running = await start(backend, client, backendCa);
  const answer = `nginx-client shop.example:${running.port} https /a?b=c`;
  assert.equal(await curl("--cacert", own.ca, ...running.target), `${answer} 0\n`);
  assert.equal(await curl("--cacert", own.ca, "--http1.1", ...running.target), `${answer} 0\n`);
  const large = ["--data-binary", `@${process.execPath}`, "-H", "Expect:"];
  assert.match(await curl("--cacert", own.ca, ...large, ...running.target), /\/a\?b=c \d{8,}\n/, "a large body");
  await assert.rejects(curl("--cacert", foreign.ca, ...running.target), /SSL certificate problem/, "a client that trusts another CA");
  await assert.rejects(
    curl("--cacert", own.ca, "--resolve", `other.example:${running.port}:127.0.0.1`, `https://other.example:${running.port}/`),
    /no alternative certificate subject name/,
    "another server name",
  );
  assert.match(await curl(`http://127.0.0.1:${running.port}/`), /400 The plain HTTP request was sent to HTTPS port/, "plain text");
  await running.stop();

  const status = ["-o", "/dev/null", "-w", "%{http_code}", "--cacert", own.ca];
  const untrusted = await start(backend, foreign.certificate("intruder"), backendCa);
  assert.notEqual(await curl(...status, ...untrusted.target), "200", "a client certificate of another CA");
  await untrusted.stop();
  const distrusting = await start(backend, client, foreign);
  assert.equal(await curl(...status, ...distrusting.target), "502", "a backend of another CA");
  assert.match(distrusting.output(), /certificate verify error/);
  await distrusting.stop();
  const renamed = await startBackend(context, backendCa.certificate("other", "other.example"), backendCa.ca);
  const misled = await start(renamed, client, backendCa);
  assert.equal(await curl(...status, ...misled.target), "502", "a backend of another name");
  assert.match(misled.output(), /does not match "localhost"/);
  await misled.stop();
});
