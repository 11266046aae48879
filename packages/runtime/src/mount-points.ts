export interface MountPoint {
  readonly target: string;
  readonly type: string;
}

/** Reads `/proc/self/mountinfo`: mounts in the order in which they were made, escapes such as `\\040` resolved (proc(5)). */
export function parseMountPoints(text: string): readonly MountPoint[] {
  const unescaped = (word: string) => word.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [before = "", after = ""] = line.split(" - ");
      return { target: unescaped(before.split(" ")[4] ?? ""), type: after.split(" ")[0] ?? "" };
    });
}
