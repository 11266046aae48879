import { certificateSecrets, NAMESPACE_VARIABLE } from "./certificates.ts";
import type { CuratedImage } from "./curated-image.ts";

/** Redis with mutual TLS only, state in memory only (MF-109). */
export const redis: CuratedImage = {
  name: "redis",
  title: "Redis",
  packages: ["redis-server"],
  program: "redis-server",
  command: [
    "redis-server",
    ...["--port", "0", "--tls-port", "{{REDIS_PORT}}"],
    ...["--tls-cert-file", "/tls/redis.crt", "--tls-key-file", "/tls/redis.key", "--tls-ca-cert-file", "/tls/ca.crt"],
    ...["--tls-auth-clients", "yes"],
    // Without a password Redis would refuse every remote client, whatever TLS says.
    ...["--protected-mode", "no"],
    // Nothing is written to disk.
    ...["--save", "", "--appendonly", "no"],
    ...["--dir", "/tmp"],
  ],
  files: [
    { path: "/tls/redis.crt", content: "$$SCONE::redis.crt$$", permission: "0o444" },
    { path: "/tls/redis.key", content: "$$SCONE::redis.key$$", permission: "0o400" },
    { path: "/tls/ca.crt", content: "$$SCONE::redis_ca_cert.crt$$", permission: "0o444" },
  ],
  secrets: certificateSecrets({
    authority: { key: "redis_ca_key", certificate: "redis_ca_cert" },
    server: { key: "redis_key", certificate: "redis", host: "redis_server_name", short: "redis" },
    client: { key: "redis_client_key", certificate: "redis_client_cert", commonName: "{{redis_client_name}}" },
  }),
  variables: [
    { name: "redis_server_name" },
    { name: "redis_client_name", value: "redis-client" },
    { name: "REDIS_PORT", value: "6379" },
    { name: "REDIS_HOST", value: "" },
    { name: "redis_persistence", value: "no" },
    NAMESPACE_VARIABLE,
    { name: "CLUSTER_DNS_IP", value: "" },
  ],
  values: `replicaCount: 1
workloadKind: deployment
service:
  port: "{{REDIS_PORT}}"
readiness:
  mode: tcp
  port: "{{REDIS_PORT}}"
terminationGracePeriodSeconds: 5
`,
};
