import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeQgsRequest, parseQgsAnswer, qgsLength, readQgsLength, TD_LOCAL_REPORT_BYTES } from "./qgs-message.ts";

interface AnswerParts {
  readonly major?: number;
  readonly type?: number;
  readonly size?: number;
  readonly error?: number;
  readonly idBytes?: number;
  readonly quoteBytes?: number;
}

const quote = Uint8Array.of(4, 0, 2, 0);

/** An answer with a key id of two bytes before the quote. */
function answer(parts: AnswerParts = {}): Uint8Array {
  const head = Buffer.alloc(24);
  head.writeUInt16LE(parts.major ?? 1, 0);
  head.writeUInt16LE(1, 2);
  for (const [index, value] of [parts.type ?? 1, parts.size ?? 30, parts.error ?? 0, parts.idBytes ?? 2, parts.quoteBytes ?? 4].entries())
    head.writeUInt32LE(value, 4 + index * 4);
  return Buffer.concat([head, Uint8Array.of(9, 9), quote]);
}

test("a request is the report behind header and lengths, with the length of all before it", () => {
  const report = new Uint8Array(TD_LOCAL_REPORT_BYTES).fill(7);
  const request = encodeQgsRequest(report);
  assert.equal(request.subarray(0, 28).toHex(), "00000418" + "01000000" + "00000000" + "18040000" + "00000000" + "00040000" + "00000000");
  assert.deepEqual(request.subarray(28), report);
  assert.equal(readQgsLength(request), request.length - 4);
  assert.throws(() => encodeQgsRequest(new Uint8Array(8)), TypeError);
});

test("an answer gives the quote behind the key id", () => {
  assert.deepEqual([...parseQgsAnswer(answer())], [...quote]);
});

const refused: readonly (readonly [AnswerParts, RegExp])[] = [
  [{ error: 0x12001 }, /refuses with error code 0x12001/],
  [{ major: 2 }, /version 2/],
  [{ type: 0 }, /type 0, not a quote/],
  [{ size: 31 }, /do not fit/],
  [{ idBytes: 3 }, /do not fit/],
  [{ quoteBytes: 0xffff_ffff }, /do not fit/],
  [{ idBytes: 6, quoteBytes: 0 }, /no quote/],
];
test("hazard A17: an answer that refuses, is of another kind, or whose lengths do not fit is refused; so is each cut of one", () => {
  for (const [parts, message] of refused) assert.throws(() => parseQgsAnswer(answer(parts)), { code: "EVIDENCE_MALFORMED", message });
  for (let length = 0; length < 30; length++)
    assert.throws(() => parseQgsAnswer(answer().subarray(0, length)), { code: "EVIDENCE_MALFORMED" });
  for (const bytes of [0, 23, 65_537, 0xffff_ffff]) assert.throws(() => readQgsLength(qgsLength(bytes)), { code: "EVIDENCE_MALFORMED" });
});
