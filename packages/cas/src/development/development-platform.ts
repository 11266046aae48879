import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createDevelopmentRoot, type SimulatedPlatformKeys } from "@vouchsafe/attestation";
import { z } from "zod";
import { CasError } from "../cas-error.ts";
import { writeDurably } from "../sealing/durable-file.ts";

/** Keys of the software platform, and the root (DER) under which its evidence is believed by the CAS that made it. */
export interface DevelopmentPlatform {
  readonly keys: SimulatedPlatformKeys;
  readonly root: Uint8Array;
}

const Keys = z.strictObject({ root: z.string(), authority: z.string(), processor: z.string(), platform: z.string(), quoting: z.string() });
const RENEW_BEFORE_MS = 60 * 86_400_000;

/**
 * The development root of this directory and the hardware that exists below it on paper. Made at first use, with mode 0600: whoever can read it
 * makes evidence that this CAS believes where a policy names `simulated`. The root is certified anew before its year is over.
 */
export function openDevelopmentPlatform(directory: string, now: Date): DevelopmentPlatform {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const keys = readKeys(join(directory, "keys.json")) ?? makeKeys(join(directory, "keys.json"));
  const file = join(directory, "root.pem");
  const known = readRoot(file);
  if (known !== undefined && new Date(known.validTo).getTime() - now.getTime() > RENEW_BEFORE_MS && known.checkPrivateKey(keys.root))
    return { keys, root: known.raw };
  const root = new X509Certificate(createDevelopmentRoot(keys.root, now));
  writeDurably(file, root.toString());
  return { keys, root: root.raw };
}

function readKeys(file: string): SimulatedPlatformKeys | undefined {
  const text = readIfThere(file);
  if (text === undefined) return undefined;
  try {
    const pem = Keys.parse(JSON.parse(text));
    return {
      root: createPrivateKey(pem.root),
      authority: createPrivateKey(pem.authority),
      processor: createPrivateKey(pem.processor),
      platform: createPrivateKey(pem.platform),
      quoting: createPrivateKey(pem.quoting),
    };
  } catch (cause) {
    throw new CasError("CONFIGURATION", `${file} holds no keys of a software platform`, { cause, remedy: "Delete it: new ones are made." });
  }
}

function makeKeys(file: string): SimulatedPlatformKeys {
  const key = (namedCurve = "P-256") => generateKeyPairSync("ec", { namedCurve }).privateKey;
  const keys = { root: key(), authority: key(), processor: key("P-384"), platform: key(), quoting: key() };
  writeDurably(file, JSON.stringify(Object.fromEntries(Object.entries(keys).map(([name, value]) => [name, pemOf(value)]))));
  return keys;
}

function readRoot(file: string): X509Certificate | undefined {
  const text = readIfThere(file);
  return text === undefined ? undefined : new X509Certificate(text);
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

const pemOf = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString();
