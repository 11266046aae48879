import { parseTpmAddress, type TpmAddress } from "@vouchsafe/attester";
import { type AgentAddress, NODE_AGENT_PORT, parseCasAddress } from "@vouchsafe/protocol";
import { CliError } from "../../cli-error.ts";
import type { Shell } from "../../shell.ts";

/** Who is asked for evidence: the node agent where one is named, else the devices of this machine. */
export type EvidencePlace = { readonly agent: AgentAddress } | { readonly tpm: TpmAddress };

const TPM_DEVICE = "/dev/tpmrm0";

/**
 * From the variables by which the launcher finds its evidence: VOUCHSAFE_AGENT_SOCKET, SCONE_LAS_ADDR, VOUCHSAFE_TPM. A node agent gives no DCAP evidence:
 * for that the devices are asked, whatever is set. Throws E-USAGE for an address that is none.
 */
export function evidencePlace(environment: Shell["environment"], wantsDcap: boolean): EvidencePlace {
  const value = (name: string) => (environment[name] === "" ? undefined : environment[name]);
  const [socket, host, tpm] = [value("VOUCHSAFE_AGENT_SOCKET"), value("SCONE_LAS_ADDR"), value("VOUCHSAFE_TPM")];
  if (!wantsDcap && socket !== undefined) return { agent: { path: socket } };
  if (!wantsDcap && host !== undefined) {
    const address = parseCasAddress(host, NODE_AGENT_PORT);
    if (address === undefined) throw wrong("SCONE_LAS_ADDR", host, "HOST or HOST:PORT");
    return { agent: { host: address.host, port: address.port } };
  }
  const address = tpm === undefined ? { device: TPM_DEVICE } : parseTpmAddress(tpm);
  if (address === undefined) throw wrong("VOUCHSAFE_TPM", tpm, "device:PATH, unix:PATH or tcp:HOST:PORT");
  return { tpm: address };
}

const wrong = (name: string, found: string | undefined, expected: string) =>
  new CliError("E-USAGE", `${name} is ${JSON.stringify(found)}; expected ${expected}`, {
    isUsage: true,
    remedy: "Set it so, or leave it out.",
  });
