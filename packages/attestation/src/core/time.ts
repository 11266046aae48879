/**
 * The time that a caller calls the present, in milliseconds since 1970. A Date without a time (`new Date("yesterday")`) makes every comparison
 * false, so that nothing would be too old and nothing too new: it is refused, as the caller's mistake (TypeError).
 */
export function millisecondsOf(now: Date): number {
  const milliseconds = Number(now);
  if (Number.isNaN(milliseconds)) throw new TypeError("`now` is not a Date with a time in it: without the present nothing can be verified");
  return milliseconds;
}
