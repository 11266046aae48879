import { CAS_SERVICE_PORT, type CasAddress, parseCasAddress, parseServiceId } from "@vouchsafe/protocol";
import { READY_FILE } from "./ready-file.ts";
import { RuntimeError } from "./runtime-error.ts";

/** What the host tells the launcher. Nothing of it is trusted: a wrong value makes the start fail, or attest where nothing is to be had. */
export interface RuntimeSettings {
  /** `SESSION/SERVICE[@OTP]`. */
  readonly serviceId: string;
  readonly cas: CasAddress;
  /** Pinned CAS key (C-36). */
  readonly casKeyHash: string | undefined;
  /** Where the node agent is: a Unix socket made for this service alone, or a port of the node; undefined where there is none. */
  readonly agent: AgentAddress | undefined;
  readonly accessToken: string | undefined;
  /** How long to wait for the CAS, the policy and the exporters of its imports (MF-125). */
  readonly waitMs: number;
  /** Created when the program has been attested and started (MF-123). */
  readonly readyFile: string;
}

export type AgentAddress = { readonly path: string } | { readonly host: string; readonly port: number };

const WAIT_SECONDS = 120;
const AGENT_PORT = 18_766;

/** Reads the container's environment. Throws R-SETTINGS. */
export function readSettings(environment: Readonly<Record<string, string | undefined>>): RuntimeSettings {
  const refuse = (message: string, remedy: string) => new RuntimeError("R-SETTINGS", message, { remedy });
  const serviceId = environment["SCONE_CONFIG_ID"] ?? "";
  if (parseServiceId(serviceId) === undefined) {
    throw refuse(
      `SCONE_CONFIG_ID is ${JSON.stringify(serviceId)}; expected SESSION/SERVICE`,
      "The chart or the engine sets it: install the chart of the mesh.",
    );
  }
  const address = environment["SCONE_CAS_ADDR"] ?? "";
  const cas = address === "" ? undefined : parseCasAddress(address, CAS_SERVICE_PORT);
  if (cas === undefined)
    throw refuse(
      `SCONE_CAS_ADDR is ${JSON.stringify(address)}; expected HOST or HOST:PORT`,
      "Set it to the name of the CAS, for example cas.scone-system.",
    );
  const wait = environment["VOUCHSAFE_WAIT_SECONDS"];
  const waitSeconds = wait === undefined ? WAIT_SECONDS : Number(wait);
  if (!(waitSeconds >= 0 && waitSeconds <= 86_400))
    throw refuse("VOUCHSAFE_WAIT_SECONDS is no number of seconds", "Leave it out, or set it to 120.");
  const value = (name: string) => (environment[name] === "" ? undefined : environment[name]);
  return {
    serviceId,
    cas,
    casKeyHash: value("VOUCHSAFE_CAS_KEY"),
    agent: agentAddress(value("VOUCHSAFE_AGENT_SOCKET"), value("SCONE_LAS_ADDR")),
    accessToken: value("SCONE_SERVICE_ACCESS_TOKEN"),
    waitMs: waitSeconds * 1000,
    readyFile: value("VOUCHSAFE_READY_FILE") ?? READY_FILE,
  };
}

function agentAddress(socket: string | undefined, host: string | undefined): AgentAddress | undefined {
  if (socket !== undefined) return { path: socket };
  if (host === undefined) return undefined;
  const address = parseCasAddress(host, AGENT_PORT);
  if (address !== undefined) return { host: address.host, port: address.port };
  throw new RuntimeError("R-SETTINGS", `SCONE_LAS_ADDR is ${JSON.stringify(host)}; expected HOST or HOST:PORT`, {
    remedy: "The chart sets it to the node's address.",
  });
}
