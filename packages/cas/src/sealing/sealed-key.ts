import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { AES_256_GCM, openHpke, sealHpke, x25519PublicKey } from "@vouchsafe/policy";
import { z } from "zod";
import { instanceKey, instanceKeyText, type SealingProvider } from "./platform-key.ts";

const KEY_BYTES = 32;
const SALT_BYTES = 32;
const TAG_BYTES = 16;
const INSTANCE_INFO = Buffer.from("vouchsafe/database-key/1");
const Hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

/** The database key as the platform that made it keeps it. */
export const KeyForPlatform = z.strictObject({
  recipient: z.literal("platform"),
  sealing: z.literal("file"),
  platform: Hex(32),
  /** Of the software that sealed it: lower ones never get it. 0 in key stores of format 1, which kept none. */
  securityVersion: z.int().min(0),
  salt: Hex(SALT_BYTES),
  sealed: Hex(KEY_BYTES + TAG_BYTES),
});
type KeyForPlatform = z.infer<typeof KeyForPlatform>;

/** The database key for a registered instance, mostly on another machine (C-73, C-78). */
export const KeyForInstance = z.strictObject({
  recipient: z.literal("instance"),
  /** Key hash of the CAS whose database the key opens. */
  cas: z.string().max(64),
  /** Public X25519 key of the instance, as attested. */
  instanceKey: Hex(32),
  securityVersion: z.int().min(1),
  /** HPKE: encapsulated key, ciphertext, tag. */
  sealed: Hex(32 + KEY_BYTES + TAG_BYTES),
});
export type KeyForInstance = z.infer<typeof KeyForInstance>;

export const SealedKey = z.discriminatedUnion("recipient", [KeyForPlatform, KeyForInstance]);
export type SealedKey = z.infer<typeof SealedKey>;

export interface Instance {
  /** 64 hex digits. */
  readonly instanceKey: string;
  readonly securityVersion: number;
}

/** Seals for this platform, and for software that is at least as secure as this one. */
export function sealForPlatform(databaseKey: Uint8Array, provider: SealingProvider): KeyForPlatform {
  const { platformId, securityVersion } = provider;
  const salt = randomBytes(SALT_BYTES);
  const key = platformSealKey(provider, salt);
  const associated = platformContext(platformId, securityVersion);
  const cipher = createCipheriv("aes-256-gcm", key, Buffer.alloc(12)).setAAD(associated);
  const sealed = Buffer.concat([cipher.update(databaseKey), cipher.final(), cipher.getAuthTag()]);
  key.fill(0);
  const [saltText, sealedText] = [salt.toString("hex"), sealed.toString("hex")];
  return { recipient: "platform", sealing: "file", platform: platformId, securityVersion, salt: saltText, sealed: sealedText };
}

/** Seals for a registered instance; only a CAS that derives its key opens it. `cas`: key hash of the CAS that seals. */
export function sealForInstance(databaseKey: Uint8Array, { instanceKey: to, securityVersion }: Instance, cas: string): KeyForInstance {
  const options = { info: INSTANCE_INFO, associatedData: instanceContext(cas, to, securityVersion), aead: AES_256_GCM };
  const sealed = sealHpke(databaseKey, x25519PublicKey(Uint8Array.fromHex(to)), randomBytes(32), options);
  return { recipient: "instance", cas, instanceKey: to, securityVersion, sealed: sealed.toHex() };
}

/** Is this key for the platform at hand and for software of this security version? */
export function isSealedFor(key: SealedKey, provider: SealingProvider): boolean {
  return key.securityVersion <= provider.securityVersion && isSealedForMachine(key, provider);
}

/** Opens a key that `isSealedFor` this platform; undefined when it was changed. The caller overwrites it. */
export function unsealKey(key: SealedKey, provider: SealingProvider): Uint8Array | undefined {
  if (key.recipient === "platform") return openWithPlatform(key, provider);
  const associatedData = instanceContext(key.cas, key.instanceKey, key.securityVersion);
  const recipient = instanceKey(provider, key.securityVersion);
  return openHpke(Uint8Array.fromHex(key.sealed), recipient, { info: INSTANCE_INFO, associatedData, aead: AES_256_GCM });
}

function isSealedForMachine(key: SealedKey, provider: SealingProvider): boolean {
  if (key.recipient === "platform") return key.platform === provider.platformId;
  return key.instanceKey === instanceKeyText(provider, key.securityVersion);
}

function openWithPlatform({ platform, securityVersion, salt, sealed }: KeyForPlatform, provider: SealingProvider): Uint8Array | undefined {
  const bytes = Buffer.from(sealed, "hex");
  const key = platformSealKey(provider, Buffer.from(salt, "hex"));
  const decipher = createDecipheriv("aes-256-gcm", key, Buffer.alloc(12), { authTagLength: TAG_BYTES });
  decipher.setAAD(platformContext(platform, securityVersion)).setAuthTag(bytes.subarray(-TAG_BYTES));
  const opened = decipher.update(bytes.subarray(0, -TAG_BYTES)); // a stream cipher: all of it, `final` adds nothing but the verdict
  try {
    decipher.final();
    return opened;
  } catch {
    opened.fill(0);
    return undefined; // the cipher's own error says nothing more
  } finally {
    key.fill(0);
  }
}

/** One key for each sealing (fresh salt), hence the constant nonce. */
function platformSealKey({ platformKey }: SealingProvider, salt: Uint8Array): Buffer {
  return Buffer.from(hkdfSync("sha256", platformKey, salt, "vouchsafe/key-store/1", KEY_BYTES));
}

const platformContext = (platform: string, securityVersion: number): Buffer =>
  Buffer.from(`vouchsafe/key-store/1 file ${platform}${securityVersion === 0 ? "" : ` ${securityVersion}`}`);
const instanceContext = (cas: string, instance: string, securityVersion: number): Buffer =>
  Buffer.from(`${cas} ${instance} ${securityVersion}`);
