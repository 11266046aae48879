import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type Evidence, type EvidenceKind, type TrustAnchors, verifyEvidence } from "@vouchsafe/attestation";
import { mintedNow, mintIntel } from "../../attestation/src/testing/mint-intel.ts";
import { chipId, mintedAt, mintSnp, type SnpMint } from "../../attestation/src/testing/mint-snp.ts";
import { certificatePem } from "../../attestation/src/x509/issue-certificate.ts";
import { collateralFor } from "./collateral-for.ts";
import { CollateralProvider } from "./provider/collateral-provider.ts";
import { memoryFloors } from "./provider/evaluation-floors.ts";
import { amdSource } from "./sources/amd-source.ts";
import { intelSource } from "./sources/intel-source.ts";
import { type CollateralServer, pckIssuerChain, startCollateralServer } from "./testing/collateral-server.ts";

function providerOf(server: CollateralServer | undefined, anchors: TrustAnchors, now: Date): CollateralProvider {
  const sources = server === undefined ? [] : [intelSource(server.url), amdSource(server.url)];
  return new CollateralProvider({ sources, anchors, floors: memoryFloors(), now: () => now, random: () => 0.5 });
}

async function verifyWith(provider: CollateralProvider, evidence: Evidence, trustAnchors: TrustAnchors, now: Date) {
  const collateral = await collateralFor(provider, evidence, { update: "standard", context: { now, trustAnchors } });
  return verifyEvidence(evidence, { now, trustAnchors, collateral });
}

for (const tee of ["sgx", "tdx"] as const) {
  test(`a quote of ${tee} is verified with what the source gives, and asked about only when it is signed`, async (t) => {
    const minted = mintIntel({ tee });
    const anchors = { [tee]: [minted.root] };
    const server = await startCollateralServer(t);
    server.serveIntel(minted, { tee });
    const provider = providerOf(server, anchors, mintedNow);
    const claims = await verifyWith(provider, { kind: tee, bytes: minted.quote }, anchors, mintedNow);
    assert.equal(claims.tcb.status, "UpToDate");
    const asked = server.requests.length;
    assert.equal(asked, 4);
    const forged = Uint8Array.from(minted.quote);
    forged[100] = (forged[100] ?? 0) ^ 1;
    await assert.rejects(verifyWith(providerOf(server, anchors, mintedNow), { kind: tee, bytes: forged }, anchors, mintedNow), {
      reason: "bad-signature",
    });
    assert.equal(server.requests.length, asked, "hazard A23: a stranger cannot make the provider ask");
  });
}

test("C-41: documents that came with a quote serve where no source has them; never against one that was seen", async (t) => {
  const minted = mintIntel();
  const anchors = { sgx: [minted.root] };
  const { collateral } = minted;
  const sent = new Map(
    Object.entries({
      "tcb-info.json": collateral.tcbInfo,
      "qe-identity.json": collateral.qeIdentity,
      "tcb-signing-chain.pem": collateral.tcbSigningChain,
      "pck-crl.der": collateral.pckCrl,
      "pck-crl-issuer-chain.pem": Buffer.from(pckIssuerChain(minted)),
      "root-ca-crl.der": collateral.rootCaCrl,
    }).flatMap(([name, bytes]) => (bytes === undefined ? [] : [[name, bytes] as const])),
  );
  const evidence = { kind: "sgx", bytes: minted.quote, endorsements: sent } as const;
  assert.equal((await verifyWith(providerOf(undefined, anchors, mintedNow), evidence, anchors, mintedNow)).tcb.status, "UpToDate");
  for (const name of sent.keys()) {
    const without = new Map([...sent].filter(([other]) => other !== name));
    await assert.rejects(
      verifyWith(providerOf(undefined, anchors, mintedNow), { ...evidence, endorsements: without }, anchors, mintedNow),
      {
        code: /tcb-signing|issuer-chain/.test(name) ? "COLLATERAL_REFUSED" : "COLLATERAL_UNAVAILABLE",
      },
    );
  }
  const newer = mintIntel({ tcbInfo: (d) => void Object.assign(d, { tcbEvaluationDataNumber: 21 }) });
  const server = await startCollateralServer(t);
  server.serveIntel(newer);
  const provider = providerOf(server, anchors, mintedNow);
  await verifyWith(provider, evidence, anchors, mintedNow);
  await server.stop();
  await assert.rejects(
    provider.offer({
      request: { kind: "tcb-info", tee: "sgx", fmspc: "00906ed50000", update: "standard" },
      body: sent.get("tcb-info.json") ?? new Uint8Array(),
      chain: sent.get("tcb-signing-chain.pem"),
      fetchedAt: mintedNow,
      source: "evidence",
    }),
    { code: "COLLATERAL_REFUSED", message: /evaluation 20, but 21 has been seen/ },
  );
});

const VCEK_PATH = `/vcek/v1/Milan/${Buffer.from(chipId).toString("hex")}?blSPL=03&teeSPL=00&snpSPL=08&ucodeSPL=115`;

async function startKds(t: TestContext, mint: SnpMint = { revoked: ["stranger"] }) {
  const minted = mintSnp(mint);
  const server = await startCollateralServer(t);
  const root = minted.anchors[0]?.der ?? new Uint8Array();
  server.documents.set(VCEK_PATH, { body: minted.endorsementKey.der });
  server.documents.set("/vcek/v1/Milan/cert_chain", { body: Buffer.from([minted.signer.der, root].map(certificatePem).join("")) });
  if (minted.revocationList !== undefined) server.documents.set("/vcek/v1/Milan/crl", { body: minted.revocationList.der });
  const anchors = { snp: [root] } as const satisfies Partial<Record<EvidenceKind, readonly Uint8Array[]>>;
  return { server, minted, anchors, provider: providerOf(server, anchors, mintedAt) };
}

test("a report without certificates is verified with the VCEK of its chip and versions, its issuer and AMD's list", async (t) => {
  const { server, minted, anchors, provider } = await startKds(t);
  const claims = await verifyWith(provider, { kind: "snp", bytes: minted.report }, anchors, mintedAt);
  assert.equal(claims.details["signingKey"], "VCEK");
  assert.deepEqual(server.requests.toSorted(), [VCEK_PATH, "/vcek/v1/Milan/cert_chain", "/vcek/v1/Milan/crl"].toSorted());
});

test("hazard A7: without AMD's list, or when it names the intermediate, a report proves nothing", async (t) => {
  const without = await startKds(t, {});
  await assert.rejects(verifyWith(without.provider, { kind: "snp", bytes: without.minted.report }, without.anchors, mintedAt), {
    code: "COLLATERAL_UNAVAILABLE",
    message: /amd\/vcek\/Milan\/crl/,
  });
  const revoked = await startKds(t, { revoked: ["signer"] });
  await assert.rejects(verifyWith(revoked.provider, { kind: "snp", bytes: revoked.minted.report }, revoked.anchors, mintedAt), {
    reason: "cert-revoked",
  });
  // A host cannot send an older list along in place of the one that the relying party has.
  const older = without.minted.revocationList ?? mintSnp({ revoked: ["stranger"] }).revocationList;
  const endorsements = new Map([["amd-crl", older?.der ?? new Uint8Array()]]);
  await assert.rejects(
    verifyWith(revoked.provider, { kind: "snp", bytes: revoked.minted.report, endorsements }, revoked.anchors, mintedAt),
    {
      reason: "cert-revoked",
    },
  );
});

test("a VCEK of another chip, of other versions or of another issuer is refused", async (t) => {
  const wrong: readonly [SnpMint, RegExp][] = [
    [{ certificate: { hardwareId: new Uint8Array(64).fill(1) } }, /another chip/],
    [{ certificate: { tcb: { bootLoader: 4, tee: 0, snp: 8, microcode: 115 } } }, /other security versions/],
    [{ rootKey: "stranger" }, /certification path/],
  ];
  for (const [mint, says] of wrong) {
    const { minted, anchors, provider } = await startKds(t, { ...mint, revoked: ["stranger"] });
    await assert.rejects(verifyWith(provider, { kind: "snp", bytes: minted.report }, anchors, mintedAt), {
      code: "COLLATERAL_UNAVAILABLE",
      message: says,
    });
  }
});

test("made-up chips cost at most sixty questions a minute", async (t) => {
  const { server, anchors, provider } = await startKds(t);
  server.requests.length = 0;
  let limited = 0;
  for (let index = 0; index < 70; index += 1) {
    const bytes = mintSnp({ report: { chipId: new Uint8Array(64).fill(index + 1) } }).report;
    const error: unknown = await verifyWith(provider, { kind: "snp", bytes }, anchors, mintedAt).catch((reason: unknown) => reason);
    assert.ok(error instanceof Error);
    if (/new within a minute/.test(error.message)) limited += 1;
  }
  assert.ok(limited > 0);
  assert.ok(server.requests.length <= 61, `${server.requests.length} questions`);
});

test("a report that brings its certificates needs no source", async () => {
  const minted = mintSnp();
  const anchors = { snp: [minted.anchors[0]?.der ?? new Uint8Array()] };
  const endorsements = new Map([
    ["endorsement-key", minted.endorsementKey.der],
    ["signer", minted.signer.der],
  ]);
  const claims = await verifyWith(
    providerOf(undefined, anchors, mintedAt),
    { kind: "snp", bytes: minted.report, endorsements },
    anchors,
    mintedAt,
  );
  assert.equal(claims.kind, "snp");
});
