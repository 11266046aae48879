import assert from "node:assert/strict";
import { test } from "node:test";
import { parseQuote } from "../sgx/quote.ts";
import { verifyQuoteSignatures } from "../sgx/verify-quote.ts";
import { verifySnpReport } from "../snp/verify-snp-report.ts";
import { mintIntel } from "../testing/mint-intel.ts";
import { chipId, mintSnp } from "../testing/mint-snp.ts";
import { intelPlatform, snpPlatform } from "./describe-platform.ts";

test("SL-87 a platform of Intel's is named by what its quoting enclave calls it, SGX and TDX apart", () => {
  for (const [tee, label] of [["sgx", "INTEL_QE_ID"] as const, ["tdx", "TDX_QE_ID"] as const]) {
    const { quote, root, context } = mintIntel({ tee });
    const { id, kind } = intelPlatform(verifyQuoteSignatures(quote, [root], context));
    assert.deepEqual([kind, id], [tee, `${label}:${parseQuote(quote).userData.subarray(0, 16).toHex()}`]);
  }
});

test("SL-87 a platform of AMD's is named by its chip where the chip's own key vouches for it, and has no name of its own under a VLEK", () => {
  assert.equal(snpPlatform(verifySnpReport(mintSnp())).id, `SNP_CHIP_ID:${chipId.toHex()}`);
  const provider = mintSnp({
    ...{ certificate: { kind: "VLEK" }, withoutHardwareId: true, report: { signerInfo: 1 << 2, chipId: new Uint8Array(64) } },
  });
  assert.equal(snpPlatform(verifySnpReport(provider)).id, "SNP_VLEK");
});
