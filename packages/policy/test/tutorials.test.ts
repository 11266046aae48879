/** Policies of the shapes that tutorials teach, in our own words: what users bring along must work as it is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSession, renderDiagnostics, resolveAttestation, type Session, sessionHash } from "../src/index.ts";
import { A, B, KEY, TAG } from "./documents.ts";

const VARIABLES = new Map([
  ["SESSION", "hello-4711"],
  ["MRENCLAVE", A],
  ["FSPF_KEY", B],
  ["FSPF_TAG", TAG],
  ["PREDECESSOR", "~"],
  ["REDIS_SESSION", "redis-4711"],
]);

function valid(source: string, allowedWarnings: readonly string[] = []): Session {
  const { session, diagnostics } = parseSession(source, { file: "tutorial.yaml", variables: VARIABLES });
  assert(session !== undefined, renderDiagnostics(diagnostics, { source }));
  assert.deepEqual([...new Set(diagnostics.map(({ rule }) => rule))], allowedWarnings, renderDiagnostics(diagnostics, { source }));
  sessionHash(session, { creator: { kind: "certificate", keyHash: KEY, pem: undefined } });
  return session;
}

test("a web service with an encrypted file system, certificates and a password", () => {
  const session = valid(
    `
name: $SESSION
version: "0.3"
predecessor: $PREDECESSOR

services:
   - name: flask
     image_name: flask_image
     mrenclaves: [$MRENCLAVE]
     command: python3 /app/rest_api.py
     pwd: /
     environment:
        SCONE_LOG: "3"
        GREETING: hello
        REDIS_HOST: redis
        API_PASSWORD: "$$SCONE::api_password:base64url$$"
     fspf_path: /fspf.pb
     fspf_key: $FSPF_KEY
     fspf_tag: $FSPF_TAG

images:
   - name: flask_image
     injection_files:
       - path: /tls/flask.crt
         content: $$SCONE::flask.crt$$
       - path: /tls/flask.key
         content: $$SCONE::flask.key$$
       - path: /tls/redis-ca.crt
         content: |
           # trusted by the client
           $$SCONE::redis_ca:crt$$

secrets:
   - name: api_password
     kind: binary
     size: 16
   - name: flask_key
     kind: private-key
   - name: flask
     kind: x509
     private_key: flask_key
     endpoint: server
     dns: [flask, flask.default.svc]
   - name: redis_ca
     kind: x509-ca
     import:
       session: $REDIS_SESSION
       secret: redis_ca

security:
  attestation:
    tolerate: [hyperthreading, insecure-igpu, outdated-tcb, software-hardening-needed]
    ignore_advisories: "*"
`,
    ["SL-116", "SL-90"],
  );
  assert.equal(session.name, "hello-4711");
  assert.equal(session.services[0]?.fileSystem?.key, B);
});

test("a store that makes a CA and hands a client certificate to another session", () => {
  valid(
    `
version: 0.3.10
name: redis-4711
services:
  - name: redis
    command: redis-server --tls-port 6379 --port 0 --tls-cert-file /tls/redis.crt
    pwd: /
    attestation:
      - mrenclave: ${A}
      - signer: {mrsigner: ${B}, isvprodid: 41316, isvsvn_min: 5}
        mrenclave: ["${A}", "${B}"]
secrets:
  - name: redis_ca_key
    kind: private-key
    migrate: true
  - name: redis_ca
    kind: x509-ca
    private_key: redis_ca_key
    common_name: REDIS CA
    export:
      session: hello-4711
      session_hash: ${A}
  - {name: client_key, kind: private-key, export: {session: hello-4711, session_hash: ${A}}}
  - name: client
    kind: x509
    private_key: client_key
    issuer: redis_ca
    endpoint: client
    san: "dns:client"
    valid_for: 1 year
    export: [{session: hello-4711, session_hash: ${A}}]
`,
  );
});

test("volumes of one session, used and shared", () => {
  valid(`
name: library/catalogue
version: "0.3.12"
services:
  - {name: app, image_name: app, command: [/bin/app, "@@1"], pwd: /data, attestation: {mrenclave: ${A}}, environment: {"@@LANG": "", MODE: "1"}}
images:
  - name: app
    volumes:
      - {name: books, path: /data}
      - {name: scratch, path: /data/tmp, update_policy: ephemeral}
volumes:
  - name: books
    export:
      - to: {session: library/reader}
        update_policy: ephemeral
        volume_alias: catalogue
  - name: scratch
    import: {session: library/shared, volume: temp}
`);
});

test("a namespace with a governing board, and measurements kept in a fragment", () => {
  const session = valid(
    `
name: company
version: "0.3.12"
salt: ${TAG}
access_policy:
  read: [${KEY}]
  update:
    - require-at-least-1: [CREATOR, ${KEY}]
  create_sessions: [CREATOR]
secrets:
  - name: trusted_code
    kind: config-fragment
    value:
      - mrenclave: [${A}]
      - mrenclave: ${B}
    export: [{namespace: company}, {session: company/app}]
services:
  - name: check
    command: 'sh -c "exit 0"'
    pwd: /
    attestation: "$$SCONE::trusted_code$$"
`,
    ["SL-143"],
  );
  const [service = assert.fail()] = session.services;
  const fragment = session.secrets[0];
  assert(fragment?.origin === "explicit" && fragment.kind === "config-fragment");
  assert.equal(resolveAttestation(service, () => fragment.value).filter(({ kind }) => kind === "ok").length, 2);
});

test("a service that only a one-time password and a token let in", () => {
  valid(`
version: "0.3.12"
name: vault
services: [{name: s, command: run, pwd: /, attestation: {mrenclave: ${A}}}]
security:
  singleton_enclaves: true
  service_access_token: "a token of some length"
  attestation:
    one_time_password_shared_secret: JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP
`);
});
