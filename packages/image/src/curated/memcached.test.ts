import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { readFileSync } from "node:fs";
import { connect as connectPlain } from "node:net";
import { test } from "node:test";
import { connect } from "node:tls";
import { makeAuthority, secretsOf, type TestCertificate } from "../testing/certificates.ts";
import { freePort, startCurated, unpackCurated } from "../testing/curated-program.ts";
import { memcached } from "./memcached.ts";

const SCRIPT = "set a 0 0 6\r\nsecret\r\nget a\r\nquit\r\n";

/** What the server answers until it closes; the error's code where it does not let the client in. */
function answerOf(socket: NodeJS.ReadWriteStream): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => (answer += text));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(`refused: ${error.code}`));
    socket.on("close", () => resolve(answer));
    socket.write(SCRIPT);
  });
}

test("MF-110: memcached of the curated image speaks mutual TLS only, to clients of its own CA", async (context) => {
  const unpacked = await unpackCurated(context, memcached);
  const own = makeAuthority(unpacked.directory, "own");
  const foreign = makeAuthority(unpacked.directory, "foreign");
  const port = await freePort();
  const secrets = {
    ...secretsOf("MEMCACHED_SERVER_CERT", own.certificate("server", "shop-memcached")),
    ...secretsOf("MEMCACHED_CA_CERT", { crt: own.ca, key: own.ca }),
  };
  const { process: program, output } = await startCurated(context, unpacked, memcached, port, {
    variables: { memcached_port: String(port) },
    secrets,
  });
  assert.equal(program.exitCode, null, output());
  const ask = (ca: string, certificate: TestCertificate | undefined, servername = "shop-memcached") =>
    answerOf(
      connect({
        port,
        host: "127.0.0.1",
        servername,
        ca: readFileSync(ca),
        ...(certificate === undefined ? {} : { cert: readFileSync(certificate.crt), key: readFileSync(certificate.key) }),
      }),
    );
  const client = own.certificate("client");
  assert.equal(await ask(own.ca, client), "STORED\r\nVALUE a 0 6\r\nsecret\r\nEND\r\n");
  assert.match(await ask(own.ca, undefined), /^refused: /, "no client certificate");
  assert.match(await ask(own.ca, foreign.certificate("client")), /^refused: /, "a certificate of another CA");
  assert.match(await ask(foreign.ca, client), /^refused: /, "a client that trusts another CA");
  assert.match(await ask(own.ca, client, "other"), /^refused: ERR_TLS_CERT_ALTNAME_INVALID/, "another server name");
  assert.doesNotMatch(await answerOf(connectPlain(port, "127.0.0.1")), /STORED|VALUE|VERSION|ERROR/, "plain text");
  const datagram = createSocket("udp4");
  const refused = new Promise<string>((resolve) => {
    datagram.once("error", (error: NodeJS.ErrnoException) => resolve(String(error.code)));
    datagram.once("message", (message) => resolve(message.toString()));
  });
  datagram.connect(port, "127.0.0.1", () =>
    datagram.send(Buffer.concat([Buffer.from([0, 1, 0, 0, 0, 1, 0, 0]), Buffer.from("version\r\n")])),
  );
  assert.equal(await refused, "ECONNREFUSED", "UDP");
  datagram.close();
});
