import { certificateSecrets, NAMESPACE_VARIABLE } from "./certificates.ts";
import type { CuratedImage } from "./curated-image.ts";

/** Clients must show a certificate of the CA; `ssl_verify_mode=1` would let those without any pass. */
const TLS = ["ssl_chain_cert=/tls/memcached.crt", "ssl_key=/tls/memcached.key", "ssl_ca_cert=/tls/ca.crt", "ssl_verify_mode=2"];

/** memcached with mutual TLS only (MF-110). */
export const memcached: CuratedImage = {
  name: "memcached",
  title: "memcached",
  packages: ["memcached"],
  program: "memcached",
  // With -Z the only port speaks TLS; UDP, which never does, is off.
  command: ["memcached", "-p", "{{memcached_port}}", "-U", "0", "-Z", "-o", TLS.join(",")],
  files: [
    { path: "/tls/memcached.crt", content: "$$SCONE::MEMCACHED_SERVER_CERT.crt$$", permission: "0o444" },
    { path: "/tls/memcached.key", content: "$$SCONE::MEMCACHED_SERVER_CERT.key$$", permission: "0o400" },
    { path: "/tls/ca.crt", content: "$$SCONE::MEMCACHED_CA_CERT.crt$$", permission: "0o444" },
  ],
  secrets: certificateSecrets({
    authority: { key: "MEMCACHED_CA_KEY", certificate: "MEMCACHED_CA_CERT" },
    server: { key: "MEMCACHED_SERVER_KEY", certificate: "MEMCACHED_SERVER_CERT", host: "memcached_host", short: "memcached" },
    client: { key: "MEMCACHED_CLIENT_KEY", certificate: "MEMCACHED_CLIENT_CERT", commonName: "memcached-client" },
  }),
  variables: [{ name: "memcached_host" }, { name: "memcached_port", value: "11211" }, NAMESPACE_VARIABLE],
  values: `replicaCount: 1
workloadKind: deployment
service:
  port: "{{memcached_port}}"
readiness:
  mode: tcp
  port: "{{memcached_port}}"
terminationGracePeriodSeconds: 5
`,
};
