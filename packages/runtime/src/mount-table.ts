/** A mount of this mount namespace, as the kernel lists it. */
export interface Mount {
  readonly target: string;
  /** Directory of its file system that is shown at the target. */
  readonly root: string;
  /** Type of its file system. */
  readonly type: string;
  /** Options of the mount itself, such as `ro` and `nosuid`. */
  readonly options: ReadonlySet<string>;
}

/** `/proc/self/mountinfo`: in the order in which the mounts were made, escapes such as `\\040` resolved (proc(5)). Of several on one target the last counts. */
export function parseMountTable(text: string): readonly Mount[] {
  const unescaped = (word = "") => word.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  const mounts = new Map<string, Mount>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    // id parent device root target options… [optional fields] - type source superoptions
    const [before = "", after = ""] = line.split(" - ");
    const [, , , root, target, options = ""] = before.split(" ");
    const mount = {
      target: unescaped(target),
      root: unescaped(root),
      type: after.split(" ")[0] ?? "",
      options: new Set(options.split(",")),
    };
    mounts.delete(mount.target);
    mounts.set(mount.target, mount);
  }
  return [...mounts.values()];
}
