import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { CasClient } from "@vouchsafe/protocol";
import { z } from "zod";
import { simulatedPlatform } from "../../../cas/src/testing/simulated-platform.ts";
import { startTestCas } from "../../../cas/src/testing/test-cas.ts";
import { missingForApiServer } from "../testing/api-server.ts";
import { judgeWithoutCollateral } from "../testing/judge-without-collateral.ts";
import { startOperatorServer } from "../testing/operator-server.ts";
import { Operator } from "./operator.ts";

const CAS = { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS", metadata: { name: "cas", namespace: "default" } };
const Seen = z.object({
  status: z
    .object({
      state: z.string().optional(),
      phase: z.string().optional(),
      attestable: z.string().optional(),
      nonce: z.string().optional(),
      dcapReport: z.string().optional(),
      observedPod: z.string().nullish(),
      conditions: z.array(z.object({ type: z.string(), status: z.string(), reason: z.string(), message: z.string() })).default([]),
    })
    .prefault({}),
});

test("CL 10.2: the operator judges the evidence of a CAS as its resource says; a refused one is UNHEALTHY with the reason, and recovers by itself", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const { cluster, stop, working } = await startOperatorServer(t);
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-operator-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const platform = simulatedPlatform(join(directory, "platform"), "tdx");
  const cas = await startTestCas(t, { ownPlatform: platform.platform });
  await cas.client().attest(""); // makes the root
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "cas-0", namespace: "default" } };
  const played = await cluster.apply({ ...pod, spec: { containers: [{ name: "cas", image: "none" }] } });
  const container = { name: "cas", ready: true, restartCount: 0, image: "none", imageID: "", state: { running: {} } };
  await cluster.merge(pod, { status: { phase: "Running", containerStatuses: [container] } }, "status");
  const operator = new Operator(
    cluster,
    {
      ...{ casImage: "cas", lasImage: "las", operator: { namespace: "scone-system", pod: "operator-a" } },
      connect: () => new CasClient({ ...cas.running.clientAddress, pin: {}, timeoutMs: 10_000 }),
      judge: judgeWithoutCollateral,
      now: () => new Date(),
    },
    () => undefined,
  );
  working.push(operator.run(stop));
  const look = async () => Seen.parse((await cluster.find(CAS)) ?? {}).status;
  const conditionOf = (status: Awaited<ReturnType<typeof look>>) => status.conditions.find(({ type }) => type === "Attestable");
  /** Writes the wish, and waits for what comes of it. */
  const becomes = async (attestation: object, reason: string) => {
    await cluster.merge(CAS, { spec: { attestation } });
    for (let attempt = 0; attempt < 600; attempt++) {
      const status = await look();
      if (conditionOf(status)?.reason === reason) return status;
      await sleep(100);
    }
    return assert.fail(`${reason} did not come within a minute: ${JSON.stringify(await look())}`);
  };
  for (let attempt = 0; (await cluster.apply({ ...CAS, spec: {} }).catch(() => undefined)) === undefined; attempt++) {
    assert(attempt < 600, "the definition is served");
    await sleep(100);
  }

  const simulatedRoot = readFileSync(platform.rootFile, "utf8");
  const distrusted = await becomes({}, "Refused");
  assert.deepEqual([distrusted.state, distrusted.phase, distrusted.attestable], ["UNHEALTHY", "AttestationFailure", "Failed"]);
  assert.match(conditionOf(distrusted)?.message ?? "", /the evidence of kind simulated proves nothing/);

  await cluster.merge(CAS, { spec: { attestation: { onlyForTesting: { simulatedRoot } } } });
  const code = await (async () => {
    for (let attempt = 0; attempt < 600; attempt++, await sleep(100)) {
      const found = /accepted by: kubectl provision --mrenclave ([0-9a-f]{64})/.exec(conditionOf(await look())?.message ?? "")?.[1];
      if (found !== undefined) return found;
    }
    return assert.fail("the operator names the measurement it found");
  })();

  const proven = await becomes({ mrenclave: ["00".repeat(32), code] }, "Proven");
  assert.deepEqual([proven.state, proven.phase, proven.attestable], ["HEALTHY", "HEALTHY", "Yes"]);
  assert.match(conditionOf(proven)?.message ?? "", new RegExp(`simulated \\(tdx\\): code identity ${code}.*DEVELOPMENT ONLY`));
  assert.equal(proven.observedPod, z.object({ metadata: z.object({ uid: z.string() }) }).parse(played).metadata.uid);
  const report = z
    .object({ statement: z.string(), evidence: z.object({ kind: z.string() }) })
    .parse(JSON.parse(Buffer.from(proven.dcapReport ?? "", "base64").toString()));
  assert.deepEqual([JSON.parse(report.statement).nonce, report.evidence.kind], [proven.nonce, "simulated"]);

  const wrongKey = await becomes({ casKeyHash: "other" }, "Refused");
  assert.match(conditionOf(wrongKey)?.message ?? "", new RegExp(`key does not match: ${cas.running.casKeyHash}; expected other`));
  platform.status = "OutOfDate";
  const tolerated = await becomes({ casKeyHash: cas.running.casKeyHash }, "Proven");
  assert.match(conditionOf(tolerated)?.message ?? "", /accepted although it is OutOfDate/);
  const strict = await becomes({ tolerate: ["hardening-needed"] }, "Refused");
  assert.match(conditionOf(strict)?.message ?? "", /platform does not match: OutOfDate; expected UpToDate or hardening-needed/);
  const events = JSON.stringify(await cluster.list({ apiVersion: "v1", kind: "Event", namespace: "default" }));
  assert.match(events, /platform does not match: OutOfDate/);

  platform.status = "UpToDate"; // nobody changes the resource: the next look finds it
  const recovered = await becomes({}, "Proven");
  assert.deepEqual([recovered.state, recovered.attestable], ["HEALTHY", "Yes"]);
  return undefined;
});
