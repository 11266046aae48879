import { promises as files } from "node:fs"; // looked up at first use: a start without a TPM does not load it
import { connect, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { type TpmCommand, TpmError } from "@vouchsafe/attestation";
import { AttesterError } from "./attester-error.ts";

/** A TPM: a character device of the kernel, or the socket of a TPM in software (raw commands, as swtpm serves them). */
export type TpmAddress = { readonly device: string } | { readonly path: string } | { readonly host: string; readonly port: number };

export interface TpmConnection extends AsyncDisposable {
  /** One command at a time. Throws TpmError for what the TPM refuses, AttesterError when it does not answer. */
  run<T>(command: TpmCommand<T>): Promise<T>;
}

const RESPONSE_MAX_BYTES = 4096;
const HEADER_BYTES = 10;
/** Making an RSA key takes a slow TPM half a minute. */
const ANSWER_TIMEOUT_MS = 120_000;

/** The TPM is busy or tests itself, and wants the same command once more: TPM_RC_YIELDED, TPM_RC_TESTING, TPM_RC_RETRY. */
const AGAIN: ReadonlySet<number | undefined> = new Set([0x908, 0x90a, 0x922]);
const AGAIN_FIRST_MS = 10;
const AGAIN_TIMES = 10;

/** Throws AttesterError where it cannot be opened. */
export async function openTpm(address: TpmAddress): Promise<TpmConnection> {
  try {
    return patient(
      "device" in address ? deviceConnection(await files.open(address.device, "r+")) : socketConnection(await connected(address)),
    );
  } catch (cause) {
    throw new AttesterError(`the TPM ${describeTpm(address)} cannot be opened`, {
      cause,
      remedy: "Process 1 of the container must be allowed to read and write it.",
    });
  }
}

export function describeTpm(address: TpmAddress): string {
  if ("device" in address) return address.device;
  return "path" in address ? address.path : `${address.host}:${address.port}`;
}

/** `device:/dev/tpmrm0`, `unix:/run/tpm.sock` or `tcp:HOST:PORT`; undefined for anything else. */
export function parseTpmAddress(text: string): TpmAddress | undefined {
  const [, scheme, rest = ""] = /^(device|unix|tcp):(.+)$/.exec(text) ?? [];
  if (scheme === "device" && rest.startsWith("/")) return { device: rest };
  if (scheme === "unix" && rest.startsWith("/")) return { path: rest };
  const [, host, port] = /^([^:]+|\[[0-9a-fA-F:]+\]):(\d{1,5})$/.exec(rest) ?? [];
  return scheme === "tcp" && host !== undefined ? { host: host.replace(/^\[|\]$/g, ""), port: Number(port) } : undefined;
}

function patient(tpm: TpmConnection): TpmConnection {
  return {
    run: async (command) => {
      for (let attempt = 0; ; attempt++) {
        try {
          return await tpm.run(command);
        } catch (error) {
          if (!(error instanceof TpmError && AGAIN.has(error.responseCode)) || attempt === AGAIN_TIMES) throw error;
          await sleep(AGAIN_FIRST_MS * 2 ** attempt);
        }
      }
    },
    [Symbol.asyncDispose]: () => tpm[Symbol.asyncDispose](),
  };
}

/** The kernel takes a command in one write and gives the answer in one read. */
function deviceConnection(file: files.FileHandle): TpmConnection {
  return {
    run: async ({ bytes, parse }) => {
      await file.write(bytes, 0, bytes.length, null);
      const buffer = new Uint8Array(RESPONSE_MAX_BYTES);
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      return parse(buffer.subarray(0, bytesRead));
    },
    [Symbol.asyncDispose]: () => file.close(),
  };
}

function socketConnection(socket: Socket): TpmConnection {
  let received: Uint8Array = new Uint8Array(0);
  let waiting: PromiseWithResolvers<Uint8Array> | undefined;
  let failure: Error | undefined;
  const fail = (message: string, cause?: unknown) => {
    failure ??= new AttesterError(message, { cause });
    waiting?.reject(failure);
    socket.destroy();
  };
  socket.setTimeout(ANSWER_TIMEOUT_MS, () => fail(`the TPM did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`));
  socket.on("error", (cause) => fail("the connection to the TPM broke", cause));
  socket.on("close", () => fail("the TPM closed the connection"));
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < HEADER_BYTES) return;
    const size = new DataView(received.buffer, received.byteOffset).getUint32(2);
    if (size > RESPONSE_MAX_BYTES) return fail(`the TPM announces an answer of ${size} bytes`);
    if (received.length < size) return;
    waiting?.resolve(received.subarray(0, size));
    received = received.subarray(size);
    waiting = undefined;
  });
  return {
    run: async ({ bytes, parse }) => {
      if (failure !== undefined) throw failure;
      waiting = Promise.withResolvers<Uint8Array>();
      const answer = waiting.promise;
      socket.write(bytes);
      return parse(await answer);
    },
    [Symbol.asyncDispose]: async () => {
      socket.removeAllListeners("close");
      socket.destroy();
    },
  };
}

function connected(address: Exclude<TpmAddress, { device: string }>): Promise<Socket> {
  const { promise, resolve, reject } = Promise.withResolvers<Socket>();
  const socket = connect(address);
  socket.once("error", reject);
  socket.once("connect", () => {
    socket.off("error", reject);
    resolve(socket);
  });
  return promise;
}
