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

/** One test of a primitive with all that it depends on: the file's algorithm, the members of its group, its own. */
export interface PrimitiveTest {
  readonly algorithm: string;
  readonly group: WycheproofGroup;
  readonly test: WycheproofTest;
}

/** Whether the primitive accepts the test's input and gives its output; what throws has refused it. */
export type Primitive = (test: PrimitiveTest) => boolean | Promise<boolean>;

type Members = Readonly<Record<string, unknown>>;

/** A member in hex; nothing where there is none. */
export const bytesOf = (members: Members, name: string): Buffer => Buffer.from(textOf(members, name), "hex");
export const textOf = (members: Members, name: string): string => String(members[name] ?? "");
