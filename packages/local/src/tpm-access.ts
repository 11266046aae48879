import { hash } from "node:crypto";
import { once } from "node:events";
import { existsSync, rmSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { extendPcr, readPcrs } from "@vouchsafe/attestation";
import { openTpm, parseTpmAddress, type TpmAddress, type TpmConnection } from "@vouchsafe/attester";
import { LocalError } from "./local-error.ts";

const DEVICE = "/dev/tpmrm0";
const WORKLOAD_PCR = 15;
const HEADER_BYTES = 10;
const COMMAND_MAX_BYTES = 4096;
const CONNECTIONS_MAX = 64;
/**
 * What a container needs for evidence and cannot harm anybody with: NV_Read, CreatePrimary, ActivateCredential, PolicySecret, Quote, FlushContext,
 * NV_ReadPublic, ReadPublic, StartAuthSession, PCR_Read. Above all it may not extend registers.
 */
const ALLOWED: ReadonlySet<number> = new Set([0x14e, 0x131, 0x147, 0x151, 0x158, 0x165, 0x169, 0x173, 0x176, 0x17e]);
/** TPM_RC_COMMAND_CODE, as an answer without sessions. */
const REFUSAL = Uint8Array.of(0x80, 0x01, 0, 0, 0, HEADER_BYTES, 0, 0, 0x01, 0x43);

/** The TPM of this machine: the given one, else the kernel's if there is one. Throws L-APPLICATION for an address that is none. */
export function findTpm(given: string | undefined): TpmAddress | undefined {
  if (given === undefined || given === "") return existsSync(DEVICE) ? { device: DEVICE } : undefined;
  const address = parseTpmAddress(given);
  if (address !== undefined) return address;
  throw new LocalError("L-APPLICATION", `VOUCHSAFE_TPM is ${JSON.stringify(given)}; expected device:PATH, unix:PATH or tcp:HOST:PORT`, {
    remedy: `Leave it out for ${DEVICE}.`,
  });
}

/**
 * Extends PCR 15 with the hash of the workload, from outside of the container and before it starts: what runs there cannot choose what is measured.
 * A TPM holds one workload until the machine starts again; the same one is not measured twice. Throws L-START for another one.
 */
export async function measureWorkload(address: TpmAddress, workload: Uint8Array): Promise<void> {
  await using tpm = await openTpm(address);
  const digest = hash("sha256", workload, "buffer");
  const zero = Buffer.alloc(digest.length);
  const expected = hash("sha256", Buffer.concat([zero, digest]), "buffer");
  const found = (await tpm.run(readPcrs([WORKLOAD_PCR]))).get(WORKLOAD_PCR);
  if (found !== undefined && expected.equals(found)) return;
  if (found === undefined || !zero.equals(found)) {
    const value = found?.toHex() ?? "not there";
    throw new LocalError("L-START", `PCR ${WORKLOAD_PCR} of the TPM is ${value}: something else was measured since this machine started`, {
      remedy: "Start the machine (or the TPM in software) anew: a TPM describes one workload at a time.",
    });
  }
  await tpm.run(extendPcr(WORKLOAD_PCR, digest));
}

/** Carries commands from a socket to the TPM, each connection to one of its own, and only what is allowed. */
export async function serveTpm(path: string, address: TpmAddress): Promise<Server> {
  rmSync(path, { force: true });
  const server = createServer((socket) => void serveConnection(socket, address));
  server.maxConnections = CONNECTIONS_MAX;
  server.listen(path);
  await once(server, "listening");
  return server;
}

async function serveConnection(socket: Socket, address: TpmAddress): Promise<void> {
  socket.on("error", () => socket.destroy());
  try {
    await using tpm = await openTpm(address);
    let received = Buffer.alloc(0);
    for await (const chunk of socket) {
      received = Buffer.concat([received, chunk as Buffer]);
      for (let size = sizeOf(received); received.length >= HEADER_BYTES && received.length >= size; size = sizeOf(received)) {
        if (size < HEADER_BYTES || size > COMMAND_MAX_BYTES) return void socket.destroy();
        socket.write(await carry(tpm, received.subarray(0, size)));
        received = received.subarray(size);
      }
    }
  } catch (error) {
    process.stderr.write(`error: TPM: ${error instanceof Error ? error.message : String(error)}\n`);
  } finally {
    socket.destroy();
  }
}

const sizeOf = (bytes: Buffer): number => (bytes.length < HEADER_BYTES ? HEADER_BYTES : bytes.readUInt32BE(2));

async function carry(tpm: TpmConnection, command: Buffer): Promise<Uint8Array> {
  if (!ALLOWED.has(command.readUInt32BE(6))) return REFUSAL;
  return tpm.run({ name: "a container's command", bytes: Uint8Array.from(command), parse: (answer) => Uint8Array.from(answer) });
}
