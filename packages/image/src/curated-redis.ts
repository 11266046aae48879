import type { BuildPlan, MetadataFiles } from "./plan.ts";

/*
 * The curated image `redis` (MF-109): Debian's redis-server, mutual TLS only, state in memory only. Templates are in the language of image metadata:
 * `{{…}}` is filled in when a mesh is applied, `$$SCONE::…$$` when the attested program starts.
 */

const COMMAND = [
  "redis-server",
  ...["--port", "0", "--tls-port", "{{REDIS_PORT}}"],
  ...["--tls-cert-file", "/tls/redis.crt", "--tls-key-file", "/tls/redis.key", "--tls-ca-cert-file", "/tls/ca.crt"],
  ...["--tls-auth-clients", "yes"],
  // Without a password Redis would refuse every remote client, whatever TLS says.
  ...["--protected-mode", "no"],
  // Nothing is written to disk.
  ...["--save", "", "--appendonly", "no"],
  ...["--dir", "/tmp"],
];

const quoted = (value: string): string => JSON.stringify(value);

const POLICY_TEMPLATE = `# Policy of the curated Redis; {{…}} is filled in when a mesh is applied.
name: "{{session}}"
version: "0.3.12"
services:
  - name: "{{cas_service_name}}"
    image_name: "{{vouchsafe.service}}_image"
    command: [${COMMAND.map(quoted).join(", ")}]
    pwd: /
    attestation: "{{attestation}}"
images:
  - name: "{{vouchsafe.service}}_image"
    injection_files:
      - {path: /tls/redis.crt, content: "$$SCONE::redis.crt$$", permission: 0o444}
      - {path: /tls/redis.key, content: "$$SCONE::redis.key$$", permission: 0o400}
      - {path: /tls/ca.crt, content: "$$SCONE::redis_ca_cert.crt$$", permission: 0o444}
secrets: "{{secrets}}"
security: "{{security}}"
`;

const SECRETS_TEMPLATE = `# Secrets of the store. Keys migrate: a program that holds the CA goes on trusting the store after an update (MF-42).
- {name: redis_ca_key, kind: private-key, migrate: true}
- {name: redis_ca_cert, kind: x509-ca, private_key: redis_ca_key}
- {name: redis_key, kind: private-key, migrate: true}
- name: redis
  kind: x509
  private_key: redis_key
  issuer: redis_ca_cert
  endpoint: server
  san: ["dns:{{redis_server_name}}", "dns:redis"]
- {name: redis_client_key, kind: private-key, migrate: true}
- name: redis_client_cert
  kind: x509
  private_key: redis_client_key
  issuer: redis_ca_cert
  endpoint: client
  common_name: "{{redis_client_name}}"
`;

const ENVIRONMENT = `# Variables that the mesh sets, with their defaults.
- {name: redis_server_name}
- {name: redis_client_name, value: redis-client}
- {name: REDIS_PORT, value: "6379"}
- {name: REDIS_HOST, value: ""}
- {name: K8sNAMESPACE, value: ""}
- {name: CLUSTER_DNS_IP, value: ""}
`;

const VALUES_TEMPLATE = `# What this service changes in the values of the built-in chart.
replicaCount: 1
workloadKind: deployment
service:
  port: "{{REDIS_PORT}}"
readiness:
  mode: tcp
  port: "{{REDIS_PORT}}"
terminationGracePeriodSeconds: 5
`;

const METADATA: MetadataFiles = {
  policyTemplate: POLICY_TEMPLATE,
  secretsTemplate: SECRETS_TEMPLATE,
  environment: ENVIRONMENT,
  chart: new Map([["values.yaml.template", VALUES_TEMPLATE]]),
};

const redis = (reference: string): BuildPlan => ({
  name: "redis",
  kind: "curated",
  reference,
  mode: "production",
  base: { kind: "debian", packages: ["redis-server"] },
  command: COMMAND,
  workingDirectory: "/",
  copy: [],
  run: [],
  encrypt: false,
  runtimeSettings: {},
  volumes: [],
  aliases: ["redis-scone"],
  metadata: METADATA,
});

const CURATED = new Map([["redis", redis]]);

/** Names of the curated images that this release can build. */
export const curatedImages: readonly string[] = [...CURATED.keys()];

/** The plan of a curated image under a reference whose last path component is its name, e.g. `vouchsafe.local/redis:latest`; undefined for others. */
export function planCuratedImage(reference: string): BuildPlan | undefined {
  const name = /([^/:@]+)(?::[^/:@]*)?$/.exec(reference)?.[1];
  return name === undefined ? undefined : CURATED.get(name)?.(reference);
}
