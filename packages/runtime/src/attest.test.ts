import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { type TestContext, test } from "node:test";
import { ProtocolError, type RefusalCode, RefusedError } from "@vouchsafe/protocol";
import { attestPatiently, describeAttestation, mayPass } from "./attest.ts";
import { RuntimeError } from "./runtime-error.ts";
import { readSettings } from "./settings.ts";

const refused = (code: RefusalCode): RefusedError => new RefusedError({ type: "refusal", code, message: code, causes: [] });

const failures = [
  { what: "a node agent that is busy with many starts", error: new RuntimeError("R-AGENT-BUSY", "no answer yet"), repeats: true },
  { what: "a node agent that refuses", error: new RuntimeError("R-EVIDENCE", "a volume hides files"), repeats: false },
  { what: "a CAS that is away", error: new ProtocolError("CAS_UNREACHABLE", "refused"), repeats: true },
  { what: "another CAS than the pinned one", error: new ProtocolError("CAS_IDENTITY", "another key"), repeats: false },
  { what: "a connection that ended", error: new ProtocolError("CONNECTION_LOST", "ended"), repeats: true },
  { what: "a policy that is not there yet", error: refused("service_unknown"), repeats: true },
  { what: "an import whose exporter is not there yet", error: refused("values_unresolved"), repeats: true },
  { what: "a service of which enough run", error: refused("running_limit"), repeats: true },
  { what: "a CAS that cannot write its audit log", error: refused("audit_unavailable"), repeats: true },
  { what: "a CAS that is busy", error: refused("unavailable"), repeats: true },
  { what: "evidence that the policy does not accept", error: refused("policy_unmet"), repeats: false },
  { what: "a service that was started as often as it may be", error: refused("activation_limit"), repeats: false },
  {
    what: "a failure of another program with such a code",
    error: Object.assign(new Error("x"), { code: "CAS_UNREACHABLE" }),
    repeats: false,
  },
  { what: "a mistake in code", error: new TypeError("undefined"), repeats: false },
];
for (const { what, error, repeats } of failures) {
  test(`MF-125: ${what} ${repeats ? "is asked again" : "ends the start at once"}`, () => {
    assert.equal(mayPass(error), repeats);
  });
}

/** A CAS that ends every connection, and how often it was asked. Time stands still until the third. */
async function endingCas(t: TestContext, onAsked: () => void = () => undefined) {
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() });
  let asked = 0;
  const server = createServer((socket: Socket) => {
    asked += 1;
    onAsked();
    if (asked === 3) t.mock.timers.tick(3_600_000);
    socket.on("error", () => socket.destroy());
    socket.destroy();
  }).listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const settings = (more: Readonly<Record<string, string>>) =>
    readSettings({ SCONE_CONFIG_ID: "shop/api", SCONE_CAS_ADDR: `127.0.0.1:${port}`, ...more });
  return { settings, asked: () => asked };
}
const options = { evidence: undefined, runtimeVersion: "1" };

test("MF-125: what may pass is asked again until the time is over, and said once", async (t) => {
  const cas = await endingCas(t);
  const lines: string[] = [];
  t.mock.method(process.stderr, "write", (line: string) => lines.push(line) > 0);
  const start = performance.now();
  await assert.rejects(attestPatiently(cas.settings({ VOUCHSAFE_WAIT_SECONDS: "60" }), options), ProtocolError);
  assert.equal(cas.asked(), 3);
  assert(performance.now() - start > 500, "a quarter of a second, then half of one");
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? "", /^vouchsafe: waiting: (?!ProtocolError)/);
});

test("MF-125: what is final ends the start at once, however much time is left", async (t) => {
  const cas = await endingCas(t);
  const settings = cas.settings({ VOUCHSAFE_WAIT_SECONDS: "60" });
  const broken = {
    ...settings,
    get cas(): never {
      throw new TypeError("a bug");
    },
  };
  await assert.rejects(attestPatiently(broken, options), TypeError);
});

test("MF-125: why a start waits is said before it is tried again", async (t) => {
  const said: number[] = [];
  const lines: string[] = [];
  t.mock.method(process.stderr, "write", (line: string) => lines.push(line) > 0);
  const cas = await endingCas(t, () => said.push(lines.length));
  await assert.rejects(attestPatiently(cas.settings({ VOUCHSAFE_WAIT_SECONDS: "60" }), options), ProtocolError);
  assert.deepEqual(said, [0, 1, 1]);
});

test("MF-125: without time to wait a failure ends the start at once", async (t) => {
  const cas = await endingCas(t);
  await assert.rejects(attestPatiently(cas.settings({ VOUCHSAFE_WAIT_SECONDS: "0" }), options), ProtocolError);
  assert.equal(cas.asked(), 1);
});

test("C-46: an instance that comes back shows its key and says so; a new one does neither", () => {
  const settings = readSettings({ SCONE_CONFIG_ID: "shop/api", SCONE_CAS_ADDR: "cas.example:18765" });
  const { publicKey: _, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const first = describeAttestation(settings, options);
  assert.equal("reconnect" in first || "instanceKey" in first, false);
  assert.deepEqual(describeAttestation(settings, { ...options, reconnectWith: privateKey }), {
    ...first,
    instanceKey: privateKey,
    reconnect: true,
  });
  assert.deepEqual([first.host, first.port, first.serviceId, first.runtimeVersion], ["cas.example", 18765, "shop/api", "1"]);
});
