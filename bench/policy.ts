/**
 * Cost of reading a session: `node bench/policy.ts`. CPU time of parse, check, normal form and hash, for the largest session of a tutorial, and its growth
 * up to the limit of 1 MiB; then certificates issued against bare signing.
 */
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { parseSession, sessionHash } from "@vouchsafe/policy";
import { issueCertificate, systemRandomness } from "@vouchsafe/secrets";
import { TUTORIALS } from "../packages/policy/test/tutorial-documents.ts";

const hex = (label: string, digits: number) => createHash("sha512").update(label).digest("hex").slice(0, digits);

/** A shop with `count` services, each with code, files, certificates and shared secrets. */
function session(count: number): string {
  const each = (make: (index: number) => string) => Array.from({ length: count }, (_, index) => make(index)).join("");
  return `version: "0.3.12"
name: shop-4711/web
salt: ${hex("salt", 32)}
access_policy:
  read: [4FS3NJQsttEYid9NB6uMHZ73VuAYLGcoKjNU5Uekrosf2gbP8q]
  update: [4FS3NJQsttEYid9NB6uMHZ73VuAYLGcoKjNU5Uekrosf2gbP8q]
services:
${each(
  (i) => `  - name: service-${i}
    image_name: image-${i}
    command: [python3, service.py, --port, "8443"]
    pwd: /srv
    environment:
      REDIS_HOST: shop-redis
      REDIS_PORT: "6379"
      API_USER: user
      API_PASSWORD: "$$SCONE::password_${i}:hex$$"
      REDIS_CLIENT_CERT: /pki/client.crt
      REDIS_CLIENT_KEY: /pki/client.key
    attestation:
      - mrenclave: [${hex(`a${i}`, 64)}, ${hex(`b${i}`, 64)}]
    fspf_path: /vouchsafe/code.fspf
    fspf_key: ${hex(`k${i}`, 64)}
    fspf_tag: ${hex(`t${i}`, 32)}
`,
)}images:
${each(
  (i) => `  - name: image-${i}
    injection_files:
      - {path: /pki/ca.pem, content: "$$SCONE::client_ca_${i}:crt$$"}
      - {path: /pki/client.crt, content: "$$SCONE::client_cert_${i}:crt$$"}
      - {path: /pki/client.key, content: "$$SCONE::client_cert_${i}:privatekey$$", permission: 0o400}
      - path: /etc/service.conf
        content: |
          [server]
          port = 8443
          password = $$SCONE::password_${i}:hex$$
`,
)}secrets:
${each(
  (i) => `  - {name: password_${i}, kind: binary, size: 16}
  - {name: client_key_${i}, kind: private-key, migrate: true, export: {session: shop-4711/api}}
  - {name: client_ca_key_${i}, kind: private-key, migrate: true}
  - {name: client_ca_${i}, kind: x509-ca, private_key: client_ca_key_${i}, export: [{session: shop-4711/api}]}
  - name: client_cert_${i}
    kind: x509
    private_key: client_key_${i}
    issuer: client_ca_${i}
    endpoint: client
    san: ["dns:client-${i}.shop.example"]
    export: [{session: shop-4711/api}]
`,
)}security:
  attestation:
    tolerate: [outdated-tcb, hyperthreading]
    ignore_advisories: [INTEL-SA-00161, INTEL-SA-00289]
`;
}

/** CPU milliseconds of one call, the least of several blocks: other load on the machine only adds. */
function cpuMs(work: () => void, blockMs = 200, blocks = 7): number {
  for (const end = performance.now() + blockMs; performance.now() < end; ) work();
  let least = Number.POSITIVE_INFINITY;
  for (let block = 0; block < blocks; block += 1) {
    const before = process.cpuUsage();
    let calls = 0;
    for (const end = performance.now() + blockMs; performance.now() < end; calls += 1) work();
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000 / calls);
  }
  return least;
}

const UPLOADER = { kind: "certificate", keyHash: "4FS3NJQsttEYid9NB6uMHZ73VuAYLGcoKjNU5Uekrosf2gbP8q", pem: undefined } as const;

function readAndHash(text: string): void {
  const { session: read, diagnostics } = parseSession(text);
  if (read === undefined) throw new Error(JSON.stringify(diagnostics));
  sessionHash(read, { creator: UPLOADER });
}

const largest = TUTORIALS.toSorted((a, b) => b.text.length - a.text.length)[0] ?? { what: "", text: "" };
console.log("parse, check, normalise and hash a session (goal: 1 ms for the largest of the tutorials)");
const tutorialMs = cpuMs(() => readAndHash(largest.text));
console.log(
  `  ${(largest.text.length / 1024).toFixed(1).padStart(7)} KiB  ${tutorialMs.toFixed(3).padStart(9)} CPU-ms  a tutorial: ${largest.what}`,
);
for (const count of [1, 2, 4, 16, 64, 256, 650]) {
  const text = session(count);
  const ms = cpuMs(() => readAndHash(text));
  console.log(
    `  ${(text.length / 1024).toFixed(1).padStart(7)} KiB  ${ms.toFixed(3).padStart(9)} CPU-ms  ${((ms * 1000) / (text.length / 1024)).toFixed(1).padStart(6)} µs/KiB`,
  );
}

const { privateKey: caKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const { privateKey: leafKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const clock = { now: new Date(), random: systemRandomness };
const request = {
  isCa: false,
  commonName: "web",
  san: [{ kind: "dns", value: "web.example" }],
  endpoint: "server",
  validForSeconds: 86_400,
  control: undefined,
} as const;
const ca = issueCertificate({ ...request, isCa: true, san: [], endpoint: undefined, commonName: "ca" }, { ownKey: caKey }, clock);
const issuer = { certificate: ca.pem, privateKey: caKey };
console.log("issue an X.509 leaf, P-256 (goal: 0.45 CPU-ms)");
console.log(`  certificate  ${cpuMs(() => issueCertificate(request, { publicKey, issuer }, clock)).toFixed(3)} CPU-ms`);
console.log(`  bare signing ${cpuMs(() => sign("sha256", Buffer.alloc(400), leafKey)).toFixed(3)} CPU-ms`);
