/** Names of a certificate and of its key among the secrets of a policy. */
interface Pair {
  readonly key: string;
  readonly certificate: string;
}

export interface Authority {
  readonly authority: Pair;
  /** Whether anybody may read the CA's certificate: where clients are no services of the mesh. */
  readonly isPublic?: boolean;
  /** `host`: the variable with the server's DNS name; `short`: the name under which it is known besides. */
  readonly server: Pair & { readonly host: string; readonly short: string };
  readonly client?: Pair & { readonly commonName: string };
}

const privateKey = (name: string): string => `- {name: ${name}, kind: private-key, migrate: true}\n`;

const serverCertificate = ({ authority, server: { key, certificate, host, short } }: Authority): string => `- name: ${certificate}
  kind: x509
  private_key: ${key}
  issuer: ${authority.certificate}
  endpoint: server
  san:
    - "dns:{{${host}}}"
    - "dns:${short}"
{{#if K8sNAMESPACE}}
    - "dns:{{${host}}}.{{K8sNAMESPACE}}.svc"
    - "dns:{{${host}}}.{{K8sNAMESPACE}}.svc.cluster.local"
{{/if}}
`;

const clientCertificate = ({ authority, client }: Authority): string =>
  client === undefined
    ? ""
    : `${privateKey(client.key)}- name: ${client.certificate}
  kind: x509
  private_key: ${client.key}
  issuer: ${authority.certificate}
  endpoint: client
  common_name: "${client.commonName}"
`;

/** Secrets of a service with a CA of its own, as YAML: the CA, the server's certificate, and one for the services that are its clients. */
export const certificateSecrets = (authority: Authority): string =>
  [
    privateKey(authority.authority.key),
    `- {name: ${authority.authority.certificate}, kind: x509-ca, private_key: ${authority.authority.key}${authority.isPublic === true ? ", export_public: true" : ""}}\n`,
    privateKey(authority.server.key),
    serverCertificate(authority),
    clientCertificate(authority),
  ].join("");

/** The namespace of the cluster, which a mesh may tell: the server's certificate then has the full names of its Service too. */
export const NAMESPACE_VARIABLE = { name: "K8sNAMESPACE", value: "" } as const;
