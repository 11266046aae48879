import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeUtf8 } from "../core/bytes.ts";
import { encodeEvidence } from "../core/evidence.ts";
import { hash } from "../crypto/current-provider.ts";
import { eventLogBytes, type MintedEvent } from "../testing/mint-event-log.ts";
import { mintIntel } from "../testing/mint-intel.ts";
import { mintNitro, nitroPayload } from "../testing/mint-nitro.ts";
import { mintSnp } from "../testing/mint-snp.ts";
import { encodeTpmQuote } from "../tpm/encode-tpm-quote.ts";
import { inspectEvidence } from "./describe.ts";

const fieldsOf = (file: Uint8Array): Readonly<Record<string, unknown>> => {
  const { fields } = inspectEvidence(file);
  return fields instanceof Object ? { ...fields } : assert.fail("no fields");
};

const event = (register: number, type: number, data: Uint8Array, digest = hash("sha384", data)): MintedEvent => ({
  ...{ register, type, data, digests: { sha256: digest.subarray(0, 32), sha384: digest } },
});
const zeros = (length: number): string => "00".repeat(length);

test("an event log is shown as its events, whether their data are what was measured, and the registers that they lead to", () => {
  const [name, other] = [encodeUtf8("a"), encodeUtf8("b")];
  const { format, events, registers, paddingBytes } = fieldsOf(
    eventLogBytes(["sha256", "sha384"], [event(2, 0x0d, name), event(2, 0x80000008, name, hash("sha384", other))]),
  );
  assert.deepEqual([format, paddingBytes], ["crypto-agile", 0]);
  assert.deepEqual(events, [
    { register: 0, type: "0x3", dataBytes: 37, isDataMeasured: false }, // the log's own header
    { register: 2, type: "0xd", dataBytes: 1, isDataMeasured: true },
    { register: 2, type: "0x80000008", dataBytes: 1, isDataMeasured: false },
  ]);
  const extended = hash("sha384", hash("sha384", new Uint8Array(48), hash("sha384", name)), hash("sha384", other));
  const short = [name, other].map((data) => hash("sha384", data).subarray(0, 32)); // what stands for the digests of the other bank
  const inOther = short.reduce((value, digest) => hash("sha256", value, digest), new Uint8Array(32));
  assert.deepEqual(registers, { sha256: { "2": inOther.toHex() }, sha384: { "2": extended.toHex() } });
});

test("the log of a TD is shown with its RTMRs, that of a TPM is not", () => {
  const rtmrs = (register: number, type = 0x0d, algorithms: Parameters<typeof eventLogBytes>[0] = ["sha384"]) =>
    fieldsOf(eventLogBytes(algorithms, [event(register, type, Uint8Array.of(1))]))["rtmrs"];
  const value = hash("sha384", new Uint8Array(48), hash("sha384", Uint8Array.of(1))).toHex();
  assert.deepEqual(rtmrs(1), [value, zeros(48), zeros(48), zeros(48)]);
  assert.deepEqual(rtmrs(4), [zeros(48), zeros(48), zeros(48), value]);
  for (const register of [0, 5]) assert.equal(rtmrs(register), undefined, `register ${register}`);
  assert.deepEqual(rtmrs(0, 3), [zeros(48), zeros(48), zeros(48), zeros(48)], "an event that extends nothing");
  assert.equal(rtmrs(1, 0x0d, ["sha256"]), undefined);
});

test("a dstack log is shown event by event", () => {
  const digest = "ab".repeat(48);
  const log = [{ imr: 0, event_type: 1, digest, event: "td_hob", event_payload: "0102" }];
  assert.deepEqual(inspectEvidence(encodeUtf8(JSON.stringify(log))).fields, [
    { imr: 0, type: 1, digest, isDigestGiven: true, name: "td_hob", payload: "0102" },
  ]);
});

test("a TPM quote is shown with numbers that JSON can hold and registers by number", () => {
  const fields = fieldsOf(encodeTpmQuote(Uint8Array.of(7), new Map([[4, new Uint8Array(32)]])));
  assert.deepEqual(
    [fields["type"], fields["extraData"], fields["clock"], fields["pcrSelect"]],
    [0x8018, "07", "0x0", [{ hash: "sha256", pcrs: [4] }]],
  );
});

test("an SNP report is shown with the product and its versions where it names its processor", () => {
  const { report } = mintSnp({ report: { policy: 0x30000n, family: 0x19, model: 1 } });
  const { product, reportedVersions, policy, signingKey } = fieldsOf(report);
  assert.deepEqual([product, policy, signingKey], ["Milan", "0x30000", "VCEK"]);
  assert.deepEqual(reportedVersions, { bootLoader: 3, tee: 0, snp: 8, microcode: 115 });
  const older = fieldsOf(mintSnp({ report: { version: 2 } }).report);
  assert.deepEqual(["product" in older, "reportedVersions" in older], [false, false]);
});

test("a quote says whether its memory can be read by a debugger", () => {
  const debugOf = (tee: "sgx" | "tdx", at: number, bits: number) =>
    fieldsOf(mintIntel({ tee, body: (body) => void body.writeUInt8((body[at] ?? 0) | bits, at) }).quote)["debug"];
  assert.deepEqual([debugOf("sgx", 48, 0), debugOf("sgx", 48, 2)], [false, true]);
  assert.deepEqual([debugOf("tdx", 120, 0), debugOf("tdx", 120, 1)], [false, true]);
});

test("certificates that cannot be read are shown as bytes, in a quote all of them", () => {
  const { quote } = mintIntel();
  const [first, second] = [
    ...Buffer.from(quote)
      .toString("latin1")
      .matchAll(/-----BEGIN CERTIFICATE-----\n/g),
  ].map((match) => match.index + match[0].length);
  assert(first !== undefined && second !== undefined);
  const certificationOf = (bytes: Uint8Array) => fieldsOf(bytes)["certificationData"];
  const spoilt = Uint8Array.from(quote).fill(0x41, second, second + 1); // A for M: no SEQUENCE
  const blank = Uint8Array.from(quote).fill(0x0a, Buffer.from(quote).indexOf("-----BEGIN"));
  for (const bytes of [spoilt, blank]) {
    const data = bytes.subarray(Buffer.from(quote).indexOf("-----BEGIN")).toHex();
    assert.deepEqual(certificationOf(bytes), { type: 5, data });
  }
  const { certificate, caBundle } = fieldsOf(mintNitro({ payload: { certificate: Uint8Array.of(1, 2) } }));
  assert.equal(certificate, "0102");
  assert.deepEqual(
    caBundle,
    nitroPayload.cabundle.map((der) => der.toHex()),
  );
});

test("a Nitro document is shown with its registers by number", () => {
  const { pcrs, moduleId } = fieldsOf(mintNitro());
  assert.equal(moduleId, "i-0test-enc0test");
  assert.deepEqual(pcrs, Object.fromEntries([...nitroPayload.pcrs].map(([index, value]) => [String(index), value.toHex()])));
});

test("simulated evidence is shown as what it imitates", () => {
  const bytes = Uint8Array.of(3, ...encodeUtf8("snp"), ...new Uint8Array(20));
  assert.deepEqual(inspectEvidence(bytes).fields, { imitates: "snp", evidence: zeros(20) });
});

test("what came along with evidence is shown by name and length", () => {
  const { report: bytes } = mintSnp();
  const show = (endorsements?: ReadonlyMap<string, Uint8Array>) =>
    inspectEvidence(encodeUtf8(JSON.stringify(encodeEvidence({ kind: "snp", bytes, ...(endorsements && { endorsements }) })))).endorsements;
  assert.deepEqual(show(new Map([["signer", new Uint8Array(5)]])), { signer: 5 });
  assert.deepEqual(show(), {});
});
