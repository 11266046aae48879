import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { encodeFrame, FrameDecoder, MAX_FRAME_BYTES } from "./frames.ts";
import { InstanceMessage } from "./messages.ts";

const ping = (id: number) => ({ type: "ping", id }) as const;

test("frames survive any cut of the stream", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(1e6), { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (ids, cuts) => {
      const stream = Buffer.concat(ids.map((id) => encodeFrame(ping(id))));
      const decoder = new FrameDecoder(InstanceMessage);
      const found: InstanceMessage[] = [];
      for (let at = 0, turn = 0; at < stream.length; turn += 1) {
        const size = cuts[turn % cuts.length] ?? 1;
        found.push(...decoder.push(stream.subarray(at, at + size)));
        at += size;
      }
      assert.deepEqual(found, ids.map(ping));
      assert.equal(decoder.isMidFrame, false);
    }),
  );
});

test("hazard I5: a frame that announces more than the limit is refused before its bytes arrive", () => {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(MAX_FRAME_BYTES + 1);
  assert.throws(() => new FrameDecoder(InstanceMessage).push(header), { code: "PROTOCOL_VIOLATION", message: /at most 4194304/ });
});

const refused = [
  { rule: "an unknown key", payload: JSON.stringify({ type: "ping", id: 1, more: 1 }) },
  { rule: "an unknown type", payload: JSON.stringify({ type: "hello" }) },
  { rule: "a number as text", payload: JSON.stringify({ type: "ping", id: "1" }) },
  { rule: "an empty frame", payload: "" },
  { rule: "invalid UTF-8", payload: Buffer.of(0x22, 0xff, 0x22) },
  { rule: "text after the JSON value", payload: '{"type":"ping","id":1} x' },
];
for (const { rule, payload } of refused) {
  test(`a frame with ${rule} is a violation`, () => {
    const body = Buffer.from(payload);
    const header = Buffer.alloc(4);
    header.writeUInt32BE(body.length);
    assert.throws(() => new FrameDecoder(InstanceMessage).push(Buffer.concat([header, body])), { code: "PROTOCOL_VIOLATION" });
  });
}

test("whatever arrives, the decoder answers with messages or PROTOCOL_VIOLATION", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        new FrameDecoder(InstanceMessage, 1024).push(bytes);
      } catch (error) {
        assert.equal((error as { code?: string }).code, "PROTOCOL_VIOLATION");
      }
    }),
  );
});
