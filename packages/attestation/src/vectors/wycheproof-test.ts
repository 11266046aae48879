/** Tests of a Wycheproof file; other members depend on the type of their group. */
export interface WycheproofTest {
  readonly tcId: number;
  readonly result: "valid" | "invalid" | "acceptable";
  readonly flags?: readonly string[];
  readonly [member: string]: unknown;
}

export interface WycheproofGroup {
  readonly type: string;
  readonly tests: readonly WycheproofTest[];
  readonly [member: string]: unknown;
}
