import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { attestService } from "./service-client.ts";

test("C-46: a peer that accepts and never speaks is an unreachable CAS, which callers try again", async (t) => {
  const accepted = new Set<Socket>();
  const silent = createServer((socket) => accepted.add(socket.on("error", () => {})));
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  t.after(() => {
    for (const socket of accepted) socket.destroy();
    silent.close();
  });
  const { port } = silent.address() as AddressInfo;
  await assert.rejects(
    attestService({ host: "127.0.0.1", port, serviceId: "shop/api", evidence: undefined, runtimeVersion: "1", timeoutMs: 200 }),
    { code: "CAS_UNREACHABLE", message: /timed out/ },
  );
});
