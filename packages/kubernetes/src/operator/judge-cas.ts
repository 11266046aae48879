import type { CasResource, State } from "../custom-resources/resources.ts";
import type { CasProbe } from "./cas-probe.ts";
import { type ConditionChange, condition, mergeConditions } from "./conditions.ts";
import type { PodHealth } from "./pod-health.ts";

/**
 * Status of a CAS resource from what was really seen: its pod, and what the CAS said (CL-60, section 10.2). `enrolment` is what came of telling it
 * about node agents; the state does not depend on it, since the CAS serves whomever it knows.
 */
export function judgeCas(
  cas: CasResource,
  pod: PodHealth,
  probe: CasProbe | undefined,
  enrolment: ConditionChange | undefined,
  now: Date,
): object {
  const { name, namespace = "default" } = cas.metadata;
  const running = condition("Running", pod.state === "HEALTHY", pod.reason, pod.message);
  const snapshots = cas.spec.databaseSnapshots.enabled
    ? cas.spec.databaseSnapshots.persistence.enabled
      ? "Persisted"
      : "Ephemeral"
    : "Disabled";
  const status = (state: State, phase: string, fields: object, conditions: readonly ConditionChange[]) => ({
    state,
    phase,
    snapshotStatus: snapshots,
    readyReplicas: pod.state === "HEALTHY" ? 1 : 0,
    replicaAlert: pod.state === "HEALTHY" ? 0 : 1,
    migrationNodeRatio: "0/0",
    observedGeneration: cas.metadata.generation,
    ...fields,
    conditions: mergeConditions(cas.status.conditions, [running, ...conditions, ...(enrolment === undefined ? [] : [enrolment])], now),
  });
  if (probe === undefined || probe.kind === "unreachable") {
    const reason = probe === undefined ? pod.message : probe.message;
    const state = pod.state === "UNHEALTHY" ? "UNHEALTHY" : "PENDING";
    return status(state, "Uninitialized", { attestable: "No" }, [condition("Attestable", false, "NoAnswer", reason)]);
  }
  if (probe.kind === "untrustworthy") {
    return status("UNHEALTHY", "AttestationFailure", { attestable: "Failed" }, [condition("Attestable", false, "Refused", probe.message)]);
  }
  const { statement } = probe;
  const evidence = probe.evidenceKind ?? "none: it proves the possession of its key, and nothing about its platform";
  const attested = condition("Attestable", true, "Verified", `signature and nonce are right; evidence: ${evidence}`);
  const owned = statement.state !== "unprovisioned";
  const fields = {
    attestable: "Yes",
    provisioned: owned ? "Yes" : "No",
    version: statement.version,
    keyHash: probe.keyHash,
    ownerKeyHash: statement.ownerKeyHash,
    nonce: cas.spec.nonce,
    dcapReport: Buffer.from(probe.signedStatement).toString("base64"),
  };
  if (!owned) {
    const message = `the CAS has no owner; run: kubectl provision cas ${name} -n ${namespace}`;
    return status("UNHEALTHY", "Unprovisioned", fields, [attested, condition("Provisioned", false, "NoOwner", message)]);
  }
  const provisioned = condition("Provisioned", true, "Owned", `owner: ${statement.ownerKeyHash ?? "made by the CAS itself"}`);
  if (statement.state !== "provisioned") {
    const message = `the CAS is in state ${statement.state}; its owner must look after it`;
    return status("UNHEALTHY", "UNHEALTHY", fields, [attested, provisioned, condition("Serving", false, "NotServing", message)]);
  }
  return status("HEALTHY", "HEALTHY", fields, [attested, provisioned, condition("Serving", true, "Serving", "all operations are open")]);
}
