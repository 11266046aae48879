import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { createNodeStatement, type Evidence, NODE_AGENT_MEASUREMENT } from "@vouchsafe/attestation";
import { keyHashOf } from "@vouchsafe/policy";
import { attestService, CasClient } from "@vouchsafe/protocol";
import { issueCertificate, systemRandomness } from "@vouchsafe/secrets";
import { type CasOptions, type RunningCas, startCas } from "../start-cas.ts";
import { TEST_WORKLOAD } from "./policies.ts";

export interface TestClient {
  readonly certificate: string;
  readonly privateKey: string;
  readonly keyHash: string;
}

/** A self-signed client identity, as the command line makes one: of the given key (PEM) or of a new one, valid from `now` on for `seconds`. */
export function createTestClient({ key, now = new Date(), seconds }: { key?: string; now?: Date; seconds?: number } = {}): TestClient {
  const privateKey = key === undefined ? generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey : createPrivateKey(key);
  const request = { isCa: false, commonName: "client", san: [], endpoint: undefined, validForSeconds: seconds, control: undefined };
  const { pem } = issueCertificate(request, { ownKey: privateKey }, { now, random: systemRandomness });
  const exported = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  return { certificate: pem, privateKey: exported, keyHash: keyHashOf(createPublicKey(pem)) };
}

const WORKLOAD = { ...TEST_WORKLOAD, program: "/usr/bin/python3" };

/** Plays the node agent for one service. */
export class TestAgent {
  readonly publicKey: KeyObject;
  readonly #privateKey: KeyObject;
  #counter = 0n;

  constructor() {
    ({ publicKey: this.publicKey, privateKey: this.#privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" }));
  }

  evidence(
    service: string,
    userData: Uint8Array,
    workload: Partial<typeof WORKLOAD> = {},
    counter = ++this.#counter,
    issuedAt = new Date(),
  ): Evidence {
    return createNodeStatement(
      {
        agentMeasurement: NODE_AGENT_MEASUREMENT,
        ...WORKLOAD,
        ...workload,
        service,
        userData,
        instanceCounter: counter,
        issuedAt,
      },
      this.#privateKey,
    );
  }
}

export interface TestCas {
  readonly running: RunningCas;
  readonly directory: string;
  readonly lines: readonly string[];
  readonly agent: TestAgent;
  /** Client with this identity; none: without certificate. */
  client(identity?: TestClient): CasClient;
  attest(serviceId: string, options?: Partial<Parameters<typeof attestService>[0]>): ReturnType<typeof attestService>;
  /** Stops; harmless when stopped already. */
  stop(): Promise<void>;
  /** Stops and starts again on the same files. */
  restart(options?: Partial<CasOptions>): Promise<void>;
}

/** A real CAS on free loopback ports with a database of its own, removed after the test. */
export async function startTestCas(t: TestContext, options: Partial<CasOptions> = {}): Promise<TestCas> {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-cas-"));
  const lines: string[] = [];
  const agent = new TestAgent();
  const clients: CasClient[] = [];
  const listen = { host: "127.0.0.1", port: 0 };
  const start = (more: Partial<CasOptions>) =>
    startCas({
      databasePath: join(directory, "cas.db"),
      platformKeyPath: join(directory, "platform", "key"),
      clientListen: listen,
      serviceListen: listen,
      selfProvision: { config: "" },
      nodeKeys: [agent.publicKey],
      writeLine: (line) => lines.push(line),
      ...options,
      ...more,
    });
  let running = await start({});
  let isRunning = true;
  const stop = async () => {
    if (!isRunning) return;
    isRunning = false;
    for (const client of clients.splice(0)) client.close();
    await running[Symbol.asyncDispose]();
  };
  t.after(async () => {
    await stop();
    rmSync(directory, { recursive: true, force: true });
  });
  return {
    get running() {
      return running;
    },
    directory,
    lines,
    agent,
    client: (identity) => {
      const client = new CasClient({ ...running.clientAddress, pin: { casKeyHash: running.casKeyHash }, clientIdentity: identity });
      clients.push(client);
      return client;
    },
    attest: (serviceId, more = {}) =>
      attestService({
        ...running.serviceAddress,
        casKeyHash: running.casKeyHash,
        serviceId,
        evidence: async (userData) => agent.evidence(serviceId.replace(/@.*$/, ""), userData),
        runtimeVersion: "test",
        ...more,
      }),
    stop,
    restart: async (more = {}) => {
      await stop();
      running = await start(more);
      isRunning = true;
    },
  };
}
