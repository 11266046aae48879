import assert from "node:assert/strict";
import { test } from "node:test";
import type { Claims, SignerClaim } from "@vouchsafe/attestation";
import type { AttestationVariant, HardwareFacts, SnpPlatformProperty } from "@vouchsafe/policy";
import { appraisePlatformId, appraiseVariants } from "./appraise.ts";

const [found, other] = ["1a".repeat(32), "2b".repeat(32)];
const claims: Claims = {
  kind: "tpm",
  userData: new Uint8Array(64),
  codeIdentity: found,
  launchMeasurement: Uint8Array.of(1, 2, 3),
  debug: false,
  platformId: `TPM_EK:${found}`,
  tcb: { status: "UpToDate", advisories: [] },
  workload: { imageDigest: `sha256:${found}`, fileSystemTag: "" },
  details: { pcr7: found, pcr15: found, hostData: found, "reportedTcb.microcode": 200, imitates: "snp" },
};
const facts = (kind: HardwareFacts["kind"], values: HardwareFacts<never>["values"], minimumTcb = {}): AttestationVariant<never> => ({
  mrenclave: undefined,
  signer: undefined,
  hardware: { kind, values, minimumTcb },
});
const reasons = (variant: AttestationVariant<never>, about: Claims = claims) =>
  appraiseVariants(about, [{ kind: "ok", value: variant }])
    ?.map(({ message }) => message)
    .join();

test("SL-85 a register that differs is named, with what was expected and found", () => {
  assert.equal(reasons(facts("tpm", { pcr7: [other, found], pcr15: [found] })), undefined);
  assert.equal(reasons(facts("tpm", { pcr15: [found], pcr7: [other] })), `variant 1: PCR 7 is ${found}, expected ${other}`);
  assert.equal(reasons(facts("tpm", { pcr8: [other] })), `variant 1: PCR 8 is not in the evidence, expected ${other}`);
});

test("SL-85 a register of a Nitro enclave in debug mode: the refusal says that debug mode is why it is zero", () => {
  const nitro: Claims = { ...claims, kind: "nitro", debug: true, details: { pcr0: "00" } };
  const about = (changes: Partial<Claims>) => reasons(facts("nitro", { pcr0: ["ab"] }), { ...nitro, ...changes });
  assert.equal(about({}), "variant 1: PCR 0 is 00, expected ab; in debug mode every PCR is zero");
  assert.equal(about({ debug: false }), "variant 1: PCR 0 is 00, expected ab");
  const tpm: Claims = { ...nitro, kind: "tpm" };
  assert.equal(reasons(facts("tpm", { pcr0: ["ab"] }), tpm), "variant 1: PCR 0 is 00, expected ab");
  assert.equal(reasons(facts("nitro", { measurement: ["ab"] }), nitro), "variant 1: measurement is 010203, expected ab");
  const [refusal] = appraiseVariants(nitro, [{ kind: "ok", value: facts("nitro", { pcr0: ["ab"] }) }]) ?? [];
  assert.match(refusal?.remedy ?? "", /^Start the enclave without debug mode/);
});

test("hazard A24: what the evidence does not say equals no word, whatever the word", () => {
  assert.equal(reasons(facts("tpm", { pcr8: ["undefined"] })), "variant 1: PCR 8 is not in the evidence, expected undefined");
});

test("SL-85 facts of one kind are never compared with those of another; simulated evidence counts as what it imitates", () => {
  assert.match(reasons(facts("tdx", { rtmr0: [found] })) ?? "", /evidence is of kind tpm, expected tdx/);
  const simulated: Claims = { ...claims, kind: "simulated" };
  assert.equal(reasons(facts("snp", { host_data: [found], measurement: ["010203"] }), simulated), undefined);
  assert.match(reasons(facts("tpm", { pcr7: [found] }), simulated) ?? "", /of kind snp, expected tpm/);
});

test("hazard A10, SL-85 privilege level, product line, key and properties of an SNP platform", () => {
  const details = {
    vmpl: 1,
    product: "Milan",
    signingKey: "VCEK",
    "platformInfo.aliasCheckComplete": true,
    "platformInfo.smtEnabled": true,
  };
  const snp: Claims = { ...claims, kind: "snp", details };
  assert.equal(reasons(facts("snp", { vmpl: ["0", "1"], product: ["Milan"], signing_key: ["VCEK"] }), snp), undefined);
  assert.equal(reasons(facts("snp", { vmpl: ["0"] }), snp), "variant 1: vmpl is 1, expected 0");
  assert.equal(reasons(facts("snp", { product: ["Genoa", "Turin"] }), snp), "variant 1: product is Milan, expected Genoa or Turin");
  assert.equal(reasons(facts("snp", { signing_key: ["VLEK"] }), snp), "variant 1: signing_key is VCEK, expected VLEK");
  const platform = (...properties: SnpPlatformProperty[]): AttestationVariant<never> => ({
    ...{ mrenclave: undefined, signer: undefined },
    hardware: { kind: "snp", values: {}, platform: properties, minimumTcb: {} },
  });
  assert.equal(reasons(platform("alias-check"), snp), undefined);
  assert.equal(reasons(platform("alias-check", "smt-off"), snp), "variant 1: smt-off is not so, expected so");
  assert.equal(reasons(platform("ecc"), snp), "variant 1: ecc is not in the evidence, expected so");
  const paths = appraiseVariants(snp, [{ kind: "ok", value: platform("smt-off") }])?.map(({ path }) => path.join("."));
  assert.deepEqual(paths, ["attestation.0.snp.platform"]);
});

test("SL-85 least security versions and the measured image", () => {
  const simulated: Claims = { ...claims, kind: "simulated" };
  assert.equal(reasons(facts("snp", {}, { microcode: 200 }), simulated), undefined);
  assert.match(reasons(facts("snp", {}, { microcode: 201 }), simulated) ?? "", /TCB version of microcode is 200, expected at least 201/);
  assert.match(reasons(facts("snp", {}, { fmc: 0 }), simulated) ?? "", /fmc is not in the evidence/);
  const text: Claims = { ...simulated, details: { ...claims.details, "reportedTcb.microcode": "200" } };
  assert.match(reasons(facts("snp", {}, { microcode: 1 }), text) ?? "", /microcode is not in the evidence/);
  const guest = (guestSvn: number | string): Claims => ({ ...simulated, details: { ...claims.details, guestSvn } });
  const least = { mrenclave: undefined, signer: undefined, hardware: { kind: "snp" as const, values: {}, minimumTcb: {}, minimumSvn: 3 } };
  assert.equal(reasons(least, guest(3)), undefined);
  assert.match(reasons(least, guest("5")) ?? "", /is not in the evidence/);
  const image = (digest: string) => ({ mrenclave: undefined, signer: undefined, image: [`sha256:${digest}`] });
  assert.equal(reasons(image(found)), undefined);
  assert.match(reasons(image(other)) ?? "", /image is sha256:1a.*expected sha256:2b/);
  const { workload: _, ...unmeasured } = claims;
  assert.match(reasons(image(found), unmeasured) ?? "", /image is not measured/);
});

test("SL-85 least versions of the TDX module and its microcode; a newer version of the module counts its own anew", () => {
  const tdx = (moduleVersion: number, moduleSvn: number): Claims => ({
    ...claims,
    kind: "tdx",
    details: {
      "teeTcb.moduleVersion": moduleVersion,
      "teeTcb.moduleSvn": moduleSvn,
      "teeTcb.microcode": 2,
      tdAttributes: "00",
      xfam: "e7",
    },
  });
  const asked = facts("tdx", { td_attributes: ["00"], xfam: ["e7"] }, { moduleVersion: 3, moduleSvn: 5, microcode: 2 });
  assert.equal(reasons(asked, tdx(3, 5)), undefined);
  assert.equal(reasons(asked, tdx(4, 1)), undefined);
  assert.equal(reasons(asked, tdx(3, 4)), "variant 1: TCB version of module_svn is 4, expected at least 5");
  assert.equal(reasons(asked, tdx(1, 9)), "variant 1: TCB version of module_version is 1, expected at least 3");
  const svnAlone = facts("tdx", {}, { moduleSvn: 5 });
  assert.equal(reasons(svnAlone, tdx(9, 4)), "variant 1: TCB version of module_svn is 4, expected at least 5");
  assert.equal(reasons(facts("tdx", {}, { microcode: 3 }), tdx(3, 5)), "variant 1: TCB version of microcode is 2, expected at least 3");
  assert.equal(reasons(facts("tdx", { td_attributes: ["01"] }), tdx(3, 5)), "variant 1: td_attributes is 00, expected 01");
  const refusals = appraiseVariants(tdx(3, 4), [{ kind: "ok", value: asked }]);
  assert.deepEqual(
    refusals?.map(({ path }) => path.join(".")),
    ["attestation.0.tdx.minimum_tcb.module_svn"],
  );
  // What another kind calls its versions counts for nothing.
  assert.match(reasons(facts("snp", {}, { microcode: 1 }), { ...tdx(3, 5), kind: "snp" }) ?? "", /microcode is not in the evidence/);
});

test("SL-85 what an SNP guest's own policy demands, and the least version of guest and enclave configuration", () => {
  const details = { "policy.smtAllowed": true, "policy.singleSocketRequired": true, "policy.cxlAllowed": false, guestSvn: 7, configSvn: 3 };
  const asking = (kind: "snp" | "sgx", hardware: Partial<HardwareFacts<never>>): AttestationVariant<never> => ({
    ...{ mrenclave: undefined, signer: undefined },
    hardware: { kind, values: {}, minimumTcb: {}, ...hardware },
  });
  const snp: Claims = { ...claims, kind: "snp", details };
  assert.equal(reasons(asking("snp", { guestPolicy: ["single-socket", "cxl-off"], minimumSvn: 7 }), snp), undefined);
  assert.equal(reasons(asking("snp", { guestPolicy: ["cxl-off", "smt-off"] }), snp), "variant 1: smt-off is not so, expected so");
  assert.match(reasons(asking("snp", { guestPolicy: ["page-swap-off"] }), snp) ?? "", /page-swap-off is not in the evidence/);
  assert.equal(reasons(asking("snp", { minimumSvn: 8 }), snp), "variant 1: guest_svn is 7, expected at least 8");
  const sgx: Claims = { ...claims, kind: "sgx", details };
  assert.equal(reasons(asking("sgx", { minimumSvn: 3 }), sgx), undefined);
  assert.equal(reasons(asking("sgx", { minimumSvn: 4 }), sgx), "variant 1: config_svn is 3, expected at least 4");
  const pathOf = (variant: AttestationVariant<never>, about: Claims) =>
    appraiseVariants(about, [{ kind: "ok", value: variant }])?.map(({ path }) => path.join("."));
  assert.deepEqual(pathOf(asking("snp", { guestPolicy: ["smt-off"] }), snp), ["attestation.0.snp.guest_policy"]);
  assert.deepEqual(pathOf(asking("snp", { minimumSvn: 8 }), snp), ["attestation.0.snp.guest_svn_min"]);
  assert.deepEqual(pathOf(asking("sgx", { minimumSvn: 4 }), sgx), ["attestation.0.sgx.config_svn_min"]);
});

test("every refusal is a value: the field of the policy, what it expects, what was found, what would make it pass", () => {
  const paths = (variant: AttestationVariant<never>) =>
    appraiseVariants(claims, [{ kind: "ok", value: variant }])?.map(({ path, field, expected, found: has }) => ({
      path,
      field,
      expected,
      has,
    }));
  const plain = { mrenclave: undefined, signer: undefined };
  assert.deepEqual(paths({ ...plain, mrenclave: [other] }), [
    { path: ["attestation", 0, "mrenclave"], field: "code measurement", expected: other, has: found },
  ]);
  assert.deepEqual(paths(facts("tpm", { pcr7: [other] })), [
    { path: ["attestation", 0, "tpm", "pcrs", "7"], field: "PCR 7", expected: other, has: found },
  ]);
  assert.deepEqual(
    appraiseVariants({ ...claims, kind: "simulated" }, [{ kind: "ok", value: facts("snp", {}, { bootLoader: 9 }) }])?.map(
      ({ path }) => path,
    ),
    [["attestation", 0, "snp", "minimum_tcb", "boot_loader"]],
  );
  const signer = { mrsigner: other, isvprodid: 1, isvsvn: undefined, isvsvnMin: 3, isvsvnMax: 5 };
  const signedBy = (mrSigner: string, isvSvn: number): Claims => ({ ...claims, signer: { mrSigner, isvProdId: 1, isvSvn } });
  const signerPath = (about: Claims) => appraiseVariants(about, [{ kind: "ok", value: { ...plain, signer } }])?.[0]?.path.at(-1);
  assert.deepEqual([claims, signedBy(found, 4), signedBy(other, 2), signedBy(other, 6), signedBy(other, 4)].map(signerPath), [
    "mrsigner",
    "mrsigner",
    "isvsvn_min",
    "isvsvn_max",
    undefined,
  ]);
  assert.deepEqual(appraisePlatformId(claims, ["TPM_EK:00"])?.path, ["platforms"]);
  for (const refusal of appraiseVariants(claims, []) ?? []) assert.ok(refusal.remedy.length > 0 && refusal.expected !== "");
});

test("SL-74 a signer admits its own product at the security versions that are named, bounds included, and nothing of others", () => {
  const signer = { mrsigner: other, isvprodid: 1, isvsvn: undefined, isvsvnMin: undefined, isvsvnMax: undefined };
  const refusedAt = (
    changes: Partial<typeof signer | Record<"isvsvn" | "isvsvnMin" | "isvsvnMax", number>>,
    about: Partial<SignerClaim>,
  ) => {
    const claimed: Claims = { ...claims, signer: { mrSigner: other, isvProdId: 1, isvSvn: 4, ...about } };
    return appraiseVariants(claimed, [{ kind: "ok", value: { mrenclave: undefined, signer: { ...signer, ...changes } } }])?.[0]?.path.at(
      -1,
    );
  };
  assert.equal(refusedAt({}, {}), undefined);
  assert.equal(refusedAt({}, { mrSigner: found }), "mrsigner");
  assert.equal(refusedAt({}, { isvProdId: 2 }), "isvprodid");
  assert.deepEqual(
    [3, 4, 5].map((isvsvn) => refusedAt({ isvsvn }, {})),
    ["isvsvn", undefined, "isvsvn"],
  );
  assert.deepEqual(
    [4, 5].map((isvsvnMin) => refusedAt({ isvsvnMin }, {})),
    [undefined, "isvsvn_min"],
  );
  assert.deepEqual(
    [3, 4].map((isvsvnMax) => refusedAt({ isvsvnMax }, {})),
    ["isvsvn_max", undefined],
  );
});

test("SL-76, SL-78 one variant that admits is enough; each that does not says why; one that asks for nothing, or none at all, admits nobody", () => {
  const nothing = { kind: "ok", value: { mrenclave: undefined, signer: undefined } } as const;
  const unresolved = { kind: "unresolved", reason: "secret x is not there", missing: true } as const;
  const right = { kind: "ok", value: { mrenclave: [found], signer: undefined } } as const;
  assert.equal(appraiseVariants(claims, [nothing, unresolved, right]), undefined);
  assert.deepEqual(
    appraiseVariants(claims, [nothing, unresolved])?.map(({ path, message }) => [path, message]),
    [
      [["attestation", 0], "variant 1: asks for nothing, which admits nothing"],
      [["attestation", 1], "variant 2: secret x is not there"],
    ],
  );
  assert.deepEqual(
    appraiseVariants(claims, [])?.map(({ path, message }) => [path, message]),
    [[["attestation"], "the service has no attestation variant"]],
  );
});

test("SL-87 no list of platforms admits any, a list only those that it names", () => {
  assert.equal(appraisePlatformId(claims, []), undefined);
  assert.equal(appraisePlatformId(claims, ["NODE_KEY:x", claims.platformId]), undefined);
  assert.equal(appraisePlatformId(claims, ["NODE_KEY:x"])?.found, claims.platformId);
});
