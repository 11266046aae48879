import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { codeIdentity } from "./claims.ts";

const launch = new Uint8Array(48).fill(1);
const workload = { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "00ff" };

test("SL-85: for SGX the code measurement is MRENCLAVE itself", () => {
  assert.equal(codeIdentity("sgx", launch.subarray(16)), "01".repeat(32));
});

test("SL-85: for the others it is a hash over kind, launch measurement, image digest and file-system tag, each with its length", () => {
  const digest = createHash("sha256");
  for (const field of [Buffer.from("snp"), launch, Buffer.from(workload.imageDigest), Buffer.from("00ff")]) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    digest.update(length).update(field);
  }
  assert.equal(codeIdentity("snp", launch, workload), digest.digest("hex"));
});

test("a byte moved from one field to the next makes another code measurement", () => {
  const moved = { imageDigest: `${workload.imageDigest}0`, fileSystemTag: "0ff" };
  assert.notEqual(codeIdentity("snp", launch, workload), codeIdentity("snp", launch, moved));
  assert.notEqual(codeIdentity("snp", launch, workload), codeIdentity("tdx", launch, workload));
  assert.notEqual(codeIdentity("snp", launch), codeIdentity("snp", launch, { imageDigest: "", fileSystemTag: "0" }));
});
