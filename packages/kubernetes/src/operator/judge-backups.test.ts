import assert from "node:assert/strict";
import { test } from "node:test";
import type { CasStatement } from "@vouchsafe/protocol";
import { type BackupRecord, CasResource } from "../custom-resources/resources.ts";
import { BackupNode, judgeBackups } from "./judge-backups.ts";

const key = (digit: string) => digit.repeat(64);
const statement: CasStatement = {
  ...{ format: "vouchsafe/cas-statement/1", chain: [], sessionEncryptionKey: "00", version: "1.0.0", securityVersion: 1 },
  ...{ instanceKey: key("a"), state: "provisioned", selfProvisioned: false, ownerKeyHash: "o", databaseKeyInjected: false },
  ...{ recovery: null, recoveryKey: null, developmentRoot: false, nonce: "", backups: [key("b"), key("c")] },
};
interface NodeChange {
  readonly labels?: object;
  readonly spec?: object;
  readonly ready?: string;
  readonly bootID?: string;
  readonly uid?: string;
  readonly machineID?: string;
}
const node = (name: string, change: NodeChange = {}) =>
  BackupNode.parse({
    metadata: { name, uid: change.uid ?? `uid-${name}`, labels: change.labels ?? {} },
    spec: change.spec ?? {},
    status: {
      conditions: [{ type: "Ready", status: change.ready ?? "True" }],
      nodeInfo: { bootID: change.bootID ?? "boot-1", machineID: change.machineID ?? "m", systemUUID: "s" },
    },
  });
const record = (name: string, change: Partial<BackupRecord> = {}): BackupRecord => ({
  ...{ instanceKey: key("b"), bootID: "boot-1", machine: `uid-${name}/m/s`, version: "1.0.0", registeredAt: "2026-11-25T12:00:00Z" },
  ...change,
});
const cas = (backups: Readonly<Record<string, BackupRecord>>, spec: object = {}) =>
  CasResource.parse({ metadata: { name: "cas", namespace: "ns", uid: "u" }, spec, status: { backups } });
const names = (nodes: readonly { readonly name: string }[]) => nodes.map(({ name }) => name);

test("C-75 of ten nodes those count that the CAS itself names, on the platform that it runs on, and nobody else", () => {
  const nodes = Array.from({ length: 10 }, (_, at) => node(`n${at}`));
  const records = {
    n0: record("n0", { instanceKey: key("a") }),
    n1: record("n1"),
    n2: record("n2", { instanceKey: key("c") }),
    n3: record("n3", { instanceKey: key("d") }),
    away: record("away"),
  };
  const { desired, able, missing, gone } = judgeBackups(cas(records), nodes, statement);
  assert.deepEqual([desired.length, able, gone], [10, ["n0", "n1", "n2"], ["away"]]);
  assert.deepEqual(names(missing), ["n3", "n4", "n5", "n6", "n7", "n8", "n9"]);
});

const voidCases: readonly { readonly what: string; readonly node?: NodeChange; readonly record?: Partial<BackupRecord> }[] = [
  { what: "the node started again", node: { bootID: "boot-2" } },
  { what: "another machine has the node's name", node: { uid: "other" } },
  { what: "the machine was replaced under the node", node: { machineID: "other" } },
  { what: "the CAS does not name its key: it went back to an older snapshot, or the owner removed it", record: { instanceKey: key("e") } },
  { what: "the CAS has another version by now", record: { version: "0.9.0" } },
];
for (const { what, node: change, record: had } of voidCases) {
  test(`C-75 a registration is void, and made anew, when ${what}`, () => {
    const { able, missing } = judgeBackups(cas({ n1: record("n1", had) }), [node("n1", change)], statement);
    assert.deepEqual([able, names(missing)], [[], ["n1"]]);
  });
}

const NO_SCHEDULE = { spec: { taints: [{ key: "gpu", value: "yes", effect: "NoSchedule" }] } };
const placeCases: readonly { readonly what: string; readonly spec?: object; readonly node?: NodeChange; readonly counts: boolean }[] = [
  { what: "without anything special", counts: true },
  { what: "that is cordoned", node: { spec: { unschedulable: true } }, counts: false },
  { what: "with a taint", node: NO_SCHEDULE, counts: false },
  {
    what: "with a taint that the CAS tolerates",
    node: NO_SCHEDULE,
    spec: { tolerations: [{ key: "gpu", operator: "Exists" }] },
    counts: true,
  },
  { what: "with a taint of another value", node: NO_SCHEDULE, spec: { tolerations: [{ key: "gpu", value: "no" }] }, counts: false },
  { what: "with a taint that all tolerate", node: NO_SCHEDULE, spec: { tolerations: [{ operator: "Exists" }] }, counts: true },
  { what: "with a preference only", node: { spec: { taints: [{ key: "x", effect: "PreferNoSchedule" }] } }, counts: true },
  { what: "without the label that the CAS asks for", spec: { nodeSelector: { tee: "sgx" } }, counts: false },
  { what: "with that label", spec: { nodeSelector: { tee: "sgx" } }, node: { labels: { tee: "sgx" } }, counts: true },
];
for (const { what, spec, node: change, counts } of placeCases) {
  test(`C-75 a node ${what} ${counts ? "is" : "is not"} one to which the CAS may move`, () => {
    assert.deepEqual(judgeBackups(cas({}, spec), [node("n1", change)], statement).desired, counts ? ["n1"] : []);
  });
}

test("C-75 a node that is away counts, keeps what it has, and is not asked to show itself", () => {
  const away = { ready: "Unknown", spec: { taints: [{ key: "node.kubernetes.io/unreachable", effect: "NoSchedule" }] } };
  const { desired, able, missing } = judgeBackups(cas({ n1: record("n1") }), [node("n1", away), node("n2", away)], statement);
  assert.deepEqual([desired, able, names(missing)], [["n1", "n2"], ["n1"], []]);
});
