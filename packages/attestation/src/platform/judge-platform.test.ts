import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { verifyQeIdentity, verifyTcbInfo } from "../collateral/intel-collateral.ts";
import type { IsvTcbLevel, KnownTcbStatus } from "../collateral/tcb-info.ts";
import { verifyEvidence } from "../core/verify.ts";
import { VENDOR_TRUST_ANCHORS } from "../roots/vendor-roots.ts";
import { verifyQuoteSignatures } from "../sgx/verify-quote.ts";
import { type JsonDocument, type MintedIntel, mintedNow, mintIntel } from "../testing/mint-intel.ts";
import { intelPlatform } from "./describe-platform.ts";
import { judgeIntelPlatform, snpShortfalls, withShortfalls } from "./judge-platform.ts";
import type { IntelPlatform } from "./platform.ts";

function platformOf({ quote, root, context }: MintedIntel): IntelPlatform {
  return intelPlatform(verifyQuoteSignatures(quote, [root], context));
}

function documentsOf({ collateral, root }: Pick<MintedIntel, "collateral" | "root">) {
  const { tcbInfo, qeIdentity, tcbSigningChain } = collateral;
  if (tcbInfo === undefined || qeIdentity === undefined || tcbSigningChain === undefined) throw new TypeError("minted without documents");
  const context = { now: mintedNow };
  return {
    tcbInfo: verifyTcbInfo(tcbInfo, tcbSigningChain, [root], context).value,
    qeIdentity: verifyQeIdentity(qeIdentity, tcbSigningChain, [root], context).value,
  };
}

/** A recovery event: a new best level, everything known so far is out of date. */
function raise(change: (tcb: Record<string, { svn: number }[]> & { pcesvn: number }) => void) {
  return (document: JsonDocument) => {
    const levels = document["tcbLevels"] as (JsonDocument & { tcb: Parameters<typeof change>[0] })[];
    const [best] = levels;
    if (best === undefined) throw new TypeError("no level");
    const next = structuredClone(best);
    change(next.tcb);
    Object.assign(best, { tcbStatus: "OutOfDate", advisoryIDs: ["INTEL-SA-01234"] });
    levels.unshift(next);
  };
}

test("a platform that is up to date lacks nothing, and goes through JSON unchanged", () => {
  for (const tee of ["sgx", "tdx"] as const) {
    const minted = mintIntel({ tee });
    const platform = platformOf(minted);
    assert.deepEqual(JSON.parse(JSON.stringify(platform)), platform);
    const { tcb, shortfalls } = judgeIntelPlatform(platform, documentsOf(minted));
    assert.equal(tcb.status, "UpToDate");
    assert.deepEqual(shortfalls, []);
    const claims = verifyEvidence({ kind: tee, bytes: minted.quote }, minted.context);
    assert.deepEqual(claims.platform, platform);
    assert.deepEqual(claims.tcb, tcb);
  }
});

test("after a recovery event the components that are short are named, with how much", () => {
  const sgx = platformOf(mintIntel());
  const raised = mintIntel({
    tcbInfo: raise((tcb) => {
      const [first] = tcb["sgxtcbcomponents"] ?? [];
      if (first !== undefined) first.svn = 9;
      tcb.pcesvn = 15;
    }),
  });
  const judged = judgeIntelPlatform(sgx, documentsOf(raised));
  assert.equal(judged.tcb.status, "OutOfDate");
  assert.deepEqual(judged.tcb.advisories, ["INTEL-SA-01234"]);
  assert.deepEqual(judged.shortfalls, [
    { component: "SGX component 1", found: 5, needed: 9 },
    { component: "PCE", found: 13, needed: 15 },
  ]);
});

test("verified evidence of a platform that is out of date says what it lacks; of a current one nothing", () => {
  for (const tee of ["sgx", "tdx"] as const) {
    const { quote, context } = mintIntel({ tee, pceSvn: 12, sgxComponents: [4, 4, 1, 1, 2, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0] });
    const { tcb, platform } = verifyEvidence({ kind: tee, bytes: quote }, context);
    assert.equal(tcb.status, "OutOfDate");
    assert.ok(platform?.kind === tee);
    assert.deepEqual(tcb.shortfalls, judgeIntelPlatform(platform, documentsOf(mintIntel({ tee }))).shortfalls);
    assert.deepEqual(tcb.shortfalls?.at(-1), { component: "PCE", found: 12, needed: 13 });
    const current = mintIntel({ tee });
    assert.equal(verifyEvidence({ kind: tee, bytes: current.quote }, current.context).tcb.shortfalls, undefined);
    const alone = { ...context, insecure: "signature-chain-only" as const, collateral: {} };
    assert.equal(verifyEvidence({ kind: tee, bytes: quote }, alone).tcb.shortfalls, undefined);
    const behind = { status: "OutOfDate", advisories: [] } as const;
    assert.equal(withShortfalls(behind, platform, undefined), behind, "without documents nobody knows what is missing");
  }
});

test("TDX module and quoting enclave are parts of their own", () => {
  const old = platformOf(
    mintIntel({ tee: "tdx", body: (body) => void body.writeUInt8(3, 0), qeReport: (report) => void report.writeUInt16LE(6, 258) }),
  );
  const judged = judgeIntelPlatform(old, documentsOf(mintIntel({ tee: "tdx" })));
  assert.equal(judged.tcb.status, "OutOfDate");
  assert.deepEqual(judged.shortfalls, [
    { component: "TDX module TDX_01", found: 3, needed: 5 },
    { component: "quoting enclave", found: 6, needed: 8 },
  ]);
});

test("a module or quoting enclave lacks the next current level, and nothing while its own is current", () => {
  const platform = platformOf(mintIntel());
  const documents = documentsOf(mintIntel());
  const level = (isvSvn: number, status: KnownTcbStatus) => ({ isvSvn, status, advisories: [], date: mintedNow });
  const short = (found: number, ...levels: IsvTcbLevel[]) =>
    judgeIntelPlatform({ ...platform, qeIsvSvn: found }, { ...documents, qeIdentity: { ...documents.qeIdentity, levels } }).shortfalls;
  const needs = (found: number, needed: number) => [{ component: "quoting enclave", found, needed }];
  assert.deepEqual(short(6, level(8, "UpToDate"), level(6, "UpToDate")), []);
  assert.deepEqual(short(5, level(8, "UpToDate"), level(6, "OutOfDate"), level(4, "OutOfDate")), needs(5, 8));
  assert.deepEqual(short(5, level(8, "UpToDate"), level(7, "UpToDate"), level(4, "Revoked")), needs(5, 7));
  assert.deepEqual(short(3, level(8, "UpToDate"), level(6, "OutOfDate")), needs(3, 8));
  assert.deepEqual(short(8, level(8, "OutOfDate"), level(6, "UpToDate")), []);
});

test("hazard A4: the status of a TDX module counts for the platform, and a level that is revoked is no level to reach", () => {
  const tdx = mintIntel({ tee: "tdx", body: (body) => void body.writeUInt8(3, 0) });
  assert.equal(judgeIntelPlatform(platformOf(tdx), documentsOf(tdx)).tcb.status, "OutOfDate");
  const first = mintIntel({ tee: "tdx", body: (body) => void body.set([5, 0, 5]) });
  assert.equal(judgeIntelPlatform(platformOf(first), documentsOf(first)).tcb.status, "UpToDate");
  const revoked = mintIntel({ tcbInfo: (d) => void Object.assign((d["tcbLevels"] as JsonDocument[])[0] ?? {}, { tcbStatus: "Revoked" }) });
  assert.deepEqual(judgeIntelPlatform({ ...platformOf(revoked), pceSvn: 12 }, documentsOf(revoked)).shortfalls, []);
});

test("a document that cannot be judged is a bug of the caller, no status", () => {
  const documents = documentsOf(mintIntel());
  const levels = documents.tcbInfo.levels.map((level) => ({ ...level, date: undefined as never }));
  assert.throws(() => judgeIntelPlatform(platformOf(mintIntel()), { ...documents, tcbInfo: { ...documents.tcbInfo, levels } }), TypeError);
});

test("hazard A4: revoked and unknown levels are said as such, never as up to date", () => {
  const platform = platformOf(mintIntel());
  const status = (tcbStatus: string) => (document: JsonDocument) => {
    for (const level of document["tcbLevels"] as JsonDocument[]) Object.assign(level, { tcbStatus });
  };
  assert.equal(judgeIntelPlatform(platform, documentsOf(mintIntel({ tcbInfo: status("Revoked") }))).tcb.status, "Revoked");
  const tooLow = { ...platform, pceSvn: 0 };
  const judged = judgeIntelPlatform(tooLow, documentsOf(mintIntel()));
  assert.equal(judged.tcb.status, "Unknown");
  assert.match(judged.problem ?? "", /no TCB level fits/);
  assert.deepEqual(judged.shortfalls, [{ component: "PCE", found: 0, needed: 13 }]);
});

test("documents of another FMSPC or TEE judge nothing", () => {
  const platform = platformOf(mintIntel());
  assert.throws(() => judgeIntelPlatform(platform, documentsOf(mintIntel({ tee: "tdx" }))), TypeError);
  const [own, other] = [documentsOf(mintIntel()), documentsOf(mintIntel({ tee: "tdx" }))];
  assert.throws(() => judgeIntelPlatform(platform, { ...own, tcbInfo: other.tcbInfo }), TypeError);
  assert.throws(() => judgeIntelPlatform(platform, { ...own, qeIdentity: other.qeIdentity }), TypeError);
  assert.throws(() => judgeIntelPlatform({ ...platform, fmspc: "000000000000" }, documentsOf(mintIntel())), TypeError);
});

test("raising what is named as short makes the platform current; raising less does not", () => {
  const platform = platformOf(mintIntel());
  fc.assert(
    fc.property(fc.array(fc.nat(4), { minLength: 16, maxLength: 16 }), fc.nat(3), (raises, pce) => {
      const raised = mintIntel({
        tcbInfo: raise((tcb) => {
          for (const [index, component] of (tcb["sgxtcbcomponents"] ?? []).entries()) component.svn += raises[index] ?? 0;
          tcb.pcesvn += pce;
        }),
      });
      const documents = documentsOf(raised);
      const { tcb, shortfalls } = judgeIntelPlatform(platform, documents);
      if (shortfalls.length === 0) return assert.notEqual(tcb.status, "OutOfDate");
      assert.equal(tcb.status, "OutOfDate");
      const lift = (reduced: number) => ({
        ...platform,
        sgxComponents: platform.sgxComponents.map((svn, index) => {
          const needed = shortfalls.find(({ component }) => component === `SGX component ${index + 1}`)?.needed;
          return needed === undefined ? svn : needed - reduced;
        }),
        pceSvn: (shortfalls.find(({ component }) => component === "PCE")?.needed ?? platform.pceSvn + reduced) - reduced,
      });
      assert.deepEqual(judgeIntelPlatform(lift(0), documents).shortfalls, []);
      assert.equal(judgeIntelPlatform(lift(0), documents).tcb.status, "UpToDate");
      assert.notDeepEqual(judgeIntelPlatform(lift(1), documents).shortfalls, []);
    }),
    { numRuns: 40 },
  );
});

test("SEV-SNP: what is below a minimum", () => {
  const platform = {
    kind: "snp",
    id: "SNP_VLEK",
    product: "Milan",
    signingKey: "VLEK",
    reportedTcb: { bootLoader: 3, tee: 0, snp: 8, microcode: 115 },
    certifiedUntil: "2027-01-01T00:00:00.000Z",
  } as const;
  assert.deepEqual(snpShortfalls(platform, { snp: 8, microcode: 209 }), [{ component: "microcode", found: 115, needed: 209 }]);
  assert.deepEqual(snpShortfalls(platform, { fmc: 1 }), [{ component: "fmc", found: 0, needed: 1 }]);
});

const vectors = process.env["VOUCHSAFE_VECTORS"] ?? "";

test("recorded collateral before and after recovery events judges recorded platforms as verification does", {
  skip: existsSync(vectors) ? false : "VOUCHSAFE_VECTORS names no vector collection",
}, () => {
  interface Case {
    readonly verify_at: string;
    readonly expect: string;
    readonly tcbStatus?: string | null;
    readonly trust_anchor: string;
  }
  const recorded = (["sgx", "tdx"] as const).flatMap((kind) =>
    readdirSync(join(vectors, kind)).flatMap((name) => {
      const folder = join(vectors, kind, name);
      const expected = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8")) as Case; // the collection's own format
      if (
        /^(neg|syn)-/.test(name) ||
        expected.expect !== "ok" ||
        typeof expected.tcbStatus !== "string" ||
        expected.trust_anchor !== "Intel SGX Root CA (production)" ||
        !existsSync(join(folder, "tcb-info.json"))
      )
        return [];
      const read = (file: string) => readFileSync(join(folder, file));
      const now = new Date(expected.verify_at);
      const anchors = VENDOR_TRUST_ANCHORS[kind] ?? [];
      const chain = read("tcb-signing-chain.pem");
      const documents = {
        tcbInfo: verifyTcbInfo(read("tcb-info.json"), chain, anchors, { now }).value,
        qeIdentity: verifyQeIdentity(read("qe-identity.json"), chain, anchors, { now }).value,
      };
      const signed = verifyQuoteSignatures(read("quote.bin"), anchors, { now, trustAnchors: {}, collateral: {} });
      return [{ name, status: expected.tcbStatus, platform: intelPlatform(signed), documents }];
    }),
  );
  assert.ok(recorded.length >= 8, `${recorded.length} recorded cases`);
  let recoveries = 0;
  for (const { name, status, platform, documents } of recorded) {
    const judged = judgeIntelPlatform(platform, documents);
    assert.equal(judged.tcb.status, status, name);
    assert.equal(judged.shortfalls.length > 0, status.startsWith("OutOfDate"), name);
    for (const later of recorded) {
      const { tcbInfo, qeIdentity } = later.documents;
      if (later.platform.fmspc !== platform.fmspc || tcbInfo.tee !== platform.kind || tcbInfo.issueDate <= documents.tcbInfo.issueDate)
        continue;
      const after = judgeIntelPlatform(platform, { tcbInfo, qeIdentity });
      if (!status.startsWith("OutOfDate") && after.tcb.status.startsWith("OutOfDate")) {
        recoveries += 1;
        assert.ok(after.shortfalls.length > 0, `${name} under the documents of ${later.name}`);
        assert.ok(tcbInfo.tcbEvaluationDataNumber > documents.tcbInfo.tcbEvaluationDataNumber);
      }
    }
  }
  assert.ok(recoveries > 0, "no recorded platform goes out of date between two recorded sets");
});
