/** The process of this machine's CAS: `node cas-main.ts ORDER-FILE`. Ends orderly at SIGTERM. */
import { createPublicKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type CasOptions, type RunningCas, startCas } from "@vouchsafe/cas";
import { type CasOrder, writeEmbeddedCas } from "./embedded-cas.ts";
import { readAgentKey } from "./node-agent.ts";
import { identifyProcess } from "./process-identity.ts";

const OWNER_CONFIG = '[api_identity]\ncommon_name = "cas"\nalt_names = ["cas", "localhost"]\n';

const [, , orderFile = ""] = process.argv;
process.umask(0o077);
// `startEmbeddedCas` wrote the file a moment ago, with mode 0600.
const order: CasOrder = JSON.parse(readFileSync(orderFile, "utf8"));
const { directory, owner } = order;
const options: CasOptions = {
  databasePath: join(directory, "cas.db"),
  platformKeyPath: join(directory, "platform-key"),
  clientListen: { host: "127.0.0.1", port: order.clientPort },
  serviceListen: { host: "127.0.0.1", port: order.servicePort },
  selfProvision: { config: OWNER_CONFIG, ...(owner === undefined ? {} : { owner }) },
  nodeKeys: [createPublicKey(readAgentKey(order.agentKeyFile))],
  altNames: ["cas.scone-system"],
};
const cas = await startOnFreePorts(options);
const identity = identifyProcess(process.pid);
if (identity === undefined) throw new TypeError("/proc is not mounted");
writeEmbeddedCas(directory, {
  process: identity,
  client: cas.clientAddress,
  service: cas.serviceAddress,
  casKeyHash: cas.casKeyHash,
  sessionEncryptionKey: cas.sessionEncryptionKey,
  startedAt: new Date().toISOString(),
});
for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    Promise.resolve(cas[Symbol.asyncDispose]()).finally(() => process.exit(0));
  });
}
process.on("SIGHUP", () => {}); // the terminal that started it may close

/** Another program may have the usual ports: then any free ones do, since every client of this machine asks for them. */
async function startOnFreePorts(wanted: CasOptions): Promise<RunningCas> {
  try {
    return await startCas(wanted);
  } catch (error) {
    if (!isAddressInUse(error)) throw error;
    return await startCas({ ...wanted, clientListen: { host: "127.0.0.1", port: 0 }, serviceListen: { host: "127.0.0.1", port: 0 } });
  }
}

function isAddressInUse(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) if ("code" in at && at.code === "EADDRINUSE") return true;
  return false;
}
