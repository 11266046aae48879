import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { listensOn, untilListening } from "./listening.ts";

const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";
const line = (local: string, state: string) => `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000 65532 0 1\n`;
const tables = [
  { what: "an address of IPv4", text: line("00000000:1384", "0A"), listens: true },
  { what: "an address of IPv6", text: line("00000000000000000000000000000000:1384", "0A"), listens: true },
  { what: "loopback alone", text: line("0100007F:1384", "0A"), listens: true },
  { what: "another port", text: line("00000000:1385", "0A"), listens: false },
  { what: "a port that ends alike", text: line("00000000:0384", "0A"), listens: false },
  { what: "a connection from that port", text: line("0100007F:1384", "01"), listens: false },
  { what: "an empty table", text: "", listens: false },
];
for (const { what, text, listens } of tables) {
  test(`MF-123: ${what} ${listens ? "counts" : "does not count"} as listening on 4996`, () => {
    assert.equal(listensOn([HEAD + text], 4996), listens);
  });
}

test("MF-123: waiting ends when the program listens; MF-120: or after its time when it never does", async (t) => {
  const server = createServer().listen(0, "127.0.0.1");
  t.after(() => server.close());
  await once(server, "listening");
  const address = server.address();
  assert(address !== null && typeof address === "object");
  assert.equal(await untilListening(address.port, 60_000, new AbortController().signal), true);
  server.close();
  await once(server, "close");
  assert.equal(await untilListening(address.port, 10, new AbortController().signal), false);
  assert.equal(await untilListening(address.port, 3_600_000, AbortSignal.abort()), false);
});
