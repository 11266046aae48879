import type { EvidenceKind } from "@vouchsafe/attestation";
import { parseTpmAddress, type TpmAddress, WORKLOAD_FILE } from "@vouchsafe/attester";
import {
  type AgentAddress,
  CAS_SERVICE_PORT,
  type CasAddress,
  NODE_AGENT_PORT,
  parseCasAddress,
  parseServiceId,
} from "@vouchsafe/protocol";
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
  /** Kinds of evidence to gather, those that the policy accepts; undefined: whatever the platform gives. */
  readonly evidenceKinds: readonly EvidenceKind[] | undefined;
  readonly tpm: TpmAddress;
  /** Where the platform leaves what it measured of the program (`encodeWorkload`). */
  readonly workloadFile: string;
  readonly isDebugLogged: boolean;
  readonly accessToken: string | undefined;
  /** How long to wait for the CAS, the policy and the exporters of its imports (MF-125). */
  readonly waitMs: number;
  /** Created when the program has been attested and started (MF-123). */
  readonly readyFile: string;
  /** Port of the program for which a Service stands: the program counts as started once something listens there. */
  readonly servicePort: number | undefined;
  /** How long a request to stop (SIGTERM) is held back, so that nobody sends requests any more when the program gets it. */
  readonly drainMs: number;
}

const WAIT_SECONDS = 120;
const DRAIN_LONGEST_SECONDS = 3600;
const TPM_DEVICE = "/dev/tpmrm0";
const EVIDENCE_KINDS: readonly EvidenceKind[] = ["sgx", "tdx", "snp", "nitro", "tpm", "node", "simulated"];

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
  const drainSeconds = Number(environment["VOUCHSAFE_DRAIN_SECONDS"] || "0");
  if (!(drainSeconds >= 0 && drainSeconds <= DRAIN_LONGEST_SECONDS))
    throw refuse("VOUCHSAFE_DRAIN_SECONDS is no number of seconds", "Leave it out, or set it to 3.");
  const value = (name: string) => (environment[name] === "" ? undefined : environment[name]);
  return {
    serviceId,
    cas,
    casKeyHash: value("VOUCHSAFE_CAS_KEY"),
    agent: agentAddress(value("VOUCHSAFE_AGENT_SOCKET"), value("SCONE_LAS_ADDR")),
    evidenceKinds: evidenceKinds(value("VOUCHSAFE_EVIDENCE")),
    tpm: tpmAddress(value("VOUCHSAFE_TPM")),
    workloadFile: value("VOUCHSAFE_WORKLOAD_FILE") ?? WORKLOAD_FILE,
    isDebugLogged: environment["SCONE_LOG"] === "debug" || environment["SCONE_LOG"] === "trace",
    accessToken: value("SCONE_SERVICE_ACCESS_TOKEN"),
    waitMs: waitSeconds * 1000,
    readyFile: value("VOUCHSAFE_READY_FILE") ?? READY_FILE,
    servicePort: servicePort(value("VOUCHSAFE_SERVICE_PORT")),
    drainMs: drainSeconds * 1000,
  };
}

function evidenceKinds(text: string | undefined): readonly EvidenceKind[] | undefined {
  return text?.split(",").map((word) => {
    const kind = EVIDENCE_KINDS.find((each) => each === word.trim());
    if (kind !== undefined) return kind;
    throw new RuntimeError("R-SETTINGS", `VOUCHSAFE_EVIDENCE names ${JSON.stringify(word)}; expected ${EVIDENCE_KINDS.join(", ")}`, {
      remedy: "The chart or the engine sets it to what the policy accepts.",
    });
  });
}

function servicePort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = /^[0-9]{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return port;
  throw new RuntimeError("R-SETTINGS", `VOUCHSAFE_SERVICE_PORT is ${JSON.stringify(text)}; expected a port, 1–65535`, {
    remedy: "The chart sets it to the port of the Service.",
  });
}

function tpmAddress(text: string | undefined): TpmAddress {
  const address = text === undefined ? { device: TPM_DEVICE } : parseTpmAddress(text);
  if (address !== undefined) return address;
  throw new RuntimeError("R-SETTINGS", `VOUCHSAFE_TPM is ${JSON.stringify(text)}; expected device:PATH, unix:PATH or tcp:HOST:PORT`, {
    remedy: `Leave it out for ${TPM_DEVICE}.`,
  });
}

function agentAddress(socket: string | undefined, host: string | undefined): AgentAddress | undefined {
  if (socket !== undefined) return { path: socket };
  if (host === undefined) return undefined;
  const address = parseCasAddress(host, NODE_AGENT_PORT);
  if (address !== undefined) return { host: address.host, port: address.port };
  throw new RuntimeError("R-SETTINGS", `SCONE_LAS_ADDR is ${JSON.stringify(host)}; expected HOST or HOST:PORT`, {
    remedy: "The chart sets it to the node's address.",
  });
}
