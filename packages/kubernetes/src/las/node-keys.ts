import { chmodSync, mkdirSync } from "node:fs";
import { basename, join } from "node:path";
import { NODE_KEYS_DIRECTORY } from "../objects/node-platform.ts";

/**
 * The directory in which CAS pods on this node keep the node's platform key. Their user is not root, and the agent may not give files away: the inner
 * directory is open to all (with the sticky bit), the outer one to root alone. So it is reached through a mount only, which no ordinary pod gets.
 */
export function prepareNodeKeys(platformDirectory: string): void {
  chmodSync(platformDirectory, 0o700);
  const keys = join(platformDirectory, basename(NODE_KEYS_DIRECTORY));
  mkdirSync(keys, { recursive: true });
  chmodSync(keys, 0o1777);
}
