import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import type { IdPlan } from "./engine-order.ts";
import { LocalError } from "./local-error.ts";
import { runTool } from "./run-command.ts";

/*
 * Who is who. As root, containers get ids far above those of the machine's users, others for each mesh. An ordinary user has only what
 * /etc/subuid grants: root of the containers is the user, programs are subordinate ids. Either way a program has an id that nobody else has.
 */
const ROOT_ENGINE_FIRST_ID = 0x7000_0000;
const IDS_PER_MESH = 256;
const SUBORDINATE_IDS_NEEDED = IDS_PER_MESH;

export interface SubordinateRange {
  readonly first: number;
  readonly count: number;
}

/** Finds the user's range in the text of `/etc/subuid` or `/etc/subgid` (subuid(5)): by name or by number, the first that is large enough. */
export function findSubordinateRange(text: string, user: { readonly name: string; readonly uid: number }): SubordinateRange | undefined {
  for (const line of text.split("\n")) {
    const [owner, first, count] = line.split(":");
    if (owner !== user.name && owner !== String(user.uid)) continue;
    const range = { first: Number(first), count: Number(count) };
    if (Number.isSafeInteger(range.first) && range.first > 0 && range.count >= SUBORDINATE_IDS_NEEDED) return range;
  }
  return undefined;
}

/** Ids of a mesh as its host sees them. `slot` tells the meshes of one machine apart. */
export function planIds(isRootless: boolean, slot: number): IdPlan {
  if (isRootless) return { rootId: 0, firstProgramId: 1 };
  const rootId = ROOT_ENGINE_FIRST_ID + (slot % 0x8000) * IDS_PER_MESH;
  return { rootId, firstProgramId: rootId + 1 };
}

/** The ranges of the user who runs this process. Throws L-NAMESPACE with the command that grants them. */
export function readSubordinateRanges(): { readonly uids: SubordinateRange; readonly gids: SubordinateRange } {
  const { username: name, uid } = nameAndId();
  const find = (file: string) => {
    try {
      return findSubordinateRange(readFileSync(file, "utf8"), { name, uid });
    } catch {
      return undefined; // the file is missing: nobody has a range
    }
  };
  const [uids, gids] = [find("/etc/subuid"), find("/etc/subgid")];
  if (uids !== undefined && gids !== undefined) return { uids, gids };
  throw new LocalError("L-NAMESPACE", `user ${name} has no subordinate ids, so a program could not be kept apart from its container`, {
    remedy: `Run as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${name}`,
  });
}

function nameAndId(): { username: string; uid: number } {
  try {
    return userInfo();
  } catch {
    return { username: String(process.getuid?.()), uid: process.getuid?.() ?? -1 }; // a user id without an entry in passwd
  }
}

/** Maps the user to root and the subordinate ids behind it, in the user namespace of process `pid`. */
export async function mapSubordinateIds(pid: number): Promise<void> {
  const { uids, gids } = readSubordinateRanges();
  const { getuid, getgid } = process;
  const map = (own: number, { first, count }: SubordinateRange) => [String(pid), "0", String(own), "1", "1", String(first), String(count)];
  await runTool("newgidmap", map(getgid?.() ?? 0, gids));
  await runTool("newuidmap", map(getuid?.() ?? 0, uids));
}
