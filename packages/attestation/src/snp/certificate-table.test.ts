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
  const cut = Buffer.from(table([VCEK]).subarray(0, 30));
  cut.writeUInt32LE(0, 16); // its certificate lies inside what is left
  assert.throws(() => parseSnpCertificateTable(cut), { code: "EVIDENCE_MALFORMED", message: /entry 1 is cut off/ });
  for (const length of [0, 4, 0xffff_ffff]) {
    assert.throws(() => parseSnpCertificateTable(table([VCEK], { length })), { message: /entry 0 points behind the table/ });
  }
});
