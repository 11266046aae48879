import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { createTestClient, startTestCas } from "../../../../cas/src/testing/test-cas.ts";
import { startLogServer } from "../../../../cas/src/testing/test-log-server.ts";
import { missingForApiServer } from "../../../../kubernetes/src/testing/api-server.ts";
import { clusterWithCas } from "../../testing/cluster-with-cas.ts";

interface Line {
  readonly event?: string;
  readonly sequence?: number;
  readonly checkpoint?: string;
}

test("cli.md section 9, C-11: --webhook has a real CAS send its log there from then on, and nothing is done that the receiver did not take", async (t) => {
  const missing = missingForApiServer();
  if (missing !== undefined) return t.diagnostic(`not run: ${missing}`);
  const { client, cluster, header } = await clusterWithCas(t);
  const receiver = await startLogServer(t);
  // The receiver is to be certified publicly: for this process it is.
  const authorities = getCACertificates("default");
  setDefaultCACertificates([...authorities, receiver.ca]);
  t.after(() => setDefaultCACertificates(authorities));
  const cas = await startTestCas(t, { selfProvision: undefined });
  const { host, port } = cas.running.clientAddress;
  const { ask, home, run } = client();
  const events = () => receiver.received.map((line): Line => JSON.parse(line)).flatMap(({ event }) => (event === undefined ? [] : [event]));

  writeFileSync(join(home, "owner.toml"), "");
  const claim = ["-c", cas.running.casKeyHash, "--token", cas.running.provisioningToken ?? "", "--config-file", join(home, "owner.toml")];
  await run("cas", "provision", `${host}:${port}`, ...claim, "only_for_testing-without-attestation");
  // As the operator would have written it.
  await cluster.merge(header, { status: { state: "HEALTHY", observedGeneration: 1 } }, "status");
  const provision = () => ask({ host, port }, "--no-backup", "--no-node-enrolment", "--webhook", receiver.url);

  receiver.status = 503;
  const refused = await provision();
  assert.equal(refused.code, 1);
  assert.match(refused.notes, /the CAS refused the owner configuration: .*log/);
  receiver.status = 204;
  const provisioned = await provision();
  assert.equal(provisioned.code, 0, provisioned.notes);
  assert.match(provisioned.notes, /the owner configuration was replaced/);
  assert(events().includes("audit_log_enabled"), receiver.received.join(""));

  const before = receiver.received.length;
  const user = cas.client(createTestClient());
  const session = 'version: "0.3"\nname: webhook\n';
  await user.uploadSession(session);
  assert(events().includes("session_created"), receiver.received.slice(before).join(""));
  receiver.status = 500;
  await assert.rejects(user.uploadSession(session.replace("webhook", "lost")), /nothing was changed/);
  receiver.status = 204;
  await assert.rejects(user.readSession("lost"), /not/);
  return undefined;
});
