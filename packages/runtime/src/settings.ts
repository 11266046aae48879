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
  /** Unix socket of the node agent, if there is one. */
  readonly agentSocket: string | undefined;
  readonly accessToken: string | undefined;
  /** How long to wait for the CAS, the policy and the exporters of its imports (MF-125). */
  readonly waitMs: number;
  /** Created when the program has been attested and started (MF-123). */
  readonly readyFile: string;
}

const WAIT_SECONDS = 120;

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
    agentSocket: value("VOUCHSAFE_AGENT_SOCKET"),
    accessToken: value("SCONE_SERVICE_ACCESS_TOKEN"),
    waitMs: waitSeconds * 1000,
    readyFile: value("VOUCHSAFE_READY_FILE") ?? READY_FILE,
  };
}
