/** What must be on record before a service gets its configuration. */
import type { Service } from "@vouchsafe/policy";
import type { CasContext } from "../cas-context.ts";
import type { SessionVersion } from "../sessions/session-records.ts";
import { type Activations, hasLimits } from "./activations.ts";
import { Refused } from "./refusal.ts";

export interface DeliveryTarget {
  readonly version: SessionVersion;
  readonly service: Service;
}

/** Limits and audit entry in one transaction (C-4); without limits there is nothing to count on disk. */
export async function recordDelivery(
  context: CasContext,
  activations: Activations,
  { version, service }: DeliveryTarget,
  { instanceKeyId, isReconnection }: { readonly instanceKeyId: string; readonly isReconnection: boolean },
  data: object,
): Promise<void> {
  const name = { session: version.name, service: service.name, instanceKeyId };
  if (!hasLimits(service)) {
    await recordOrRefuse(context, "service_attested", data);
    return activations.connected(name);
  }
  let isAdmitted = false;
  try {
    await context.database.transact(async (tx) => {
      await activations.admit(tx, version, service, instanceKeyId, isReconnection);
      isAdmitted = true;
      context.audit.append(tx, "service_attested", data);
    });
  } catch (error) {
    if (isAdmitted) activations.disconnected(name);
    throw error instanceof Refused ? error : auditFailure(context, error);
  }
}

/** An entry that must be there before anything is answered. Throws Refused `audit_unavailable`. */
export async function recordOrRefuse(context: CasContext, event: "service_attested" | "attestation_refused", data: object): Promise<void> {
  try {
    await context.audit.record(event, data);
  } catch (error) {
    throw auditFailure(context, error);
  }
}

function auditFailure({ log }: CasContext, error: unknown): Refused {
  log.error(`audit log: ${error instanceof Error ? error.message : "unknown failure"}`);
  return new Refused("audit_unavailable", "audit", "the audit log cannot be written, so no service is served");
}
