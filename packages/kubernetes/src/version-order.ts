/** Whether version `a` is certainly older than `b`: both are numbers with dots, a leading `v` or not. */
export function isOlder(a: string, b: string): boolean {
  const numbers = (version: string) =>
    /^v?[0-9]+(\.[0-9]+)*$/.test(version) ? version.replace("v", "").split(".").map(Number) : undefined;
  const [left, right] = [numbers(a), numbers(b)];
  if (left === undefined || right === undefined) return false;
  for (let index = 0; index < Math.max(left.length, right.length); index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
