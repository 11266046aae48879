/**
 * Runs in namespaces of its own, started by `http/shaped-traffic.test.ts`: a CAS, and clients that reach it over links of every bad kind
 * (`shaped-link.py`). Its argument is the file that is /etc/hosts in these namespaces.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type TestContext, test } from "node:test";
import { CasClient, generateInstanceKey, ProtocolError } from "@vouchsafe/protocol";
import { refusal, testPolicy } from "./policies.ts";
import { AUDITED, auditedLines } from "./said-aloud.ts";
import { createTestClient, startTestCas, type TestCas, type TestClient } from "./test-cas.ts";

/** See `shaped-link.py`. */
interface Link {
  readonly loss?: number;
  readonly delay?: number;
  readonly jitter?: number;
  readonly twice?: number;
  readonly mtu?: number;
}
type Links = Readonly<Record<number, Link>>;
const CLIENT_PORT = 8081;
const SERVICE_PORT = 18765;
const BAD: readonly (readonly [kind: string, link: Link])[] = [
  ["30 % loss", { loss: 0.3 }],
  ["500 ms of delay", { delay: 0.5 }],
  ["an MTU of 576", { mtu: 576 }],
  ["packets that come twice and out of order", { twice: 0.3, jitter: 0.05 }],
  ["some of each", { loss: 0.05, twice: 0.1, delay: 0.05, jitter: 0.05, mtu: 576 }],
];
const CUT = BAD.length;
/** Time for one attempt: over a link with loss, TCP alone may wait longer than a user would. */
const PATIENCE_MS = 8000;
const HOSTS = process.argv[2] ?? assert.fail("which file of host names may be changed?");

/** Lays the links; the answer changes them. */
async function layLinks(t: TestContext, links: Links): Promise<(changes: Links) => Promise<void>> {
  const relay = spawn("python3", [join(import.meta.dirname, "shaped-link.py")], { stdio: ["pipe", "pipe", "inherit"] });
  t.after(() => relay.stdin.end());
  const answers = createInterface({ input: relay.stdout });
  const say = async (changes: Links) => {
    relay.stdin.write(`${JSON.stringify(changes)}\n`);
    await once(answers, "line", { signal: AbortSignal.timeout(30_000) });
  };
  await say(links);
  return say;
}

/** Again and again until it succeeds, as everybody does who asks over such a network. What the CAS decides is no reason to ask again. */
async function insist<T>(work: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await work(attempt);
    } catch (error) {
      const isOfTheNetwork = error instanceof ProtocolError && ["CAS_UNREACHABLE", "CONNECTION_LOST"].includes(error.code);
      if (!isOfTheNetwork || attempt === 50) throw error;
    }
  }
}

function clientAt(t: TestContext, cas: TestCas, host: string, clientIdentity: TestClient, timeoutMs = PATIENCE_MS): CasClient {
  const client = new CasClient({ host, port: CLIENT_PORT, pin: { casKeyHash: cas.running.casKeyHash }, clientIdentity, timeoutMs });
  t.after(() => client.close());
  return client;
}

const policy = (name: string) =>
  testPolicy({ name, service: "    max_activations: 1", rest: `salt: ${"ab".repeat(16)}\n${"#".repeat(4000)}` });

test("bad links", { concurrency: true }, async (t) => {
  const listen = (port: number) => ({ host: "0.0.0.0", port });
  const cas = await startTestCas(t, {
    clientListen: listen(CLIENT_PORT),
    serviceListen: listen(SERVICE_PORT),
    selfProvision: AUDITED,
  });
  const owner = createTestClient();
  const change = await layLinks(t, { ...Object.fromEntries(BAD.map(([, link], at) => [at, link])), [CUT]: {} });
  const uploads = (name: string) =>
    auditedLines(cas)
      .split("\n")
      .filter((line) => line.includes('"session_created"') && line.includes(`"${name}"`)).length;

  await Promise.all(
    BAD.map(([kind], at) =>
      t.test(kind, async (t) => {
        const [host, name] = [`10.99.${at}.2`, `shop${at}`];
        // A client of its own for each attempt: nothing is left of a connection that failed.
        const { hash } = await insist(() => clientAt(t, cas, host, owner).uploadSession(policy(name)));
        assert.equal((await cas.client(owner).readSession(name)).hash, hash);
        assert.equal(uploads(name), 1, "repeated or not, it was created once");
        await insist(async () => {
          const stranger = clientAt(t, cas, host, createTestClient());
          await assert.rejects(stranger.readSession(name), (error) => {
            if (error instanceof ProtocolError && error.code !== "CAS_PROBLEM") throw error;
            return true;
          });
        });
        const instanceKey = generateInstanceKey();
        const address = { host, port: SERVICE_PORT };
        const { connection } = await insist((attempt) =>
          cas.attest(`${name}/api`, { ...address, instanceKey, reconnect: attempt > 0, timeoutMs: PATIENCE_MS }),
        );
        connection.close();
        await assert.rejects(
          insist(() => cas.attest(`${name}/api`, { ...address, timeoutMs: PATIENCE_MS })),
          refusal("activation_limit", "activation"),
          "the one start was counted once",
        );
      }),
    ),
  );

  // What is still open may be closed in good order.
  await change(Object.fromEntries(BAD.map((_, at) => [at, {}])));

  await t.test("a partition: what is asked meanwhile fails in its time, and afterwards everything goes on", async (t) => {
    const host = `10.99.${CUT}.2`;
    await clientAt(t, cas, host, owner).uploadSession(policy("before"));
    await change({ [CUT]: { loss: 1 } });
    const unreachable = (error: unknown) => error instanceof ProtocolError && error.code === "CAS_UNREACHABLE";
    await assert.rejects(clientAt(t, cas, host, owner, 1500).uploadSession(policy("meanwhile")), unreachable);
    await assert.rejects(cas.attest("before/api", { host, port: SERVICE_PORT, timeoutMs: 1500 }), unreachable);
    assert.equal(uploads("meanwhile"), 0);
    await change({ [CUT]: {} });
    await clientAt(t, cas, host, owner).uploadSession(policy("meanwhile"));
    (await cas.attest("before/api", { host, port: SERVICE_PORT })).connection.close();
  });

  await t.test("the name of the CAS leads to another one: refused by its key, nothing sent; right again, served again", async (t) => {
    const at = (host: string) => ({ clientListen: { host, port: 9081 }, serviceListen: { host, port: 9082 } });
    const right = await startTestCas(t, at("127.0.0.11"));
    const wrong = await startTestCas(t, { ...at("127.0.0.12"), selfProvision: AUDITED });
    const hosts = readFileSync(HOSTS, "utf8");
    const pointTo = (address: string) => writeFileSync(HOSTS, `${hosts}\n${address} cas.shaped.test\n`);
    const ask = {
      policy: () => {
        const pin = { casKeyHash: right.running.casKeyHash };
        const client = new CasClient({ host: "cas.shaped.test", port: 9081, pin, clientIdentity: owner });
        t.after(() => client.close());
        return client.uploadSession(testPolicy({ name: "shop", rest: `salt: ${"ab".repeat(16)}` }));
      },
      secrets: async () => (await right.attest("shop/api", { host: "cas.shaped.test", port: 9082 })).connection.close(),
    };
    pointTo("127.0.0.11");
    await ask.policy();
    await ask.secrets();
    pointTo("127.0.0.12");
    await assert.rejects(ask.policy(), { code: "CAS_IDENTITY" });
    await assert.rejects(ask.secrets(), { code: "CAS_IDENTITY" });
    assert.doesNotMatch(auditedLines(wrong), /shop/);
    pointTo("127.0.0.11");
    await ask.policy();
    await ask.secrets();
  });
});
