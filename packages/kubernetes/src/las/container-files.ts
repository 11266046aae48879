import { lstatSync, readdirSync, readFileSync, readlinkSync, type Stats } from "node:fs";

/** The layers of a container's root file system, as directories of the machine. */
export interface OverlayRoot {
  /** Written by the container since its start. */
  readonly upper: string;
  /** From the image, the topmost first. */
  readonly lowers: readonly string[];
}

const MAX_LINKS = 40;

/** The machine as this process sees it: a node agent in a pod sees its file system below another directory. */
export interface Machine {
  readonly proc: string;
  /** Root directory of the machine, without a slash at the end. */
  readonly root: string;
}

/** Layers of the overlay that is a process's root, from its mount table; undefined where the root is no overlay. */
export function readOverlayRoot(pid: number, { proc, root }: Machine): OverlayRoot | undefined {
  const table = readFileSync(`${proc}/${pid}/mountinfo`, "utf8");
  // proc(5): id parent device root mountpoint options… - type source superoptions. The last mount on "/" is the one in force.
  const roots = table.split("\n").filter((line) => line.split(" ")[4] === "/");
  const [, tail = ""] = roots.at(-1)?.split(" - ") ?? [];
  const [type, , options = ""] = tail.split(" ");
  if (type !== "overlay") return undefined;
  const values = new Map(options.split(",").map((option) => [option.slice(0, option.indexOf("=")), option.slice(option.indexOf("=") + 1)]));
  const [upper, lowers] = [values.get("upperdir"), splitLayers(values.get("lowerdir") ?? "")];
  if (upper === undefined || lowers.length === 0) return undefined;
  if (![upper, ...lowers].every((directory) => directory.startsWith("/"))) return undefined;
  return { upper: root + decodeOctal(upper), lowers: lowers.map((directory) => root + directory) };
}

/**
 * Resolves a path as the container would, without ever leaving its root: links are followed by hand, below `root`. Undefined where there is
 * nothing. The result is a path of this process that contains no link below `root`.
 */
export function resolveInRoot(root: string, path: string): string | undefined {
  let resolved = "";
  let links = 0;
  const pending = path.split("/");
  for (let part = pending.shift(); part !== undefined; part = pending.shift()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      resolved = resolved.slice(0, Math.max(0, resolved.lastIndexOf("/")));
      continue;
    }
    const next = `${resolved}/${part}`;
    const stats = statOrUndefined(root + next);
    if (stats === undefined) return undefined;
    if (!stats.isSymbolicLink()) {
      resolved = next;
      continue;
    }
    links += 1;
    if (links > MAX_LINKS) return undefined;
    const target = readlinkSync(root + next);
    if (target.startsWith("/")) resolved = "";
    pending.unshift(...target.split("/"));
  }
  return root + resolved;
}

/**
 * First entry that the container has changed where only root may: anything but a directory that root owns in the writable layer and that is no
 * mount point. A container without root rights can have none, so such an entry means that its files are not the image's.
 */
export function findChangedByRoot(root: OverlayRoot, mountPoints: readonly string[], maxEntries = 50_000): string | undefined {
  let entries = 0;
  const visit = (path: string): string | undefined => {
    for (const name of readdirSync(`${root.upper}${path}`)) {
      const child = `${path}/${name}`;
      const stats = statOrUndefined(`${root.upper}${child}`);
      if (stats === undefined || mountPoints.includes(child)) continue; // gone meanwhile, or not the layer's own
      entries += 1;
      if (entries > maxEntries) return `${child} (and more than ${maxEntries} others)`;
      if (!stats.isDirectory()) {
        if (stats.uid === 0) return child;
        continue;
      }
      const below = visit(child);
      if (below !== undefined) return below;
    }
    return undefined;
  };
  return visit("");
}

/** Whether the image has a file, or a directory with something in it, at a path: what a mount there would hide. */
export function isOccupiedByImage(root: OverlayRoot, path: string): boolean {
  return root.lowers.some((lower) => {
    const found = resolveInRoot(lower, path);
    return found !== undefined && (!lstatSync(found).isDirectory() || readdirSync(found).length > 0);
  });
}

function statOrUndefined(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false });
}

/** Mount tables write blank, comma, newline and backslash as octal escapes. */
const decodeOctal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));

/** Layers stand with colons between them; a colon or a backslash in a name has a backslash before it. */
function splitLayers(option: string): readonly string[] {
  return (decodeOctal(option).match(/(?:\\.|[^:\\])+/g) ?? []).map((layer) => layer.replace(/\\(.)/g, "$1"));
}
