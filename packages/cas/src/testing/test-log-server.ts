import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:https";
import type { TestContext } from "node:test";
import { issueCertificate, systemRandomness } from "@vouchsafe/secrets";

export interface TestLogServer {
  /** Owner configuration that sends the log there. */
  readonly config: string;
  readonly url: string;
  /** PEM of the authority that certifies it. */
  readonly ca: string;
  /** What was sent so far. */
  readonly received: readonly string[];
  /** Status of its answers. */
  status: number;
}

/** A real HTTPS server that takes entries of the log, gone after the test. */
export async function startLogServer(t: TestContext): Promise<TestLogServer> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const request = {
    isCa: true,
    commonName: "log",
    san: [{ kind: "ip" as const, value: "127.0.0.1" }],
    endpoint: undefined,
    validForSeconds: undefined,
    control: undefined,
  };
  const options = { now: new Date(), random: systemRandomness };
  const ca = issueCertificate({ ...request, san: [] }, { ownKey: privateKey }, options).pem;
  const leaf = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const { pem } = issueCertificate(
    { ...request, isCa: false },
    { publicKey: leaf.publicKey, issuer: { certificate: ca, privateKey } },
    options,
  );
  const received: string[] = [];
  const log = { config: "", url: "", ca, received, status: 204 };
  const server = createServer({ key: leaf.privateKey.export({ type: "pkcs8", format: "pem" }), cert: pem }, (incoming, answer) => {
    incoming.setEncoding("utf8").on("data", (text: string) => received.push(text));
    incoming.on("end", () => answer.writeHead(log.status).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  log.url = `https://127.0.0.1:${port}/log`;
  log.config = `[audit_log]\nmode = "unsigned"\nsink = "network"\nurl = "${log.url}"\nserver_ca_certificate = """\n${ca}"""\n`;
  return log;
}
