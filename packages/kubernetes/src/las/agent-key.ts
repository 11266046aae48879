import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { KubernetesError } from "../kubernetes-error.ts";

/**
 * The node's signing key, Ed25519: made at the first start and kept on the node, so that a restarted or upgraded agent is the same to every CAS
 * (hazard I10). Throws E-AGENT-KEY when the file is readable by others or is no such key.
 */
export function openAgentKey(directory: string): KeyObject {
  const file = join(directory, "agent-key.pem");
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const stats = statSync(file, { throwIfNoEntry: false });
  if (stats === undefined) return createAgentKey(directory, file);
  const remedy = `Delete ${file} to make a new key, and enrol it at the CAS with \`kubectl provision\`.`;
  if ((stats.mode & 0o077) !== 0) throw new KubernetesError("E-AGENT-KEY", `${file} is readable by others`, { remedy });
  try {
    const key = createPrivateKey(readFileSync(file));
    if (key.asymmetricKeyType === "ed25519") return key;
  } catch (cause) {
    throw new KubernetesError("E-AGENT-KEY", `${file} cannot be read`, { cause, remedy });
  }
  throw new KubernetesError("E-AGENT-KEY", `${file} is no Ed25519 key`, { remedy });
}

/** Written beside, synced and renamed: a crash leaves no half key. */
function createAgentKey(directory: string, file: string): KeyObject {
  const { privateKey } = generateKeyPairSync("ed25519");
  const draft = `${file}.new`;
  const handle = openSync(draft, "w", 0o600);
  writeSync(handle, privateKey.export({ type: "pkcs8", format: "pem" }));
  fsyncSync(handle);
  closeSync(handle);
  renameSync(draft, file);
  const parent = openSync(directory, "r");
  fsyncSync(parent);
  closeSync(parent);
  return privateKey;
}
