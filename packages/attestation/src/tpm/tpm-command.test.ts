import assert from "node:assert/strict";
import { test } from "node:test";
import { concat, u16, u32 } from "../core/bytes.ts";
import { sized, TpmError, tpmCommand } from "./tpm-command.ts";
import { readPcrs } from "./tpm-commands.ts";

const answer = (tag: number, code: number, body: Uint8Array) => concat(u16(tag), u32(10 + body.length), u32(code), body);
const plain = tpmCommand("Test", { code: 0x17e, handles: [0x80000001], parameters: [Uint8Array.of(9)] }, 1, ({ handles, parameters }) => [
  ...handles,
  parameters.uint(1, "parameter"),
]);

test("a command without authorisation has no sessions; one with any counts their bytes", () => {
  assert.equal(plain.bytes.toHex(), "80010000000f0000017e8000000109");
  const authorised = (authorisation: "password" | { readonly session: number }) =>
    tpmCommand("Test", { code: 0x158, handles: [1], authorisations: [authorisation], parameters: [] }, 0, () => undefined).bytes.toHex();
  assert.equal(authorised("password"), "80020000001b000001580000000100000009" + "40000009" + "0000" + "01" + "0000");
  assert.equal(authorised({ session: 0x03000000 }), "80020000001b000001580000000100000009" + "03000000" + "0000" + "01" + "0000");
});

test("an answer gives handles and parameters, with or without sessions behind them", () => {
  const body = concat(u32(0x80000002), Uint8Array.of(7));
  assert.deepEqual(plain.parse(answer(0x8001, 0, body)), [0x80000002, 7]);
  const withSession = concat(u32(0x80000002), u32(1), Uint8Array.of(7), Uint8Array.of(0, 0, 1, 0, 0));
  assert.deepEqual(plain.parse(answer(0x8002, 0, withSession)), [0x80000002, 7]);
});

test("an answer that is a refusal, of another length than it says, or longer than any, is no answer", () => {
  const refusal = (error: unknown) =>
    error instanceof TpmError && error.responseCode === 0x98e && /tpm2_rc_decode 0x98e/.test(error.remedy ?? "");
  assert.throws(() => plain.parse(answer(0x8001, 0x98e, new Uint8Array(0))), refusal);
  const unreadable = (message: RegExp) => (error: unknown) =>
    error instanceof TpmError && error.responseCode === undefined && error.remedy === undefined && message.test(error.message);
  const whole = answer(0x8001, 0, concat(u32(0x80000002), Uint8Array.of(7)));
  assert.throws(() => plain.parse(Uint8Array.of(...whole, 0)), unreadable(/it says 15 bytes and has 16/));
  assert.throws(() => plain.parse(answer(0x8001, 0, new Uint8Array(4087))), unreadable(/4097 bytes, at most 4096/));
});

test("values of PCRs are those of the SHA-256 bank that came, by number", () => {
  const { bytes, parse } = readPcrs([17, 0, 1, 2, 3, 4, 5, 6, 7]);
  assert.equal(bytes.subarray(-10).toHex(), "00000001" + "000b" + "03ff0000", "eight at a time, ascending");
  const digest = (fill: number) => sized(new Uint8Array(32).fill(fill));
  const selection = (bank: number, ...select: readonly number[]) => concat(u16(bank), Uint8Array.of(select.length, ...select));
  const came = concat(u32(41), u32(2), selection(0x0004, 0xff, 0, 0), selection(0x000b, 0b101, 0, 2), u32(2), digest(1), digest(2));
  const values = parse(answer(0x8001, 0, came));
  assert.deepEqual(
    [...values].map(([index, value]) => [index, value[0]]),
    [
      [0, 1],
      [2, 2],
    ],
    "17 was asked for and did not come",
  );
});
