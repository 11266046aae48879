import { randomBytes } from "node:crypto";
import { createServer, type Server } from "node:http";
import { CasClient } from "@vouchsafe/protocol";
import { Cluster } from "../cluster/cluster.ts";
import { inClusterConfig } from "../cluster/in-cluster-config.ts";
import { logTo } from "../cluster/log.ts";
import { OPERATOR_HEALTH_PORT } from "../objects/operator-objects.ts";
import { OPERATOR_NAME } from "../objects/operator-rights.ts";
import type { JudgeCasResource } from "./attest-cas-resource.ts";
import { ELECTION_TIMES, lead } from "./leader.ts";
import { lookAround } from "./look-around.ts";
import { Operator } from "./operator.ts";
import { readOperatorSettings } from "./operator-settings.ts";

const CAS_TIMEOUT_MS = 10_000;

/**
 * The operator as a program: it ends the process. Its settings come from its Deployment; of its replicas one works at a time. `judgeOf` makes what judges
 * the evidence of every CAS.
 */
export async function runOperator(judgeOf: (cluster: Cluster) => JudgeCasResource): Promise<never> {
  const { pod, namespace, casImage, lasImage } = readOperatorSettings(process.env);
  const log = logTo(process.stderr, () => new Date());
  const cluster = new Cluster(inClusterConfig());
  const stop = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());
  const identity = `${pod}_${randomBytes(4).toString("hex")}`;
  const operator = new Operator(
    cluster,
    {
      casImage,
      lasImage,
      operator: { namespace, pod },
      // Any CAS: what is sent is encrypted to one CAS, or signed and readable by whoever may read the resource.
      connect: (host, port) => new CasClient({ host, port, pin: {}, timeoutMs: CAS_TIMEOUT_MS }),
      judge: judgeOf(cluster),
      now: () => new Date(),
    },
    log,
  );
  const health = answerHealth(cluster);
  log("operator_started", { identity });
  const candidate = { namespace, name: OPERATOR_NAME, identity, times: ELECTION_TIMES };
  await lead(cluster, candidate, (signal) => operator.run(signal), log, stop.signal);
  health.close();
  // Whoever lost the lease begins anew as a candidate, without anything left of its time as leader.
  return process.exit(stop.signal.aborted ? 0 : 1);
}

function answerHealth(cluster: Cluster): Server {
  return createServer((request, answer) => {
    const reply = (status: number, text: string) => answer.writeHead(status).end(`${text}\n`);
    // An API server that is away is no reason to restart the operator: it would only lose what it knows.
    if (request.url === "/live") return reply(200, "ok");
    if (request.url === "/surroundings") return void lookAround(new Date()).then((seen) => reply(200, JSON.stringify(seen)));
    return void cluster.version().then(
      () => reply(200, "ok"),
      (error: Error) => reply(503, error.message),
    );
  }).listen(OPERATOR_HEALTH_PORT);
}
