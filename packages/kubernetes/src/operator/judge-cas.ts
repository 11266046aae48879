import type { CasResource, State } from "../custom-resources/resources.ts";
import type { AttestedCas } from "./attest-cas-resource.ts";
import type { BackupsSeen } from "./backup-controller.ts";
import { type ConditionChange, condition, mergeConditions } from "./conditions.ts";
import { judgeEvidence } from "./judge-cas-evidence.ts";
import { judgeFields, judgeOwner } from "./judge-cas-fields.ts";
import type { PodHealth } from "./pod-health.ts";
import type { Obstacle } from "./reinstall-workload.ts";

/** What was seen of a CAS. */
export interface CasSeen {
  readonly pod: PodHealth;
  /** Which pod it was. */
  readonly podUid?: string | undefined;
  /** What the CAS said and proved; undefined when it was not asked. */
  readonly probe?: AttestedCas | undefined;
  /** What came of telling it about node agents. */
  readonly enrolment?: ConditionChange | undefined;
  /** What came of registering backups; undefined where none are asked for, or it was not tried. */
  readonly backups?: BackupsSeen | undefined;
  /** Why the cluster does not have what the resource says. */
  readonly obstacle?: Obstacle | undefined;
}

/**
 * Status of a CAS resource from what was really seen: its pod, and what the CAS said (CL-60, section 10.2). The state does not depend on the enrolment of
 * node agents, since the CAS serves whomever it knows; it does on a wish that the cluster refuses, which needs a person.
 */
export function judgeCas(cas: CasResource, { pod, podUid, probe, enrolment, backups, obstacle }: CasSeen, now: Date): object {
  const { name, namespace = "default" } = cas.metadata;
  const applied = condition(
    "Reconciled",
    obstacle === undefined,
    obstacle?.reason ?? "Applied",
    obstacle?.message ?? "the cluster has what the resource says",
  );
  const running = condition("Running", pod.state === "HEALTHY", pod.reason, pod.message);
  const snapshots = judgeSnapshots(cas, pod, probe);
  const before = cas.status.conditions.filter(({ type }) => !isPast(type, cas));
  const status = (state: State, phase: string, fields: object, conditions: readonly ConditionChange[]) => ({
    state: worse(state, obstacle),
    phase,
    ...snapshots.fields,
    readyReplicas: pod.state === "HEALTHY" ? 1 : 0,
    replicaAlert: pod.state === "HEALTHY" ? 0 : 1,
    podDisruptionBudgetAlert: NOT_KNOWN, // a CAS is one pod, for which there is no budget
    ...migration(cas, backups),
    observedGeneration: cas.metadata.generation,
    observedPod: podUid ?? null,
    ...fields,
    conditions: mergeConditions(
      before.filter(({ type }) => !OF_AN_ACCEPTED_CAS.has(type)),
      [
        ...[applied, running, ...conditions, ...snapshots.conditions],
        ...[enrolment, backups?.condition].filter((each) => each !== undefined),
        judgeFields(cas),
      ],
      now,
    ),
  });
  if (probe === undefined || probe.kind === "unreachable") {
    const reason = probe === undefined ? pod.message : probe.message;
    const state = pod.state === "UNHEALTHY" ? "UNHEALTHY" : "PENDING";
    const ended = snapshots.fields.snapshotStatus === "Failed" ? "SnapshotFailure" : "UNHEALTHY";
    const begun = cas.status.provisioned === "Yes" ? "Provisioned" : "Uninitialized";
    const phase = state === "UNHEALTHY" ? ended : begun;
    return status(state, phase, { attestable: "No" }, [condition("Attestable", false, "NoAnswer", reason)]);
  }
  if (probe.kind === "untrustworthy") {
    return status("UNHEALTHY", "AttestationFailure", { attestable: "Failed" }, [condition("Attestable", false, "Refused", probe.message)]);
  }
  const { statement, verdict } = probe;
  const evidence = judgeEvidence(probe.attested, verdict);
  // Of a refused CAS nothing counts but the reason: who owns it and which version it has, it only says.
  if (verdict.kind === "refused") return status("UNHEALTHY", "AttestationFailure", evidence.fields, [evidence.condition]);
  const owned = statement.state !== "unprovisioned";
  const fields = {
    ...evidence.fields,
    provisioned: owned ? "Yes" : "No",
    version: statement.version,
    keyHash: probe.keyHash,
    ownerKeyHash: statement.ownerKeyHash,
  };
  const attested = evidence.condition;
  if (!owned) {
    const message = `the CAS has no owner; run: kubectl provision cas ${name} -n ${namespace}`;
    return status("UNHEALTHY", "Unprovisioned", fields, [attested, condition("Provisioned", false, "NoOwner", message)]);
  }
  const stranger = judgeOwner(cas, statement.ownerKeyHash);
  if (stranger !== undefined) return status("UNHEALTHY", "UNHEALTHY", fields, [attested, stranger]);
  const provisioned = condition("Provisioned", true, "Owned", `owner: ${statement.ownerKeyHash ?? "made by the CAS itself"}`);
  if (statement.state !== "provisioned") {
    const message = `the CAS is in state ${statement.state}; its owner must look after it`;
    return status("UNHEALTHY", "UNHEALTHY", fields, [attested, provisioned, condition("Serving", false, "NotServing", message)]);
  }
  const phase = backups?.condition.reason === "Registering" ? "EnablingMigration" : "HEALTHY";
  return status("HEALTHY", phase, fields, [attested, provisioned, condition("Serving", true, "Serving", "all operations are open")]);
}

/** A wish that the cluster refuses needs a person; one that it will have in a moment does not. */
function worse(state: State, obstacle: Obstacle | undefined): State {
  if (obstacle === undefined || state === "UNHEALTHY") return state;
  return obstacle.reason === "Refused" ? "UNHEALTHY" : "PENDING";
}

/** Status of a CAS that is being deleted: what belongs to it goes with it, in the cluster's own time. */
export const DELETED_CAS = { state: "PENDING", phase: "Deleted", conditions: [] } as const;

/** Fields of section 10.2 about the nodes to which the CAS may move; what was not looked at now keeps its place, except where nothing is asked for. */
function migration(cas: CasResource, backups: BackupsSeen | undefined): object {
  const controller = cas.spec["backup-controller"].enabled ? 0 : NOT_KNOWN;
  if (backups === undefined) return controller === 0 ? {} : { migrationControllerReplicaAlert: controller, ...NO_MIGRATION };
  const { able, desired, records } = backups;
  return {
    migrationNodeRatio: `${able}/${desired}`,
    numMigratableNodes: able,
    desiredNumMigratableNodes: desired,
    migrationNodeAlert: desired - able,
    migrationControllerReplicaAlert: controller,
    backups: records,
  };
}
/** Conditions that hold only of a CAS that was just accepted. */
const OF_AN_ACCEPTED_CAS = new Set(["Provisioned", "Serving"]);
const NOT_KNOWN = -1;
const NO_MIGRATION = { migrationNodeRatio: "0/0", numMigratableNodes: 0, desiredNumMigratableNodes: 0, migrationNodeAlert: NOT_KNOWN };

/** Conditions about something that is no longer asked for, or that only former operators wrote. */
function isPast(type: string, { spec }: CasResource): boolean {
  if (type === "BackupsRegistered") return !spec["backup-controller"].enabled;
  if (type === "SnapshotsTaken") return !spec.databaseSnapshots.enabled;
  return type === "BackupController";
}

/** How a CAS ends when it cannot take a snapshot (C-77): its last words. */
const SNAPSHOT_FAILURE = /snapshot failed, the CAS stops/;

/** What the CAS itself says of its snapshots (section 10.2): that they are asked for proves none. */
function judgeSnapshots(
  { spec }: CasResource,
  pod: PodHealth,
  probe: AttestedCas | undefined,
): {
  readonly fields: { readonly snapshotStatus: string; readonly snapshotTimestamp?: string };
  readonly conditions: readonly ConditionChange[];
} {
  const { enabled, persistence } = spec.databaseSnapshots;
  if (!enabled) return { fields: { snapshotStatus: "Disabled" }, conditions: [] };
  if (SNAPSHOT_FAILURE.test(pod.message))
    return { fields: { snapshotStatus: "Failed" }, conditions: [condition("SnapshotsTaken", false, "Failed", pod.message)] };
  const newest = probe?.kind === "answered" ? probe.statement.newestSnapshot : undefined;
  if (newest === undefined || newest === null)
    return {
      fields: { snapshotStatus: "Initializing" },
      conditions: [condition("SnapshotsTaken", false, "NoneYet", "the CAS has taken no snapshot yet")],
    };
  const place = persistence.enabled ? "Persisted" : "Ephemeral";
  return {
    fields: { snapshotStatus: place, snapshotTimestamp: newest },
    conditions: [condition("SnapshotsTaken", true, place, `the newest snapshot is of ${newest}`)],
  };
}
