import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { constants, copyFile, link, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { keyHashOf } from "@vouchsafe/policy";
import { z } from "zod";
import { CliError } from "./cli-error.ts";
import type { Shell } from "./shell.ts";

/** The client: its connection key and its session-signing key. */
export interface ClientIdentity {
  /** Hash of the connection key (C-19). */
  readonly keyHash: string;
  readonly signingKey: KeyObject;
  /** PEM of the public signing key. */
  readonly signer: string;
}

const ClientKeys = z.looseObject({ identity_key: z.string(), signing_key: z.string() });

/** Reads the client's keys, and makes them at the first use (C-20). The file has mode 0600 and holds nothing else that is secret. */
export async function obtainClientIdentity({ casConfig, environment }: Shell): Promise<ClientIdentity> {
  const file = environment["SCONE_CLI_CONFIG"] || join(casConfig, "config.json");
  const text = (await readFile(file, "utf8").catch(() => undefined)) ?? (await createKeys(file)); // absent at the first use
  let keys: z.infer<typeof ClientKeys>;
  try {
    keys = ClientKeys.parse(JSON.parse(text));
  } catch (cause) {
    throw new CliError("E-CAS-CONFIG", `${file} is no client configuration`, {
      cause,
      remedy: "Move it away; a new identity is made then.",
    });
  }
  const signingKey = createPrivateKey(keys.signing_key);
  return {
    keyHash: keyHashOf(createPublicKey(createPrivateKey(keys.identity_key))),
    signingKey,
    signer: String(createPublicKey(signingKey).export({ type: "spki", format: "pem" })),
  };
}

async function createKeys(file: string): Promise<string> {
  const pem = (key: KeyObject): string => String(key.export({ type: "pkcs8", format: "pem" }));
  const keys = {
    identity_key: pem(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey),
    signing_key: pem(generateKeyPairSync("ed25519").privateKey),
  };
  const text = `${JSON.stringify(keys, null, 2)}\n`;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  // Under a name of its own first: whoever reads the file at this moment finds it whole or not at all.
  const unfinished = `${file}.${process.pid}`;
  try {
    await writeFile(unfinished, text, { mode: 0o600, flush: true });
    await link(unfinished, file).catch((error: unknown) => {
      if (!lacksHardLinks(error)) throw error;
      return copyFile(unfinished, file, constants.COPYFILE_EXCL);
    });
    return text;
  } catch (cause) {
    // Another run may have been first: its keys count.
    const other = await readFile(file, "utf8").catch(() => undefined);
    if (other !== undefined) return other;
    throw new CliError("E-CAS-CONFIG", `${file} cannot be written`, { cause, remedy: "Name another directory with --cas-config." });
  } finally {
    await rm(unfinished, { force: true });
  }
}

/** Some file systems, of other systems and over networks, have no second name for a file. */
const lacksHardLinks = (error: unknown): boolean =>
  error instanceof Error && "code" in error && ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS"].includes(String(error.code));
