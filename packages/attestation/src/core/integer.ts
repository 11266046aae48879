/** Whether a value from outside is a whole number from `min` to `max`, without rounding: what JSON or CBOR says about a count, an index or a version. */
export const isIntegerWithin = (value: unknown, min: number, max: number): value is number =>
  Number.isSafeInteger(value) && min <= (value as number) && (value as number) <= max; // a safe integer is a number
