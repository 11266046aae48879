import type { Condition } from "../custom-resources/resources.ts";

export type ConditionChange = Omit<Condition, "lastTransitionTime">;

/** The conditions of an object after a look at it: those looked at replace their predecessors, and keep their time where nothing changed. */
export function mergeConditions(before: readonly Condition[], changes: readonly ConditionChange[], now: Date): readonly Condition[] {
  const changed = changes.map((change) => {
    const previous = before.find(({ type }) => type === change.type);
    const isSame = previous !== undefined && previous.status === change.status;
    return { ...change, lastTransitionTime: isSame ? previous.lastTransitionTime : now.toISOString().replace(/\.\d+Z$/, "Z") };
  });
  return [...before.filter(({ type }) => !changes.some((change) => change.type === type)), ...changed];
}

/** A condition that holds, or the reason why it does not. */
export const condition = (type: string, holds: boolean, reason: string, message: string): ConditionChange => ({
  type,
  status: holds ? "True" : "False",
  reason,
  message: message.slice(0, 4096),
});

/** Whether every field of a resource has its effect. `without`: those that have none, each with what to do instead. */
export function fieldsHonoured(fields: readonly (string | undefined)[]): ConditionChange {
  const without = fields.filter((field) => field !== undefined);
  if (without.length === 0) return condition("FieldsHonoured", true, "AllHonoured", "every field of the resource has its effect");
  return condition("FieldsHonoured", false, "WithoutEffect", `without effect: ${without.join("; ")}`);
}

/** Reason of a CAS that gives no evidence where none is demanded: worth knowing, and no defect. */
export const NO_EVIDENCE = "NoEvidence";
/** What is to be told first when several do not hold. */
const FIRST_TOLD = ["Reconciled", "Running", "Attestable", "Provisioned", "Serving"];

/** The condition that says why something is not as it should be. */
export function culpritOf<T extends Pick<Condition, "type" | "status" | "reason">>(conditions: readonly T[]): T | undefined {
  const unmet = conditions.filter(({ status, reason }) => status !== "True" && reason !== NO_EVIDENCE);
  return FIRST_TOLD.map((type) => unmet.find((each) => each.type === type)).find((each) => each !== undefined) ?? unmet[0];
}
