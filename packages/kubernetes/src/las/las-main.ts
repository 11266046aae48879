import { once } from "node:events";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { Cluster } from "../cluster/cluster.ts";
import { endProgram } from "../cluster/end-program.ts";
import { inClusterConfig } from "../cluster/in-cluster-config.ts";
import { logTo } from "../cluster/log.ts";
import { recordEvent } from "../cluster/record-event.ts";
import { AGENT_RECORD_LABEL, AGENT_RECORD_PREFIX } from "../objects/agent-rights.ts";
import { PLATFORM_VERSION } from "../platform-version.ts";
import { openAgentKey } from "./agent-key.ts";
import { type AgentDecision, type AgentIdentity, createAgentServer, describeAgent } from "./agent-server.ts";
import { ContainerRuntime, type RunningContainer } from "./container-runtime.ts";
import { EnrolmentStatement } from "./enrolment.ts";
import { EventBudget } from "./event-budget.ts";
import { readLasSettings } from "./las-settings.ts";
import { RefusedCaller } from "./measure-caller.ts";
import { findNodeProblem } from "./node-abilities.ts";
import { prepareNodeKeys } from "./node-keys.ts";
import { installSeccompProfile, SECCOMP_PROFILE } from "./seccomp-profile.ts";

const PUBLISH_INTERVAL_MS = 60_000;
const log = logTo(process.stderr, () => new Date());

const PodImages = z.object({ spec: z.object({ containers: z.array(z.object({ name: z.string(), image: z.string() })) }) });

/** The node agent's program: one on each node, started by the operator's DaemonSet. */
async function main(): Promise<void> {
  const settings = readLasSettings(process.env);
  const cluster = new Cluster(inClusterConfig());
  const key = openAgentKey(settings.stateDirectory);
  const identity = describeAgent(key, PLATFORM_VERSION);
  const enrolment = new EnrolmentStatement(cluster, settings.pod, identity.keyHash);
  installSeccompProfile(settings.seccompDirectory);
  keepNodeKeys();
  const notes = new EventBudget();
  const runtime = new ContainerRuntime(settings.containerRuntime);
  const server = createAgentServer({
    key,
    identity: describeMyself,
    measuring: { inspect: (id) => runtime.inspect(id), findNamedDigest, machine: { proc: "/proc", root: settings.hostRoot } },
    now: () => new Date(),
    onDecision: report,
  });
  server.listen(settings.port, settings.host);
  await once(server, "listening");
  log("agent_listening", {
    host: settings.host,
    port: settings.port,
    key: identity.keyHash,
    runtime: await runtime.version().catch(String),
  });

  const publishing = setInterval(() => void publish(), PUBLISH_INTERVAL_MS);
  await publish();
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.once(signal, () => {
      clearInterval(publishing);
      server.close();
      runtime.close();
      process.exit(0);
    });
  }

  /** Looked at anew each time: somebody may have changed the node's settings. */
  function describeMyself(): AgentIdentity {
    const problem = findNodeProblem("/proc", settings.seccompDirectory);
    const statement = enrolment.token;
    return { ...identity, ...(statement === undefined ? {} : { statement }), ...(problem === undefined ? {} : { problem }) };
  }

  /** What a CAS needs is no reason to vouch for nobody; its own pod says what it misses. */
  function keepNodeKeys(): void {
    try {
      prepareNodeKeys(settings.platformDirectory);
    } catch (error) {
      log("node_keys_failed", { reason: String(error) });
    }
  }

  /** Shows the agent's key to the cluster; an admission policy ties the record to this node. Tried again at the next interval. */
  async function publish(): Promise<void> {
    keepNodeKeys();
    if (!existsSync(join(settings.seccompDirectory, SECCOMP_PROFILE))) installSeccompProfile(settings.seccompDirectory);
    await enrolment.refresh(Date.now()).catch((error: Error) => log("statement_missing", { reason: error.message }));
    const name = `${AGENT_RECORD_PREFIX}${settings.node}`;
    try {
      await cluster.apply({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name, namespace: settings.pod.namespace, labels: { [AGENT_RECORD_LABEL]: "true" } },
        data: { node: settings.node, host: settings.host, port: String(settings.port), identity: JSON.stringify(identity) },
      });
    } catch (error) {
      log("agent_record_failed", { name, reason: String(error) });
    }
  }

  async function findNamedDigest(container: RunningContainer): Promise<string | undefined> {
    const { name, namespace } = container.pod;
    const pod = PodImages.safeParse(await cluster.find({ apiVersion: "v1", kind: "Pod", metadata: { name, namespace } }));
    const image = pod.data?.spec.containers.find((candidate) => candidate.name === container.containerName)?.image;
    return /@(sha256:[0-9a-f]{64})$/.exec(image ?? "")?.[1];
  }

  function report(decision: AgentDecision): void {
    if (decision.kind === "refused") {
      const { error, peer } = decision;
      log("evidence_refused", { peer, code: error.code, reason: error.message, cause: rootCause(error) });
      if (error instanceof RefusedCaller) {
        const message = `${error.message}${error.remedy === undefined ? "" : `. ${error.remedy}`}`;
        void recordEvent(cluster, error.container.pod, { type: "Warning", reason: "EvidenceRefused", message });
      }
      return;
    }
    if (decision.kind === "noted") {
      const { pod } = decision.container;
      log("start_note", { pod: `${pod.namespace}/${pod.name}`, phase: decision.phase, reason: decision.message });
      const reason = decision.phase === "failed" ? "StartRefused" : "StartWaiting";
      if (notes.mayTell(pod.uid, Date.now())) void recordEvent(cluster, pod, { type: "Warning", reason, message: decision.message });
      return;
    }
    const { container, imageDigest, service } = decision.measurement;
    const { pod } = container;
    log("evidence_given", { pod: `${pod.namespace}/${pod.name}`, image: imageDigest, service });
    void recordEvent(cluster, pod, {
      type: "Normal",
      reason: "Measured",
      message: `the node agent vouched for ${service} (${imageDigest})`,
    });
  }
}

/** What lies below the reason, where it is not the reason itself: for whoever looks after the node. */
function rootCause(error: Error): string | undefined {
  let cause: unknown = error.cause;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  return cause instanceof Error && cause.message !== error.message ? cause.message : undefined;
}

main().catch(endProgram);
