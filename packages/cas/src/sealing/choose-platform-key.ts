import { existsSync } from "node:fs";
import { readKeyStore } from "./key-store.ts";
import { openPlatformKeyFile } from "./platform-key.ts";
import { isSealedFor } from "./sealed-key.ts";

/**
 * Where a CAS may come from another machine, its platform key can lie in several places: the first one for which the key store holds the database key
 * counts. Where none does, or there is no key store yet, the first. No file is made. Throws KEY_STORE for a damaged file.
 */
export function choosePlatformKey(keyStore: string, candidates: readonly string[], securityVersion: number): string {
  const [first] = candidates;
  if (first === undefined) throw new TypeError("a CAS has a platform key");
  if (candidates.length === 1 || !existsSync(keyStore)) return first;
  const { keys, next } = readKeyStore(keyStore);
  const sealed = [...keys, ...(next?.keys ?? [])];
  const opens = (path: string): boolean => {
    if (!existsSync(path)) return false;
    const provider = openPlatformKeyFile(path, securityVersion);
    try {
      return sealed.some((key) => isSealedFor(key, provider));
    } finally {
      provider.forget();
    }
  };
  return candidates.find(opens) ?? first;
}
