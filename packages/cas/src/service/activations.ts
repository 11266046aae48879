/** How often and how many times at once a service may be started (extensions `max_activations`, `max_running`). */
import type { Service } from "@vouchsafe/policy";
import type { Transaction } from "../database/transaction.ts";
import type { SessionVersion } from "../sessions/session-records.ts";
import type { Reader, RowKey } from "../store/row-store.ts";
import { Refused } from "./refusal.ts";

/** One service, and one instance of it by its key. */
export interface InstanceName {
  readonly session: string;
  readonly service: string;
  readonly instanceKeyId: string;
}

/** What is kept for a service with limits. */
interface ActivationRecord {
  /** Starts since the service has a limit; reconnections are none. */
  readonly count: number;
  /** By instance key. An instance that reported its exit is gone from here. */
  readonly instances: Readonly<Record<string, InstanceRecord>>;
}

interface InstanceRecord {
  /** RFC 3339. */
  readonly since: string;
  /** The connection is lost; until then the place is kept for a reconnection. Absent while it is open. */
  readonly until?: string;
}

export interface ActivationCount {
  readonly activations: number;
  readonly running: number;
}

/** C-47: without a word for so long, an instance counts as ended. */
const KEEP_ALIVE_LIMIT_MS = 75_000;
/** Lost instances that would be known again when they reconnect. */
const LOST_KEPT = 1000;

const recordKey = (session: string, service: string): RowKey => ({ kind: "activations", id: `${session}\n${service}` });
export const hasLimits = ({ maxActivations, maxRunning }: Service): boolean => maxActivations !== undefined || maxRunning !== undefined;

/** Counts in the same transaction that records the delivery, so that of many who ask at once exactly as many get in as may. */
export class Activations {
  readonly #now: () => Date;
  /** Connections that were open when the CAS ended have so long to come back. */
  readonly #startedAt: number;
  /** Open connections by service and instance key. */
  readonly #connected = new Map<string, Map<string, number>>();

  constructor(now: () => Date) {
    this.#now = now;
    this.#startedAt = now().getTime();
  }

  /**
   * Admits a start, or an instance that was admitted before and lost its connection. Throws Refused `activation_limit` or `running_limit`. On return the
   * instance counts as connected: call `disconnected` when it is not, or the transaction fails.
   */
  async admit(tx: Transaction, version: SessionVersion, service: Service, instanceKeyId: string, isReconnection: boolean): Promise<void> {
    const name = { session: version.name, service: service.name, instanceKeyId };
    if (hasLimits(service)) await this.#count(tx, name, service, isReconnection);
    this.connected(name);
  }

  connected({ session, service, instanceKeyId }: InstanceName): void {
    const target = `${session}\n${service}`;
    const open = this.#connected.get(target) ?? new Map<string, number>();
    open.set(instanceKeyId, (open.get(instanceKeyId) ?? 0) + 1);
    this.#connected.set(target, open);
  }

  /** One connection less; true when it was the instance's last. */
  disconnected({ session, service, instanceKeyId }: InstanceName): boolean {
    const target = `${session}\n${service}`;
    const open = this.#connected.get(target);
    const left = (open?.get(instanceKeyId) ?? 1) - 1;
    if (left > 0) open?.set(instanceKeyId, left);
    else open?.delete(instanceKeyId);
    if (open?.size === 0) this.#connected.delete(target);
    return left <= 0;
  }

  /** The instance reported its exit: its place is free, and its key is not known any more. */
  async exited(tx: Transaction, { session, service, instanceKeyId }: InstanceName): Promise<void> {
    this.#connected.get(`${session}\n${service}`)?.delete(instanceKeyId);
    const record = await tx.get<ActivationRecord>(recordKey(session, service));
    if (record?.instances[instanceKeyId] === undefined) return;
    const { [instanceKeyId]: _, ...instances } = record.instances;
    tx.put(recordKey(session, service), { ...record, instances } satisfies ActivationRecord);
  }

  /** The connection is over without a reported exit: ended by the instance's side, or broken and perhaps taken up again. */
  async lost(tx: Transaction, { session, service, instanceKeyId }: InstanceName, how: "ended" | "broken"): Promise<void> {
    const record = await tx.get<ActivationRecord>(recordKey(session, service));
    const instance = record?.instances[instanceKeyId];
    if (record === undefined || instance === undefined || this.#isConnected(session, service, instanceKeyId)) return;
    const until = new Date(this.#now().getTime() + (how === "ended" ? 0 : KEEP_ALIVE_LIMIT_MS)).toISOString();
    const instances = { ...record.instances, [instanceKeyId]: { since: instance.since, until } };
    tx.put(recordKey(session, service), { ...record, instances } satisfies ActivationRecord);
  }

  /** For people: how many there were and are. */
  async countOf(reader: Reader, session: string, service: string): Promise<ActivationCount> {
    const record = await reader.get<ActivationRecord>(recordKey(session, service));
    return { activations: record?.count ?? 0, running: this.#running(session, service, record?.instances ?? {}).size };
  }

  async #count(tx: Transaction, name: InstanceName, { maxActivations, maxRunning }: Service, isReconnection: boolean): Promise<void> {
    const { session, service, instanceKeyId } = name;
    const { count, instances } = (await tx.get<ActivationRecord>(recordKey(session, service))) ?? { count: 0, instances: {} };
    const known = instances[instanceKeyId];
    const isKnown = isReconnection && known !== undefined;
    const running = this.#running(session, service, instances);
    const refuse = (code: "activation_limit" | "running_limit", message: string) => new Refused(code, "activation", message);
    // One key is one instance: two that share it would count as one.
    if (running.has(instanceKeyId) && !isReconnection) throw refuse("running_limit", "an instance with this key runs already");
    if (maxActivations !== undefined && !isKnown && count >= maxActivations) {
      throw refuse("activation_limit", `service ${session}/${service} may be started ${maxActivations} times, and was (max_activations)`);
    }
    running.delete(instanceKeyId);
    if (maxRunning !== undefined && running.size >= maxRunning) {
      throw refuse(
        "running_limit",
        `${running.size} of at most ${maxRunning} instances of ${session}/${service} run already (max_running)`,
      );
    }
    const since = isKnown ? known.since : this.#now().toISOString();
    const { [instanceKeyId]: _, ...others } = instances;
    const kept = { ...this.#withoutOldest(session, service, others), [instanceKeyId]: { since } };
    tx.put(recordKey(session, service), { count: isKnown ? count : count + 1, instances: kept } satisfies ActivationRecord);
  }

  /** Keys of the instances that count as running: connected, or lost so short ago that they may come back. */
  #running(session: string, service: string, instances: ActivationRecord["instances"]): Set<string> {
    const now = this.#now().getTime();
    const running = new Set(this.#connected.get(`${session}\n${service}`)?.keys());
    for (const [key, { until }] of Object.entries(instances)) {
      const end = until === undefined ? this.#startedAt + KEEP_ALIVE_LIMIT_MS : Date.parse(until);
      if (end > now) running.add(key);
    }
    return running;
  }

  #isConnected(session: string, service: string, key: string): boolean {
    return this.#connected.get(`${session}\n${service}`)?.has(key) === true;
  }

  /** Lost instances are remembered, so that their return is no new start; the oldest are forgotten. */
  #withoutOldest(session: string, service: string, instances: ActivationRecord["instances"]): ActivationRecord["instances"] {
    const running = this.#running(session, service, instances);
    const lost = Object.keys(instances).filter((key) => !running.has(key));
    const forgotten = new Set(lost.slice(0, Math.max(0, lost.length - LOST_KEPT)));
    return forgotten.size === 0 ? instances : Object.fromEntries(Object.entries(instances).filter(([key]) => !forgotten.has(key)));
  }
}
