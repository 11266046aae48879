import assert from "node:assert/strict";
import { test } from "node:test";
import type { PlatformForecast } from "@vouchsafe/collateral";
import type { AttestationVariant, HardwareFacts, Resolved, Security } from "@vouchsafe/policy";
import { DEFAULT_PLATFORM_RULES } from "@vouchsafe/policy";
import { refusalReasons } from "./refusing-services.ts";

const forecast: PlatformForecast = {
  platform: {
    kind: "snp",
    id: "SNP_VLEK",
    product: "Genoa",
    signingKey: "VLEK",
    certifiedUntil: "2027-01-01T00:00:00Z",
    reportedTcb: { bootLoader: 4, tee: 0, snp: 22, microcode: 115 },
  },
  present: undefined,
  newest: undefined,
  evaluations: undefined,
  shortfalls: [],
  cause: "certificate",
  fallsOn: new Date("2027-01-01T00:00:00Z"),
  daysLeft: 30,
};
const security = { attestation: DEFAULT_PLATFORM_RULES } as unknown as Security<never>; // no other rule is looked at
const needing = (kind: HardwareFacts["kind"], microcode: number): Resolved<AttestationVariant<never>> => ({
  kind: "ok",
  value: { mrenclave: undefined, signer: undefined, hardware: { kind, values: {}, minimumTcb: { microcode } } },
});
const reasons = (...variants: readonly Resolved<AttestationVariant<never>>[]) => refusalReasons(forecast, { security, variants });

test("a service refuses an SNP platform when every variant that could admit it asks for newer firmware", () => {
  const short = ["microcode is 115, the policy asks for 116"];
  assert.deepEqual(reasons(needing("snp", 116)), short);
  assert.deepEqual(reasons(needing("snp", 115)), []);
  assert.deepEqual(reasons(needing("snp", 116), needing("snp", 115)), []);
});

test("least versions of a TDX module are not compared with those of SNP firmware", () => {
  assert.deepEqual(reasons(needing("tdx", 200)), []);
  assert.deepEqual(reasons(needing("snp", 116), needing("tdx", 2)), ["microcode is 115, the policy asks for 116"]);
});
