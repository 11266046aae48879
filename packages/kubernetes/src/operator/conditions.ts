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
