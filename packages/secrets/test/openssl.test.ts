import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { connect, createServer } from "node:tls";
import { formatSecret, systemRandomness } from "../src/index.ts";
import { run, temporaryDirectory, write } from "./real-tools.ts";
import { certificateOf, chainSecrets, valuesOf } from "./session-fixture.ts";

for (const keyType of ["P-256", "P-384", "Ed25519", "RSA-2048", "RSA-3072", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"]) {
  test(`hazard D5, SL-132 mutual TLS 1.3 with ${keyType} certificates, and none with the roles exchanged`, async (t) => {
    const made = valuesOf(chainSecrets(keyType));
    const identity = (name: string) => {
      const { certificate, chain, privateKey } = certificateOf(made, name);
      return { cert: certificate + chain.slice(0, -1).join(""), key: privateKey ?? "", ca: chain.at(-1) ?? "" };
    };
    const [serverSide, clientSide] = [identity("server"), identity("client")];
    const server = createServer({ ...serverSide, requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.3" }, (socket) => {
      socket.on("error", () => {}).end("welcome");
    });
    server.on("tlsClientError", () => {});
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    t.after(() => server.close());
    const port = (server.address() as AddressInfo).port;
    const talk = async (own: typeof clientSide, servername: string) => {
      const socket = connect({ ...own, port, host: "127.0.0.1", servername, minVersion: "TLSv1.3" });
      try {
        return await text(socket);
      } finally {
        socket.destroy();
      }
    };
    assert.equal(await talk(clientSide, "db.example"), "welcome");
    await assert.rejects(talk(clientSide, "other.example"), { code: "ERR_TLS_CERT_ALTNAME_INVALID" });
    // In TLS 1.3 the client may learn of its refusal only by silence.
    const asServer = await talk({ ...serverSide, ca: clientSide.ca }, "db.example").catch(() => "");
    assert.equal(asServer, "", "a server's certificate makes no client");
  });

  test(`SL-132 a chain of three with ${keyType} keys passes OpenSSL's strict verification`, (t) => {
    const made = valuesOf(chainSecrets(keyType));
    const server = certificateOf(made, "server");
    const client = certificateOf(made, "client");
    if (keyType.startsWith("ML-DSA")) {
      // The system's OpenSSL may be older than 3.5; Node's own knows the algorithm.
      const [middle = "", root = ""] = server.chain;
      assert(new X509Certificate(server.certificate).verify(new X509Certificate(middle).publicKey));
      assert(new X509Certificate(middle).verify(new X509Certificate(root).publicKey));
      return;
    }
    const directory = temporaryDirectory(t);
    const [middle = "", root = ""] = server.chain;
    write(directory, { "root.pem": root, "middle.pem": middle, "server.pem": server.certificate, "client.pem": client.certificate });
    const verify = (...args: string[]) =>
      run("openssl", ["verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "middle.pem", ...args], { cwd: directory });
    assert.match(verify("-purpose", "sslserver", "-verify_hostname", "db.example", "server.pem"), /OK/);
    assert.match(verify("-purpose", "sslserver", "-verify_hostname", "web.shop.example", "server.pem"), /OK/);
    assert.match(verify("-purpose", "sslserver", "-verify_ip", "10.96.0.10", "server.pem"), /OK/);
    assert.match(verify("-purpose", "sslserver", "-verify_ip", "2001:db8::1", "server.pem"), /OK/);
    assert.match(verify("-purpose", "sslclient", "client.pem"), /OK/);
    const refused = (says: RegExp, ...args: string[]) => assert.throws(() => verify(...args), says);
    refused(/unsuitable certificate purpose/, "-purpose", "sslclient", "server.pem");
    refused(/unsuitable certificate purpose/, "-purpose", "sslserver", "client.pem");
    refused(/hostname mismatch/i, "-purpose", "sslserver", "-verify_hostname", "other.example", "server.pem");
    refused(/IP address mismatch/i, "-purpose", "sslserver", "-verify_ip", "10.96.0.11", "server.pem");
  });
}

test("SL-108 an Ed25519 key is PKCS#8 version 1, which OpenSSL reads", (t) => {
  const { values } = valuesOf("  - {name: k, kind: private-key, key_type: Ed25519}\n");
  const key = values.get("k");
  assert(key?.kind === "private-key");
  const directory = temporaryDirectory(t);
  write(directory, { "k.pem": key.pem });
  assert.match(run("openssl", ["pkey", "-in", "k.pem", "-noout", "-text"], { cwd: directory }), /ED25519/i);
});

test("§12.2 pkcs12-with-private-key opens with OpenSSL and an empty password", (t) => {
  const made = valuesOf(chainSecrets("P-256"));
  const formatted = formatSecret(certificateOf(made, "server"), "pkcs12-with-private-key", { name: "server", random: systemRandomness });
  assert(formatted.kind === "bytes");
  const directory = temporaryDirectory(t);
  write(directory, { "server.p12": formatted.bytes });
  const output = run("openssl", ["pkcs12", "-in", "server.p12", "-passin", "pass:", "-nodes"], { cwd: directory });
  assert.equal(output.match(/BEGIN CERTIFICATE/g)?.length, 3);
  assert.equal(output.match(/BEGIN PRIVATE KEY/g)?.length, 1);
});

test("certificate control: name constraints of a CA are obeyed by OpenSSL", (t) => {
  const made = valuesOf(`
  - {name: k, kind: private-key}
  - {name: ca, kind: x509-ca, private_key: k, common_name: Root, x509: {name_constraints: {permitted_dns: [shop.example]}}}
  - {name: inside, kind: x509, private_key: k, issuer: ca, common_name: a b, san: "dns:a.shop.example"}
  - {name: outside, kind: x509, private_key: k, issuer: ca, common_name: a b, san: "dns:a.other.example"}
`);
  const directory = temporaryDirectory(t);
  const [ca, inside, outside] = ["ca", "inside", "outside"].map((name) => certificateOf(made, name).certificate);
  write(directory, { "ca.pem": ca ?? "", "inside.pem": inside ?? "", "outside.pem": outside ?? "" });
  assert.match(run("openssl", ["verify", "-x509_strict", "-CAfile", "ca.pem", "inside.pem"], { cwd: directory }), /OK/);
  assert.throws(
    () => run("openssl", ["verify", "-x509_strict", "-CAfile", "ca.pem", "outside.pem"], { cwd: directory }),
    /permitted subtree violation/,
  );
});
