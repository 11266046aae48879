import type { MeshRecord } from "@vouchsafe/mesh";
import type { ImageRoot } from "./image-root.ts";

/** What `up` tells the engine's process: a file of mode 0600 in the application's directory. No secret in it. */
export interface EngineOrder {
  readonly release: string;
  readonly targetDir: string;
  readonly stateDir: string;
  readonly record: MeshRecord;
  /** Where the CAS listens on this machine, or elsewhere. */
  readonly cas: { readonly host: string; readonly servicePort: number; readonly clientPort: number };
  /** Environment that every container gets beside what the record says. */
  readonly environment: Readonly<Record<string, string>>;
  /** `VOUCHSAFE_TPM`: where the TPM is, if not at its usual device. */
  readonly tpm?: string | undefined;
}

/** Ids as the mesh host sees them. */
export interface IdPlan {
  /** Root of every container: owner of the unpacked images. */
  readonly rootId: number;
  /** The program of instance N runs as `firstProgramId + N`. */
  readonly firstProgramId: number;
}

/** What the engine tells the host of the mesh: the first line of its standard input. */
export interface HostOrder {
  readonly release: string;
  readonly record: MeshRecord;
  readonly roots: Readonly<Record<string, ImageRoot>>;
  readonly ids: IdPlan;
  readonly runDir: string;
  readonly logDir: string;
  readonly agentKeyFile: string;
  readonly developmentPlatformDir: string;
  /** Ports to be carried from the engine's sockets to the service's instances. */
  readonly published: readonly { readonly service: string; readonly port: number }[];
  readonly environment: Readonly<Record<string, string>>;
  /** Whether the containers get evidence of the TPM, through the engine's socket. */
  readonly usesTpm: boolean;
}

/** Sockets in the run directory by which mesh host and engine reach each other across network namespaces. */
export const socketPaths = (runDir: string) => ({
  casService: `${runDir}/cas-service.sock`,
  casClient: `${runDir}/cas-client.sock`,
  tpm: `${runDir}/tpm.sock`,
  published: (service: string, port: number) => `${runDir}/${service}-${port}.sock`,
});
