import type { KeyObject } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type AttestedService, attestService, ProtocolError, type RefusalCode, RefusedError } from "@vouchsafe/protocol";
import type { GatherEvidence } from "./evidence/choose-source.ts";
import { log } from "./report.ts";
import { RuntimeError } from "./runtime-error.ts";
import type { RuntimeSettings } from "./settings.ts";
import { tellAgent } from "./tell-agent.ts";

/** Answers that time may change: the policy or an exporter is not there yet, or the CAS or the node agent is busy (MF-125). All else is final. */
const MAY_PASS: ReadonlySet<RefusalCode> = new Set([
  "service_unknown",
  "values_unresolved",
  "running_limit",
  "audit_unavailable",
  "unavailable",
]);
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 5_000;

/** Whether the same question may have another answer later. */
export const mayPass = (error: unknown): boolean => {
  if (error instanceof RefusedError) return MAY_PASS.has(error.refusal.code);
  if (error instanceof RuntimeError) return error.code === "R-AGENT-BUSY";
  return error instanceof ProtocolError && (error.code === "CAS_UNREACHABLE" || error.code === "CONNECTION_LOST");
};

export interface AttestOptions {
  /** Undefined where the platform gives no evidence at all (`mode: none`). */
  readonly evidence: GatherEvidence | undefined;
  readonly runtimeVersion: string;
  readonly reconnectWith?: KeyObject;
}

/** What the CAS is asked. An instance that comes back shows the key that it had, and says so: its start is not counted again (C-46). */
export function describeAttestation(
  settings: RuntimeSettings,
  { evidence, runtimeVersion, reconnectWith }: AttestOptions,
): Parameters<typeof attestService>[0] {
  return {
    ...settings.cas,
    casKeyHash: settings.casKeyHash,
    serviceId: settings.serviceId,
    evidence,
    accessToken: settings.accessToken,
    runtimeVersion,
    ...(reconnectWith === undefined ? {} : { instanceKey: reconnectWith, reconnect: true }),
  };
}

/** Attests once. Throws what `attestService` throws. */
export const attestOnce = (settings: RuntimeSettings, options: AttestOptions): Promise<AttestedService> =>
  attestService(describeAttestation(settings, options));

/** Attests, and repeats for a limited time what may succeed later. A refusal of the evidence ends it at once. */
export async function attestPatiently(settings: RuntimeSettings, options: AttestOptions): Promise<AttestedService> {
  const deadline = Date.now() + settings.waitMs;
  let said = "";
  for (let delay = FIRST_DELAY_MS; ; delay = Math.min(delay * 2, LONGEST_DELAY_MS)) {
    try {
      return await attestOnce(settings, options);
    } catch (error) {
      if (!mayPass(error) || Date.now() + delay > deadline) throw error;
      const reason = error instanceof Error ? error.message : String(error);
      if (reason !== said) {
        log(`waiting: ${reason}`);
        void tellAgent(settings.agent, "waiting", reason);
      }
      said = reason;
      await sleep(delay * (0.75 + Math.random() / 2));
    }
  }
}
