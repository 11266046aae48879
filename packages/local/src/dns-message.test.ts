import assert from "node:assert/strict";
import { Resolver } from "node:dns/promises";
import { once } from "node:events";
import { connect } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { answerQuery, type Zone } from "./dns-message.ts";
import { serveNames } from "./name-server.ts";

const zone: Zone = {
  addresses: new Map([
    ["clinic-redis", ["10.244.0.11"]],
    ["many.default.svc.cluster.local", Array.from({ length: 60 }, (_, index) => `10.244.1.${index}`)],
  ]),
};

function query(name: string, type = 1, flags = 0x0100): Buffer {
  const labels = name.split(".").map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]));
  const header = Buffer.from("abcd000000010000000000 00".replaceAll(" ", ""), "hex");
  header.writeUInt16BE(flags, 2);
  return Buffer.concat([header, ...labels, Buffer.of(0, 0, type, 0, 1)]);
}
const codeOf = (reply: Uint8Array | undefined): number => (reply?.[3] ?? 255) & 0x0f;

test("real resolvers find names of the mesh over UDP and TCP, in any case of letters, and learn that others do not exist", async (t) => {
  const server = await serveNames(zone, "127.0.0.1", 0);
  t.after(() => server[Symbol.asyncDispose]());
  const resolver = new Resolver({ timeout: 2000, tries: 1 });
  resolver.setServers([`127.0.0.1:${server.port}`]);
  assert.deepEqual(await resolver.resolve4("Clinic-Redis"), ["10.244.0.11"]);
  assert.equal((await resolver.resolve4("many.default.svc.cluster.local")).length, 60); // too long for UDP: asked again over TCP
  await assert.rejects(resolver.resolve4("example.org"), { code: "ENOTFOUND" });
  await assert.rejects(resolver.resolve6("clinic-redis"), { code: "ENODATA" });
});

test("a truncated reply says so and holds no answer", () => {
  const reply = Buffer.from(answerQuery(query("many.default.svc.cluster.local"), zone, 512) ?? []);
  assert.equal(reply.readUInt16BE(2) & 0x0200, 0x0200);
  assert.equal(reply.readUInt16BE(6), 0);
});

const refused = [
  { rule: "a reply", message: query("clinic-redis", 1, 0x8000), code: undefined },
  { rule: "less than a header", message: Buffer.alloc(11), code: undefined },
  { rule: "another operation than a query", message: query("clinic-redis", 1, 0x2800), code: 4 },
  { rule: "a name that ends in the middle", message: query("clinic-redis").subarray(0, 20), code: 1 },
  { rule: "a compression pointer", message: Buffer.concat([query("a").subarray(0, 12), Buffer.of(0xc0, 0x0c, 0, 1, 0, 1)]), code: 1 },
  { rule: "a name of more than 255 bytes", message: query(Array(10).fill("a".repeat(30)).join(".")), code: 1 },
];
for (const { rule, message, code } of refused) {
  test(`hazard J1: ${rule} gets ${code === undefined ? "no answer" : `the answer ${code}`}`, () => {
    const reply = answerQuery(message, zone, 512);
    if (code === undefined) assert.equal(reply, undefined);
    else assert.equal(codeOf(reply), code);
  });
}

test("no message makes the name server throw or answer with more than allowed", () => {
  const nearly = fc.tuple(fc.nat(29), fc.nat(255)).map(([at, value]) => query("clinic-redis").fill(value, at, at + 1));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 600 }), nearly), (message) => {
      assert((answerQuery(message, zone, 512)?.length ?? 0) <= 512);
    }),
  );
});

test("hazard J1: garbage on the TCP port ends the connection", async (t) => {
  const server = await serveNames(zone, "127.0.0.1", 0);
  t.after(() => server[Symbol.asyncDispose]());
  const socket = connect(server.port, "127.0.0.1");
  socket.end(Buffer.of(0, 3, 1, 2, 3));
  await once(socket.resume(), "close");
});
