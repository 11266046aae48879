import type { Cluster } from "./cluster.ts";

export interface Subject {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly apiVersion?: string;
  readonly kind?: string;
}

export interface EventText {
  readonly type: "Normal" | "Warning";
  /** One word in CamelCase. */
  readonly reason: string;
  readonly message: string;
}

const REPEAT_AFTER_MS = 10 * 60_000;
const told = new Map<string, number>();

/** Puts a message where `kubectl describe` shows it. The same message about the same object is told once in ten minutes. A failure is not reported: events are a courtesy. */
export async function recordEvent(cluster: Cluster, subject: Subject, event: EventText): Promise<void> {
  const identity = `${subject.uid}/${event.reason}/${event.message}`;
  const now = Date.now();
  if (now - (told.get(identity) ?? 0) < REPEAT_AFTER_MS) return;
  for (const [past, time] of told) if (now - time >= REPEAT_AFTER_MS) told.delete(past);
  told.set(identity, now);
  const time = new Date(now).toISOString();
  const { name, uid, apiVersion = "v1", kind = "Pod" } = subject;
  const namespace = subject.namespace === "" ? "default" : subject.namespace; // where events about cluster-wide objects go
  await cluster
    .create({
      apiVersion: "v1",
      kind: "Event",
      metadata: { name: `${name.slice(0, 200)}.${now.toString(16)}${Math.floor(performance.now() * 1000).toString(16)}`, namespace },
      type: event.type,
      reason: event.reason,
      message: event.message.slice(0, 1024),
      involvedObject: { apiVersion, kind, name, namespace: subject.namespace === "" ? undefined : namespace, uid },
      source: { component: "vouchsafe" },
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    })
    .catch(() => undefined);
}
