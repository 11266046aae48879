import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { encodeWorkload } from "@vouchsafe/attestation";
import { CasClient } from "@vouchsafe/protocol";
import { type SoftwareTpm, startSoftwareTpm } from "../../attestation/src/testing/software-tpm.ts";
import { startDetached, waitWhileAlive } from "../src/detached-process.ts";
import { type EngineStatus, readEngineStatus } from "../src/engine-status.ts";
import { startEmbeddedCas, stopApplication, stopEmbeddedCas } from "../src/index.ts";
import { applicationPaths } from "../src/state-paths.ts";
import { makeIdentity, makeRecord, makeRuntimeImage } from "./test-mesh.ts";

/*
 * Local engine, runtime, CAS and a real TPM in software: the engine measures the image into PCR 15, the runtime gathers, the CAS verifies. One
 * application, a service for each question.
 */
const scratch = mkdtempSync(join(tmpdir(), "tpm-"));
const stateDir = join(scratch, "state");
const paths = applicationPaths(stateDir, "measured");
const extended = (digest: string) => hash("sha256", Buffer.from("00".repeat(32) + digest, "hex"));
const BOOTED = extended("77".repeat(32));
const OTHER = extended("66".repeat(32));

let tpm: SoftwareTpm;
let status: EngineStatus;
let pcr15: string;
const logOf = (service: string) => {
  const file = join(paths.logs, `${service}.log`);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
};
const endOf = (name: string) => status.instances.find((instance) => instance.name === name)?.lastExit;

before(async () => {
  tpm = await startSoftwareTpm({ isManufactured: true });
  tpm.tool("pcrextend", `7:sha256=${"77".repeat(32)}`);
  const image = await makeRuntimeImage(scratch, "vouchsafe.local/measured:1", ["/bin/cat"]);
  pcr15 = extended(hash("sha256", encodeWorkload({ imageDigest: image.digest, fileSystemTag: "" })));
  const identity = makeIdentity(scratch);
  const cas = await startEmbeddedCas(stateDir, { ownerIdentityFile: join(scratch, "certificate.pem") });
  const client = new CasClient({ ...cas.client, pin: { casKeyHash: cas.casKeyHash }, clientIdentity: identity });
  await client.updateConfig(JSON.stringify({ tpm: { endorsement_roots: tpm.makerCertificates } }));
  await client.uploadSession(JSON.stringify(policy()));
  client.close();
  const record = makeRecord(
    ["admitted", "otherboot", "otherimage"].map((name) => ({
      ...{ name, image, serviceId: `tpm-test/${name}`, restartPolicy: "Never" as const },
      containerEnvironment: { SCONE_CONFIG_ID: `tpm-test/${name}`, SCONE_CAS_ADDR: "cas.scone-system", SCONE_LOG: "debug" },
    })),
    { evidence: ["tdx", "tpm"] },
  );
  mkdirSync(paths.directory, { recursive: true });
  const casAddress = { host: cas.service.host, servicePort: cas.service.port, clientPort: cas.client.port };
  const order = { release: "measured", targetDir: scratch, stateDir, record, cas: casAddress };
  const environment = { VOUCHSAFE_CAS_KEY: cas.casKeyHash };
  writeFileSync(paths.order, JSON.stringify({ ...order, environment, tpm: `tcp:127.0.0.1:${tpm.address.port}` }));
  const engine = startDetached(fileURLToPath(import.meta.resolve("../src/engine-main.ts")), [paths.order], paths.engineLog);
  assert(engine !== undefined);
  const found = await waitWhileAlive(
    engine,
    () => {
      const now = readEngineStatus(paths.status);
      const isOver = now?.phase === "failed" || (now?.instances.length === 3 && now.instances.every(({ state }) => state === "ended"));
      return isOver ? now : undefined;
    },
    { timeoutMs: 120_000 },
  );
  assert(
    found !== undefined,
    `${JSON.stringify(readEngineStatus(paths.status), null, 1)}\n${logOf("admitted")}\n${readFileSync(paths.engineLog, "utf8")}`,
  );
  assert.notEqual(found.phase, "failed", JSON.stringify(found.failure));
  status = found;
});
after(async () => {
  await stopApplication("measured", stateDir);
  await stopEmbeddedCas(stateDir);
  await tpm?.[Symbol.asyncDispose]();
  rmSync(scratch, { recursive: true, force: true });
});

function policy() {
  const service = (name: string, pcrs: Record<number, string>) => ({
    ...{ name, image_name: "files", command: ["cat", "/secret"], pwd: "/", environment: { PATH: "/usr/bin:/bin" } },
    attestation: { tpm: { pcrs } },
  });
  return {
    version: "0.3",
    name: "tpm-test",
    security: { attestation: { evidence: ["tpm"] } },
    images: [{ name: "files", injection_files: [{ path: "/secret", content: "for a measured machine only\n" }] }],
    services: [
      service("admitted", { 7: BOOTED, 15: pcr15 }),
      service("otherboot", { 7: OTHER, 15: pcr15 }),
      service("otherimage", { 7: BOOTED, 15: OTHER }),
    ],
  };
}

test("a service whose policy demands TPM evidence starts on the machine that its PCR values describe", () => {
  assert.equal(endOf("admitted"), 0, logOf("admitted"));
  assert.match(logOf("admitted"), /^for a measured machine only$/m);
  assert.match(logOf("admitted"), /evidence tpm from \/run\/vouchsafe\/tpm\.sock/);
});

test("it is refused when a PCR differs, and the reason names register, expected and found", () => {
  assert.equal(endOf("otherboot"), 1);
  assert.match(logOf("otherboot"), new RegExp(`step variants[\\s\\S]*PCR 7 is ${BOOTED}, expected ${OTHER}`));
  assert.doesNotMatch(logOf("otherboot"), /for a measured machine only/);
});

test("PCR 15 is the image that the engine measured before the container started", () => {
  assert.equal(endOf("otherimage"), 1);
  assert.match(logOf("otherimage"), new RegExp(`PCR 15 is ${pcr15}, expected ${OTHER}`));
});

test("a container reaches the TPM through a socket that extends no register", async () => {
  const { serveTpm } = await import("../src/tpm-access.ts");
  const { openTpm } = await import("@vouchsafe/attester");
  const { extendPcr, readPcrs } = await import("@vouchsafe/attestation");
  const server = await serveTpm(join(scratch, "relay.sock"), tpm.address);
  try {
    await using connection = await openTpm({ path: join(scratch, "relay.sock") });
    assert.equal((await connection.run(readPcrs([7]))).get(7)?.toHex(), BOOTED);
    await assert.rejects(connection.run(extendPcr(7, new Uint8Array(32))), /PCR_Extend with response code 0x143/);
    assert.equal((await connection.run(readPcrs([7]))).get(7)?.toHex(), BOOTED);
  } finally {
    server.close();
  }
});

test("a machine that measured another workload since it started is refused before anything starts", async () => {
  const { measureWorkload } = await import("../src/tpm-access.ts");
  await measureWorkload(tpm.address, encodeWorkload({ imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "" })).then(
    () => assert.fail("it was measured"),
    (error: Error) => assert.match(error.message, new RegExp(`PCR 15 of the TPM is ${pcr15}`)),
  );
});
