import type { TestEvent } from "node:test/reporters";

/** A reporter that ends the process with the first test that fails: whoever only asks whether all pass need not wait for the rest. */
export default async function* stopAtFailure(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type } of events) if (type === "test:fail") process.exit(1);
  yield "";
}
