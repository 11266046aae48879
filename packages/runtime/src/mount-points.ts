/** Targets of `/proc/self/mountinfo`: in the order in which the mounts were made, escapes such as `\\040` resolved (proc(5)). */
export function parseMountPoints(text: string): readonly string[] {
  const unescaped = (word: string) => word.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => unescaped(line.split(" ")[4] ?? ""));
}
