import { createServer } from "node:http";
import { CasClient } from "@vouchsafe/protocol";
import { Cluster } from "../cluster/cluster.ts";
import { inClusterConfig } from "../cluster/in-cluster-config.ts";
import { logTo } from "../cluster/log.ts";
import { Operator } from "./operator.ts";

/** The operator's program. Its settings come from its Deployment. */
const HEALTH_PORT = 8080;
const CAS_TIMEOUT_MS = 10_000;

const log = logTo(process.stderr, () => new Date());
const cluster = new Cluster(inClusterConfig());
const stop = new AbortController();
for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => stop.abort());

const image = (variable: string): string => {
  const value = process.env[variable];
  if (value === undefined || value === "") throw new TypeError(`${variable} is not set; the Deployment sets it`);
  return value;
};
const operator = new Operator(
  cluster,
  {
    casImage: image("VOUCHSAFE_CAS_IMAGE"),
    lasImage: image("VOUCHSAFE_LAS_IMAGE"),
    // Any CAS: what is sent is encrypted to one CAS, or signed and readable by whoever may read the resource.
    connect: (host, port) => new CasClient({ host, port, pin: {}, timeoutMs: CAS_TIMEOUT_MS }),
    now: () => new Date(),
  },
  log,
);
const health = createServer((_request, answer) => {
  cluster.version().then(
    () => answer.writeHead(200).end("ok\n"),
    (error: Error) => answer.writeHead(503).end(`${error.message}\n`),
  );
}).listen(HEALTH_PORT);
log("operator_started", { cluster: await cluster.version() });
await operator.run(stop.signal);
health.close();
process.exit(0);
