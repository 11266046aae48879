import { CasClient, type CasJudge, type CasVerdict, ProtocolError } from "@vouchsafe/protocol";
import { type Cluster, ClusterError } from "../cluster/cluster.ts";
import { CasResource } from "../custom-resources/resources.ts";
import { KubernetesError } from "../kubernetes-error.ts";
import { CAS_POD_PORTS } from "../objects/cas-configuration.ts";
import { CHANGED_ANNOTATION } from "../objects/changed-annotation.ts";
import { type CasProbe, probeCas } from "../operator/cas-probe.ts";
import { openCasTunnel } from "./cas-tunnel.ts";

/** Which CAS, and how it is reached. */
export interface CasName {
  readonly name: string;
  readonly namespace: string;
  /** Address given by the user instead of a tunnel. */
  readonly address?: { readonly host: string; readonly port: number } | undefined;
  /** Port of the pod at the other end of a tunnel, where it is not the usual one. */
  readonly podPort?: number | undefined;
}

export interface ClientCredentials {
  readonly certificate: string;
  readonly privateKey: string;
}

const NAME_MAX_CHARACTERS = 15;
const CALL_TIMEOUT_MS = 15_000;
const API_VERSION = "services.scone.cloud/v1beta1";

export const casHeader = ({ name, namespace }: CasName) => ({ apiVersion: API_VERSION, kind: "CAS", metadata: { name, namespace } });

/** CL-43. Throws E-CAS-NAME. */
export function assertCasName(name: string): void {
  if (/^[a-z](?:[a-z0-9-]*[a-z0-9])?$/.test(name) && name.length <= NAME_MAX_CHARACTERS) return;
  throw new KubernetesError("E-CAS-NAME", `the name of the CAS is ${JSON.stringify(name)}`, {
    remedy: `Use at most ${NAME_MAX_CHARACTERS} lower-case letters, digits and hyphens, beginning with a letter.`,
  });
}

/** Throws E-NAMESPACE-MISSING. Who may not look at namespaces is believed. */
export async function assertNamespace(cluster: Cluster, namespace: string): Promise<void> {
  try {
    if ((await cluster.find({ apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } })) !== undefined) return;
  } catch (error) {
    if (error instanceof ClusterError && error.status === 403) return;
    throw error;
  }
  throw new KubernetesError("E-NAMESPACE-MISSING", `the namespace ${namespace} does not exist`, {
    remedy: `Create it (kubectl create namespace ${namespace}), or name another with -n.`,
  });
}

/** Undefined where there is no such resource, or no such kind. */
export async function findCas(cluster: Cluster, cas: CasName): Promise<CasResource | undefined> {
  const found = await cluster.find(casHeader(cas));
  return found === undefined ? undefined : CasResource.parse(found);
}

/** After a change in the CAS itself, which the cluster cannot see: the operator looks at once. Who may not write the resource waits for its next look. */
export async function noteChange(cluster: Cluster, cas: CasName): Promise<void> {
  try {
    await cluster.merge(casHeader(cas), { metadata: { annotations: { [CHANGED_ANNOTATION]: new Date().toISOString() } } });
  } catch (error) {
    if (!(error instanceof ClusterError) || error.status !== 403) throw error;
  }
}

/**
 * Talks to a CAS of the cluster. `pin` is the CAS key hash that must be found; without it any CAS answers, and the caller shows whose key it saw.
 */
export async function withCasClient<T>(
  cluster: Cluster,
  cas: CasName,
  options: { readonly pin: string | undefined; readonly credentials?: ClientCredentials | undefined },
  talk: (client: CasClient) => Promise<T>,
): Promise<T> {
  const tunnel =
    cas.address === undefined
      ? await openCasTunnel(cluster, cas.namespace, `${cas.name}-0`, cas.podPort ?? CAS_POD_PORTS.client)
      : { ...cas.address, close: () => undefined };
  const client = new CasClient({
    host: tunnel.host,
    port: tunnel.port,
    pin: { casKeyHash: options.pin },
    clientIdentity: options.credentials,
    timeoutMs: CALL_TIMEOUT_MS,
  });
  try {
    return await talk(client);
  } finally {
    client.close();
    tunnel.close();
  }
}

/** Which CAS, and what is accepted of it. */
export interface CasAccess {
  readonly cas: CasName;
  /** CAS key hash that must be found. */
  readonly pin: string | undefined;
  /** Judges the evidence that the CAS gives about itself. */
  readonly judge: CasJudge;
}

/** A CAS that proved itself as far as it was asked to. */
export type Attested = Extract<CasProbe, { kind: "answered" }> & { readonly verdict: Exclude<CasVerdict, { kind: "refused" }> };

/**
 * Attests a CAS: chain, signature, freshness, and evidence. Throws E-CAS-UNHEALTHY when it does not answer, E-CAS-ATTESTATION when it is not to be
 * trusted.
 */
export async function attestCas(cluster: Cluster, { cas, pin, judge }: CasAccess): Promise<Attested> {
  const unhealthy = (message: string) =>
    new KubernetesError("E-CAS-UNHEALTHY", `the CAS ${cas.name} in ${cas.namespace} does not answer: ${message}`, {
      remedy: `See: kubectl describe cas ${cas.name} -n ${cas.namespace}`,
    });
  const untrustworthy = (message: string, remedy: string) =>
    new KubernetesError("E-CAS-ATTESTATION", `the CAS ${cas.name} in ${cas.namespace} is not trustworthy: ${message}`, { remedy });
  return withCasClient(cluster, cas, { pin }, async (client) => {
    const probe = await probeCas(client, new Date());
    if (probe.kind === "unreachable") throw unhealthy(probe.message);
    if (probe.kind === "untrustworthy") {
      throw untrustworthy(
        probe.message,
        "If its operator made it anew on purpose, remove its entry from the client's config.json and attest it again.",
      );
    }
    let verdict: CasVerdict;
    try {
      verdict = await judge(probe.attested, (credential) => client.openCredential(credential));
    } catch (error) {
      if (error instanceof ProtocolError) throw unhealthy(error.message); // it ended in the middle of the conversation
      throw error;
    }
    if (verdict.kind === "refused") throw untrustworthy(verdict.problems.join("; "), remedyFor(verdict));
    return { ...probe, verdict };
  });
}

/** What would make a refused CAS acceptable (C-71). */
function remedyFor({ acceptedBy, remedy }: Extract<CasVerdict, { kind: "refused" }>): string {
  if (acceptedBy === undefined) return remedy ?? "No option accepts that: use another CAS.";
  return `If that is the CAS you expect, accept it with: ${acceptedBy}.`;
}
