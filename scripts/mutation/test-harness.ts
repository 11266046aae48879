/**
 * Stands in for `node:test` in a process that runs the same tests many times. Only what the project's tests use; anything else is missing, and its
 * import fails aloud. Hooks of a file run once, before its first test and when the process ends.
 */
import { mock, type TestContext } from "node:test";

type Body = (context: TestContext) => unknown;
type Hook = () => unknown;
interface Options {
  readonly skip?: boolean | string;
  readonly timeout?: number;
}

interface Suite {
  readonly before: Hook[];
  isStarted: boolean;
}

export interface RegisteredTest {
  readonly name: string;
  readonly suites: readonly Suite[];
  readonly body: Body;
}

export const registeredTests: RegisteredTest[] = [];
const afterHooks: Hook[] = [];
let suites: readonly Suite[] = [{ before: [], isStarted: false }];
/** What came up outside of a test's own promise: callbacks that throw, promises nobody awaits. */
export const strayErrors: unknown[] = [];

export function test(name: string, ...rest: readonly [Body] | readonly [Options, Body]): void {
  const [options, body] = rest.length === 2 ? rest : [{}, rest[0]];
  if (options.skip === undefined || options.skip === false) registeredTests.push({ name, suites, body });
}

export function describe(_name: string, body: Hook): void {
  const outer = suites;
  suites = [...outer, { before: [], isStarted: false }];
  body();
  suites = outer;
}

export function before(hook: Hook): void {
  suites.at(-1)?.before.push(hook);
}

export function after(hook: Hook): void {
  afterHooks.push(hook);
}

export async function runAfterHooks(): Promise<undefined> {
  for (const hook of afterHooks) await hook();
}

/** Undefined if the test passes, else why not. */
export async function runTest({ name, suites: around, body }: RegisteredTest): Promise<unknown> {
  strayErrors.length = 0;
  try {
    for (const suite of around.filter(({ isStarted }) => !isStarted)) {
      suite.isStarted = true;
      for (const hook of suite.before) await hook();
    }
    await runBody(name, body);
    return strayErrors[0];
  } catch (error) {
    return error ?? new Error("nothing was thrown");
  }
}

async function runBody(name: string, body: Body): Promise<void> {
  const hooks: Hook[] = [];
  const aborting = new AbortController();
  const context = {
    name,
    mock,
    signal: aborting.signal,
    after: (hook: Hook) => void hooks.push(hook),
    diagnostic: () => undefined,
    skip: () => undefined,
    test: (inner: string, innerBody: Body) => runBody(inner, innerBody),
  };
  try {
    await body(context as unknown as TestContext);
  } finally {
    mock.reset();
    aborting.abort();
    for (const hook of hooks) await hook();
  }
}
