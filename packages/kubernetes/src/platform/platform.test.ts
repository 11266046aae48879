import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { freePort } from "../testing/api-server.ts";
import { checkProcessor } from "./check-processor.ts";
import { waitForPort } from "./wait-for-port.ts";

const judged = [
  {
    what: "a processor with all features",
    text: "model name\t: X\nflags\t\t: fpu sse4_2 popcnt aes pclmulqdq avx2 sgx\n",
    ok: true,
    says: /TEE: SGX/,
  },
  { what: "a processor without a TEE", text: "model name\t: X\nflags\t\t: sse4_2 popcnt\n", ok: true, says: /no TEE.*node or simulated/s },
  { what: "a processor that is too old", text: "model name\t: X\nflags\t\t: fpu\n", ok: false, says: /lacks sse4_2, popcnt/ },
  { what: "another architecture", text: "Processor\t: ARM\n", ok: false, says: /no x86-64/ },
];
for (const { what, text, ok, says } of judged) {
  test(`CL-84: ${what}`, () => {
    const { isSufficient, lines } = checkProcessor(text);
    assert.equal(isSufficient, ok);
    assert.match(lines.join("\n"), says);
  });
}

test("MF-121: waiting ends when the port accepts a connection, and says once what it waits for", async () => {
  const port = await freePort();
  const said: string[] = [];
  const waiting = waitForPort("127.0.0.1", port, (line) => said.push(line), 50);
  await new Promise((resolve) => setTimeout(resolve, 200));
  const server = createServer().listen(port, "127.0.0.1");
  await once(server, "listening");
  await waiting;
  server.close();
  assert.deepEqual(said, [`waiting for 127.0.0.1:${port}`, `127.0.0.1:${port} accepts connections`]);
});
