import assert from "node:assert/strict";
import { test } from "node:test";
import type { CasStatement, CasVerdict } from "@vouchsafe/protocol";
import { createTestClient } from "../../../cas/src/testing/test-cas.ts";
import { CAS_STATUS } from "../custom-resources/cas-schema.ts";
import { CasResource, type Condition, LasResource } from "../custom-resources/resources.ts";
import type { AgentIdentity } from "../las/agent-server.ts";
import type { AttestedCas } from "./attest-cas-resource.ts";
import { culpritOf, mergeConditions } from "./conditions.ts";
import { judgeCas } from "./judge-cas.ts";
import { type AgentSeen, judgeLas } from "./judge-las.ts";
import { judgePod, Pod } from "./pod-health.ts";

const now = new Date("2026-11-25T12:00:00.123Z");
const cas = CasResource.parse({ metadata: { name: "cas", namespace: "ns", uid: "u" } });
const running = { state: "HEALTHY", reason: "Ready", message: "cas-0 is ready" } as const;

type Answered = Extract<AttestedCas, { kind: "answered" }>;
const UNPROVEN: CasVerdict = { kind: "unproven", problem: undefined };

function answered(state: CasStatement["state"], more: Partial<CasStatement> = {}, verdict = UNPROVEN): Answered {
  const statement: CasStatement = {
    ...{ format: "vouchsafe/cas-statement/1", chain: [], sessionEncryptionKey: "00", version: "9.9.9", securityVersion: 1 },
    ...{ instanceKey: "00", state, selfProvisioned: false, ownerKeyHash: state === "unprovisioned" ? null : "owner" },
    ...{ databaseKeyInjected: false, recovery: null, recoveryKey: null, developmentRoot: false, nonce: "4711" },
    ...more,
  };
  const identity = { casKeyHash: "hash", softwareKeyHash: "software", chain: [], casKey: new Uint8Array(32) };
  const said = { statement, signedStatement: JSON.stringify(statement), signature: "AAAA", identity, evidenceProblem: undefined };
  return { kind: "answered", keyHash: "hash", softwareKeyHash: "software", statement, verdict, attested: { ...said, evidence: null } };
}
const casCases = [
  { what: "without a pod", pod: judgePod(undefined), probe: undefined, is: ["PENDING", "Uninitialized", undefined] },
  {
    what: "whose pod needs a person",
    pod: { state: "UNHEALTHY", reason: "CrashLoopBackOff", message: "cas-0: error" },
    probe: undefined,
    is: ["UNHEALTHY", "UNHEALTHY", undefined],
  },
  {
    what: "that does not answer yet",
    pod: running,
    probe: { kind: "unreachable", message: "refused" },
    is: ["PENDING", "Uninitialized", undefined],
  },
  {
    what: "whose statement is wrong",
    pod: running,
    probe: { kind: "untrustworthy", message: "bad" },
    is: ["UNHEALTHY", "AttestationFailure", undefined],
  },
  { what: "without an owner", pod: running, probe: answered("unprovisioned"), is: ["UNHEALTHY", "Unprovisioned", "No"] },
  { what: "that serves", pod: running, probe: answered("provisioned"), is: ["HEALTHY", "HEALTHY", "Yes"] },
  { what: "that was rolled back", pod: running, probe: answered("rollback-suspected"), is: ["UNHEALTHY", "UNHEALTHY", "Yes"] },
] as const;
for (const { what, pod, probe, is } of casCases) {
  test(`CL-60: a CAS ${what} is ${is[0]}`, () => {
    const status: Readonly<Record<string, unknown>> = { ...judgeCas(cas, { pod, probe }, now) };
    assert.deepEqual([status["state"], status["phase"], status["provisioned"]], is);
  });
}

test("CL 10.2: a CAS that has an owner and starts again is Provisioned, not Uninitialized", () => {
  const resource = CasResource.parse({ metadata: { name: "cas", namespace: "ns", uid: "u" }, status: { provisioned: "Yes" } });
  const status: Readonly<Record<string, unknown>> = { ...judgeCas(resource, { pod: judgePod(undefined) }, now) };
  assert.deepEqual([status["state"], status["phase"]], ["PENDING", "Provisioned"]);
});

const proven: CasVerdict = {
  kind: "proven",
  warnings: ["warning: w"],
  claims: {
    ...{ kind: "tdx", userData: new Uint8Array(64), codeIdentity: "11".repeat(32), launchMeasurement: new Uint8Array(48) },
    ...{ debug: false, platformId: "p", tcb: { status: "UpToDate", advisories: [] }, details: {} },
  },
};
const refused: CasVerdict = { kind: "refused", problems: ["one", "two"], acceptedBy: "--mrenclave x", remedy: undefined };
const evidenceCases = [
  {
    what: "that is proven",
    verdict: proven,
    is: ["HEALTHY", "HEALTHY", "Yes", "Yes"],
    says: "Attestable True Proven evidence of kind tdx",
  },
  { what: "without evidence", verdict: UNPROVEN, is: ["HEALTHY", "HEALTHY", "No", "Yes"], says: "Attestable False NoEvidence" },
  {
    what: "that is refused",
    verdict: refused,
    is: ["UNHEALTHY", "AttestationFailure", "Failed", undefined],
    says: "Attestable False Refused one; two",
  },
] as const;
for (const { what, verdict, is, says } of evidenceCases) {
  test(`CL 10.2: a CAS ${what} is ${is[0]} and attestable ${is[2]}`, () => {
    const status: Readonly<Record<string, unknown>> = {
      ...judgeCas(cas, { pod: running, probe: answered("provisioned", {}, verdict) }, now),
    };
    assert.deepEqual([status["state"], status["phase"], status["attestable"], status["provisioned"]], is);
    const told = status["conditions"] as readonly Condition[];
    assert(
      told.some(({ type, status: holds, reason, message }) => `${type} ${holds} ${reason} ${message}`.startsWith(says)),
      JSON.stringify(told),
    );
    assert.equal(status["nonce"], "4711");
    assert.match(Buffer.from(String(status["dcapReport"]), "base64").toString(), /"statement":.*"evidence":null/);
  });
}

test("CL 10.2: what a refused CAS said before it was refused no longer stands in its status, and the reason told is the refusal", () => {
  const past = { reason: "r", message: "m", lastTransitionTime: "2026-01-01T00:00:00Z" };
  const conditions = [
    { type: "BackupsRegistered", status: "False", ...past },
    { type: "Provisioned", status: "True", ...past },
    { type: "Serving", status: "True", ...past },
  ];
  const spec = { "backup-controller": { enabled: true } };
  const resource = CasResource.parse({ metadata: { name: "cas", namespace: "ns", uid: "u" }, spec, status: { conditions } });
  const status: Readonly<Record<string, unknown>> = {
    ...judgeCas(resource, { pod: running, probe: answered("provisioned", {}, refused) }, now),
  };
  const told = status["conditions"] as readonly Condition[];
  assert.deepEqual(
    told.filter(({ type }) => type === "Provisioned" || type === "Serving"),
    [],
  );
  assert.equal(culpritOf(told)?.message.startsWith("one; two"), true);
});

test("CL 10.2: that a CAS gives no evidence where none is demanded is never the reason of something else", () => {
  const probe = answered("unprovisioned");
  const status: Readonly<Record<string, unknown>> = { ...judgeCas(cas, { pod: running, probe }, now) };
  assert.equal(culpritOf(status["conditions"] as readonly Condition[])?.reason, "NoOwner");
});

test("CL 10.2: every field of the status is written, by the schema's own names", () => {
  const spec = { persistence: { enabled: true }, databaseSnapshots: { enabled: true }, "backup-controller": { enabled: true } };
  const resource = CasResource.parse({ metadata: { name: "cas", namespace: "ns", uid: "u" }, spec });
  const condition = { type: "BackupsRegistered", status: "True", reason: "AllNodes", message: "m" } as const;
  const backups = { condition, able: 1, desired: 1, records: {}, isBusy: false };
  const probe = answered("provisioned", { newestSnapshot: TAKEN }, proven);
  const status = judgeCas(resource, { pod: running, podUid: "uid", probe, backups }, now);
  assert.deepEqual(Object.keys(status).toSorted(), Object.keys(CAS_STATUS.properties ?? {}).toSorted());
});

test("a pod whose image cannot be pulled is stuck, whichever of its containers needs it", () => {
  const waiting = [{ state: { waiting: { reason: "ImagePullBackOff", message: "no such image" } } }];
  for (const status of [{ containerStatuses: waiting }, { initContainerStatuses: waiting, containerStatuses: [{}] }]) {
    const health = judgePod(Pod.parse({ metadata: { name: "cas-0", namespace: "ns", uid: "p" }, status }));
    assert.deepEqual([health.state, health.reason], ["UNHEALTHY", "ImagePullBackOff"]);
  }
});

test("CL-60: a wish that the cluster does not take needs a person, although the CAS serves", () => {
  const obstacle = { reason: "Refused", message: "the cluster refused PATCH (422): updates to statefulset spec are forbidden" } as const;
  const status: Readonly<Record<string, unknown>> = { ...judgeCas(cas, { pod: running, probe: answered("provisioned"), obstacle }, now) };
  assert.equal(status["state"], "UNHEALTHY");
  assert.match(JSON.stringify(status["conditions"]), /"Reconciled","status":"False"[^}]*statefulset spec are forbidden/);
});

const fieldCases = [
  { field: "autoUpdate", spec: { autoUpdate: true } },
  { field: "backup-controller.session", spec: { "backup-controller": { session: "s" } } },
] as const;
for (const { field, spec } of fieldCases) {
  test(`CL 10.1: ${field} has no effect, which the status says by name, and the CAS serves`, () => {
    const resource = CasResource.parse({ metadata: { name: "cas", namespace: "ns", uid: "u" }, spec });
    const status: Readonly<Record<string, unknown>> = { ...judgeCas(resource, { pod: running, probe: answered("provisioned") }, now) };
    assert.equal(status["state"], "HEALTHY");
    assert.match(
      JSON.stringify(status["conditions"]),
      new RegExp(`"FieldsHonoured","status":"False","reason":"WithoutEffect","message":"without effect: ${field} `),
    );
    const plain: Readonly<Record<string, unknown>> = { ...judgeCas(cas, { pod: running, probe: answered("provisioned") }, now) };
    assert.match(JSON.stringify(plain["conditions"]), /"FieldsHonoured","status":"True"/);
  });
}

test("CL 10.1: a CAS that does not belong to the holder of spec.ownerCertificate needs a person", () => {
  const { certificate, keyHash } = createTestClient();
  const judged = (ownerCertificate: string, ownerKeyHash: string) => {
    const resource = CasResource.parse({ metadata: { name: "cas", namespace: "ns", uid: "u" }, spec: { ownerCertificate } });
    const said = answered("provisioned", { ownerKeyHash });
    const status: Readonly<Record<string, unknown>> = { ...judgeCas(resource, { pod: running, probe: said }, now) };
    return [
      status["state"],
      /"Provisioned","status":"(True|False)","reason":"([A-Za-z]+)"/.exec(JSON.stringify(status["conditions"]))?.[2],
    ];
  };
  assert.deepEqual(judged(certificate, keyHash), ["HEALTHY", "Owned"]);
  assert.deepEqual(judged(certificate, createTestClient().keyHash), ["UNHEALTHY", "OtherOwner"]);
  assert.deepEqual(judged("no certificate", keyHash), ["UNHEALTHY", "OwnerCertificate"]);
});

test("CL 10.2: how many nodes the CAS may move to; until all of them are registered it is EnablingMigration, and HEALTHY for scripts", () => {
  const spec = { persistence: { enabled: true }, "backup-controller": { enabled: true } };
  const resource = CasResource.parse({ metadata: { name: "cas", namespace: "ns", uid: "u" }, spec });
  const judged = (able: number, reason: string) => {
    const condition = { type: "BackupsRegistered", status: able === 3 ? "True" : "False", reason, message: "m" } as const;
    const backups = { condition, able, desired: 3, records: {}, isBusy: able < 3 };
    const status: Readonly<Record<string, unknown>> = {
      ...judgeCas(resource, { pod: running, probe: answered("provisioned"), backups }, now),
    };
    return ["state", "phase", "migrationNodeRatio", "migrationNodeAlert", "migrationControllerReplicaAlert"].map((field) => status[field]);
  };
  assert.deepEqual(judged(1, "Registering"), ["HEALTHY", "EnablingMigration", "1/3", 2, 0]);
  assert.deepEqual(judged(3, "AllNodes"), ["HEALTHY", "HEALTHY", "3/3", 0, 0]);
  const none: Readonly<Record<string, unknown>> = { ...judgeCas(cas, { pod: running, probe: answered("provisioned") }, now) };
  assert.deepEqual([none["migrationNodeRatio"], none["migrationNodeAlert"], none["migrationControllerReplicaAlert"]], ["0/0", -1, -1]);
});

test("CL 10.2: a condition goes with the wish that it was about", () => {
  const past = { status: "False", reason: "r", message: "m", lastTransitionTime: "2026-01-01T00:00:00Z" };
  const conditions = ["BackupsRegistered", "BackupController", "SnapshotsTaken", "Other"].map((type) => ({ type, ...past }));
  const resource = CasResource.parse({ metadata: { name: "cas", namespace: "ns", uid: "u" }, status: { conditions } });
  const status: Readonly<Record<string, unknown>> = { ...judgeCas(resource, { pod: running, probe: answered("provisioned") }, now) };
  assert.doesNotMatch(JSON.stringify(status["conditions"]), /BackupsRegistered|BackupController|SnapshotsTaken/);
  assert.match(JSON.stringify(status["conditions"]), /"Other"/);
});

const withSnapshots = CasResource.parse({
  metadata: { name: "cas", namespace: "ns", uid: "u" },
  spec: { databaseSnapshots: { enabled: true, persistence: { enabled: true } } },
});
const TAKEN = "2026-11-25T11:59:00.000Z";
const snapshotCases = [
  { what: "that makes none", cas, newest: undefined, is: ["Disabled", undefined] },
  { what: "that has made none yet", cas: withSnapshots, newest: null, is: ["Initializing", undefined] },
  { what: "that has made one on a volume", cas: withSnapshots, newest: TAKEN, is: ["Persisted", TAKEN] },
] as const;
for (const { what, cas: resource, newest, is } of snapshotCases) {
  test(`CL 10.2, C-77: snapshots of a CAS ${what} are ${is[0]}`, () => {
    const said = answered("provisioned", newest === undefined ? {} : { newestSnapshot: newest });
    const status: Readonly<Record<string, unknown>> = { ...judgeCas(resource, { pod: running, probe: said }, now) };
    assert.deepEqual([status["snapshotStatus"], status["snapshotTimestamp"]], is);
  });
}

test("CL 10.2, C-77: a CAS that ended because it could not take a snapshot says so in phase and status", () => {
  const log = "2026-11-25 11:59:59 INFO serving\n2026-11-25 12:00:00 ERROR snapshot failed, the CAS stops: ENOSPC: no space left on device";
  const containers = [{ state: { waiting: { reason: "CrashLoopBackOff" } }, lastState: { terminated: { message: log } } }];
  const metadata = { name: "cas-0", namespace: "ns", uid: "p" };
  const health = judgePod(Pod.parse({ metadata, status: { containerStatuses: containers } }));
  const status: Readonly<Record<string, unknown>> = { ...judgeCas(withSnapshots, { pod: health }, now) };
  assert.deepEqual([status["state"], status["phase"], status["snapshotStatus"]], ["UNHEALTHY", "SnapshotFailure", "Failed"]);
  assert.match(health.message, /cas-0: .*snapshot failed, the CAS stops: ENOSPC/);
});

const identity: AgentIdentity = { type: "identity", version: "1", publicKey: "AAAA", keyHash: "h", evidence: ["node"] };
const agent = (change: Partial<AgentSeen> = {}): AgentSeen => ({
  node: "n1",
  pod: running,
  answer: identity,
  publishedKey: "AAAA",
  ...change,
});
const las = (evidence = ["node"]) => LasResource.parse({ metadata: { name: "las", uid: "u" }, spec: { evidence } });
const lasCases = [
  { what: "every agent answers", agents: [agent()], desired: 1, state: "HEALTHY" },
  { what: "no node is selected", agents: [], desired: 0, state: "PENDING" },
  { what: "an agent is missing", agents: [agent()], desired: 2, state: "PENDING" },
  { what: "an agent does not answer", agents: [agent({ answer: undefined })], desired: 1, state: "PENDING" },
  {
    what: "an agent's image cannot be pulled",
    agents: [agent({ pod: { state: "UNHEALTHY", reason: "ErrImagePull", message: "x" } })],
    desired: 1,
    state: "UNHEALTHY",
  },
  { what: "another key answers than was published", agents: [agent({ publishedKey: "BBBB" })], desired: 1, state: "UNHEALTHY" },
  {
    what: "a node forbids user namespaces",
    agents: [agent({ answer: { ...identity, problem: "user namespaces are forbidden on the node" } })],
    desired: 1,
    state: "UNHEALTHY",
  },
  { what: "a kind of evidence is missing", agents: [agent()], desired: 1, state: "UNHEALTHY", evidence: ["sgx"] },
] as const;
for (const { what, agents, desired, state, ...rest } of lasCases) {
  test(`CL-63: LAS is ${state} when ${what}`, () => {
    const judged = judgeLas(las("evidence" in rest ? [...rest.evidence] : undefined), desired, agents, now);
    assert.equal(judged.status.state, state);
    assert.deepEqual(judged.readyNodes, state === "HEALTHY" || what === "an agent is missing" ? ["n1"] : []);
  });
}

for (const { field, spec } of [
  { field: "autoUpdate", spec: { autoUpdate: true } },
  { field: "dcapKey", spec: { dcapKey: "00112233445566778899aabbccddeeff" } },
]) {
  test(`CL 10.2: ${field} of a LAS has no effect, which the status says by name, without its value`, () => {
    const resource = LasResource.parse({ metadata: { name: "las", uid: "u" }, spec });
    const { status } = judgeLas(resource, 1, [agent()], now);
    assert.equal(status.state, "HEALTHY");
    const text = JSON.stringify(status);
    assert.match(text, new RegExp(`"FieldsHonoured","status":"False","reason":"WithoutEffect","message":"without effect: ${field} `));
    assert.doesNotMatch(text, /001122/);
    assert.match(JSON.stringify(judgeLas(las(), 1, [agent()], now).status), /"FieldsHonoured","status":"True"/);
  });
}

const waiting = (reason: string) =>
  Pod.parse({ metadata: { name: "p", namespace: "n", uid: "u" }, status: { containerStatuses: [{ state: { waiting: { reason } } }] } });
test("a pod that only a person can help is told apart from one that starts", () => {
  assert.equal(judgePod(waiting("ImagePullBackOff")).state, "UNHEALTHY");
  assert.equal(judgePod(waiting("ContainerCreating")).state, "PENDING");
});

test("a condition keeps its time until its status changes, and others stay", () => {
  const before = [
    { type: "A", status: "True" as const, reason: "r", message: "m", lastTransitionTime: "2026-01-01T00:00:00Z" },
    { type: "B", status: "True" as const, reason: "r", message: "m", lastTransitionTime: "2026-01-01T00:00:00Z" },
  ];
  const after = mergeConditions(
    before,
    [
      { type: "A", status: "True", reason: "new", message: "m" },
      { type: "C", status: "False", reason: "r", message: "m" },
    ],
    now,
  );
  assert.deepEqual(
    after.map(({ type, lastTransitionTime }) => [type, lastTransitionTime]),
    [
      ["B", "2026-01-01T00:00:00Z"],
      ["A", "2026-01-01T00:00:00Z"],
      ["C", "2026-11-25T12:00:00Z"],
    ],
  );
});
