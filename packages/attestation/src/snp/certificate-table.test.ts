import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSnpCertificateTable } from "./certificate-table.ts";

const VCEK = "8d75da6364e66445adc5f4b93be8accd";
const UNKNOWN = "11".repeat(16);

/** Entries for one certificate of three bytes behind them, ended by zeros. */
function table(guids: readonly string[], { length = 3 } = {}): Uint8Array {
  const bytes = Buffer.alloc((guids.length + 1) * 24 + 3, 7).fill(0, guids.length * 24, (guids.length + 1) * 24);
  for (const [index, guid] of guids.entries()) {
    bytes.set(Buffer.from(guid, "hex"), index * 24);
    bytes.writeUInt32LE((guids.length + 1) * 24, index * 24 + 16);
    bytes.writeUInt32LE(length, index * 24 + 20);
  }
  return bytes;
}

test("a certificate table gives known certificates by name, an empty one none", () => {
  assert.deepEqual([...parseSnpCertificateTable(table([UNKNOWN, VCEK]))], [["VCEK", Buffer.of(7, 7, 7)]]);
  assert.equal(parseSnpCertificateTable(new Uint8Array(0)).size, 0);
});

test("hazard A17: a table of more entries than there are certificates, cut off, or pointing behind itself is refused", () => {
  assert.equal(parseSnpCertificateTable(table(Array<string>(16).fill(UNKNOWN))).size, 0);
  assert.throws(() => parseSnpCertificateTable(table(Array<string>(17).fill(UNKNOWN))), { message: /more than 16 entries/ });
  assert.throws(() => parseSnpCertificateTable(table([VCEK]).subarray(0, 30)), { code: "EVIDENCE_MALFORMED" });
  for (const length of [0, 4, 0xffff_ffff]) {
    assert.throws(() => parseSnpCertificateTable(table([VCEK], { length })), { message: /entry 0 points behind the table/ });
  }
});
