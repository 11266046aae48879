import { createPublicKey, generateKeyPairSync, hash, sign } from "node:crypto";
import { encode, Tagged } from "cborg";
import { encodeEvidence } from "../../core/evidence.ts";
import { encodeWorkload } from "../../core/workload.ts";
import { encodeNodeStatement } from "../../node/create-node-statement.ts";
import { NODE_AGENT_MEASUREMENT } from "../../node/node-statement.ts";
import { formatCheckpoint } from "../../tlog/checkpoint.ts";
import { cosignNote, formatVerifierKey, signNote } from "../../tlog/sign-note.ts";
import { encodeTpmPublic, encodeTpmQuote, encodeTpmSignature } from "../../tpm/encode-tpm-quote.ts";
import { ENDORSEMENT_KEYS } from "../../tpm/endorsement-key-kinds.ts";
import { encodePcrBank } from "../../tpm/pcr-banks.ts";
import { ATTESTATION_KEY_TEMPLATE } from "../../tpm/tpm-templates.ts";
import { certificatePem, issueRevocationList } from "../../x509/issue-certificate.ts";
import { eventLogBytes, sha1LogBytes } from "../mint-event-log.ts";
import { mintIntel } from "../mint-intel.ts";
import { mintNitro, nitroPayload } from "../mint-nitro.ts";
import { mintSnp } from "../mint-snp.ts";

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
export const json = (value: unknown): Uint8Array => utf8(JSON.stringify(value));
const present = <T>(values: readonly (T | undefined)[]): readonly T[] => values.filter((value) => value !== undefined);
/** Signs whatever a P-256 key signs among the seeds. */
export const p256 = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed25519 = generateKeyPairSync("ed25519");
const workload = { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "0123456789abcdef", program: "/usr/bin/python3" };
const pcrs = new Map([0, 7, 23].map((index) => [index, new Uint8Array(32).fill(index)]));

export const quotes = (): readonly Uint8Array[] =>
  [mintIntel(), mintIntel({ tee: "tdx" }), mintIntel({ tee: "tdx", version: 5, bodyType: 3 }), mintIntel({ version: 5, bodyType: 1 })].map(
    ({ quote }) => quote,
  );

export const tdReports = (): readonly Uint8Array[] => [new Uint8Array(584), new Uint8Array(648).fill(1), new Uint8Array(885).fill(2)];

export const snpReports = (): readonly Uint8Array[] =>
  [2, 3, 5]
    .map((version) => mintSnp({ report: { version } }).report)
    .concat(mintSnp({ report: { version: 5, family: 0x1a, model: 2 } }).report);

export const tpmQuotes = (): readonly Uint8Array[] => [
  encodeTpmQuote(new Uint8Array(32), pcrs),
  encodeTpmQuote(new Uint8Array(0), new Map()),
];

export function tpmSignatures(): readonly Uint8Array[] {
  const signature = sign("sha256", new Uint8Array(1), { key: p256.privateKey, dsaEncoding: "ieee-p1363" });
  const rsa = Buffer.concat([Buffer.from("0014000b0100", "hex"), new Uint8Array(256).fill(5)]);
  return [encodeTpmSignature(signature), rsa];
}

/** A key, and templates, which have none yet. */
export const tpmPublics = (): readonly Uint8Array[] => [
  encodeTpmPublic(p256.privateKey),
  ATTESTATION_KEY_TEMPLATE,
  ...ENDORSEMENT_KEYS.map(({ template }) => template),
];

export const pcrBanks = (): readonly Uint8Array[] => [
  encodePcrBank(pcrs),
  json({ sha1: { 0: "00".repeat(20) }, sha384: { 31: "00".repeat(48) } }),
];

export function nitroDocuments(): readonly Uint8Array[] {
  const members = Object.entries(nitroPayload).flatMap(([name, value]) => [encode(name), encode(value)]);
  const payloadBytes = Buffer.concat([Uint8Array.of(0xbf), ...members, Uint8Array.of(0xff)]);
  return [mintNitro(), Buffer.concat([Uint8Array.of(0xd2), mintNitro()]), mintNitro({ payloadBytes })];
}

export function hclReports(): readonly Uint8Array[] {
  const { n, e } = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ format: "jwk" });
  const data = json({ keys: [{ kid: "HCLAkPub", key_ops: ["sign"], kty: "RSA", e, n }], "user-data": "AB".repeat(64) });
  return [2, 4].map((reportType) => {
    const report = Buffer.alloc(0x4d4);
    report.write("HCLA", 0, "latin1");
    report.writeUInt32LE(1, 4);
    for (const [index, field] of [data.length + 20, 1, reportType, 1, data.length].entries())
      report.writeUInt32LE(field, 0x4c0 + 4 * index);
    return Buffer.concat([report, data, new Uint8Array(16)]);
  });
}

export function eventLogs(): readonly Uint8Array[] {
  const locality = { register: 0, type: 3, digests: {}, data: Buffer.from("StartupLocality\0\x03") };
  const measured = { register: 7, type: 13, digests: { sha1: new Uint8Array(20).fill(7) }, data: utf8("kernel") };
  return [
    eventLogBytes(["sha1", "sha256"], [locality, measured, measured]),
    eventLogBytes(["sha384", "sha512", "sm3-256"], [measured]),
    sha1LogBytes([measured, measured]),
    Buffer.concat([sha1LogBytes([measured]), new Uint8Array(40).fill(0xff)]),
  ];
}

export function dstackEventLogs(): readonly Uint8Array[] {
  const digest = hash("sha384", Buffer.concat([Buffer.from("01000008", "hex"), utf8(":app-id:"), Uint8Array.of(1)]));
  const firmware = { imr: 0, event_type: 0x80000001, digest: "11".repeat(48), event: "", event_payload: "" };
  return [json([firmware, { imr: 3, event_type: 0x08000001, digest, event: "app-id", event_payload: "01" }])];
}

export function certificates(): readonly Uint8Array[] {
  const vlek = mintSnp({ certificate: { kind: "VLEK" }, withoutHardwareId: true });
  const snp = mintSnp();
  const nitro = [nitroPayload.certificate, ...nitroPayload.cabundle];
  return [...nitro, snp.endorsementKey.der, vlek.endorsementKey.der, snp.signer?.der, mintIntel().root].filter((der) => der !== undefined);
}

export const pemChains = (): readonly Uint8Array[] => [
  ...present([mintIntel().collateral.tcbSigningChain]),
  utf8(nitroPayload.cabundle.map(certificatePem).join("")),
];

export function revocationLists(): readonly Uint8Array[] {
  const [thisUpdate, nextUpdate] = [new Date("2026-06-01T00:00:00Z"), new Date("2026-07-01T00:00:00Z")];
  const revoked = [1n, 2n ** 100n].map((serial) => ({ serial, at: thisUpdate }));
  const list = issueRevocationList({ issuer: "Test", issuerKey: p256.privateKey, thisUpdate, nextUpdate, revoked });
  return present([list, mintIntel().collateral.pckCrl]);
}

const bothKinds = () => [mintIntel().collateral, mintIntel({ tee: "tdx" }).collateral];
export const tcbInfos = (): readonly Uint8Array[] => present(bothKinds().map(({ tcbInfo }) => tcbInfo));
export const qeIdentities = (): readonly Uint8Array[] => present(bothKinds().map(({ qeIdentity }) => qeIdentity));

export function corims(): readonly Uint8Array[] {
  const digests = [
    [7, new Uint8Array(48).fill(7)],
    ["sha-256", new Uint8Array(32)],
  ];
  const values = new Map<number, unknown>([
    [1, new Tagged(552, 3)],
    [2, digests],
    [4, new Tagged(560, new Uint8Array(4))],
  ]);
  const environment = new Map([
    [
      0,
      new Map<number, unknown>([
        [0, new Tagged(111, Uint8Array.of(42, 3))],
        [1, "AMD"],
        [2, "Milan"],
      ]),
    ],
  ]);
  const measurements = [
    new Map<number, unknown>([
      [0, "launch"],
      [1, values],
    ]),
  ];
  const comid = encode(
    new Map<number, unknown>([
      [1, new Map([[0, "firmware"]])],
      [4, new Map([[0, [[environment, measurements]]]])],
    ]),
  );
  const tags = [new Tagged(506, comid), new Tagged(505, new Uint8Array(3))];
  return [
    encode(
      new Tagged(
        501,
        new Map<number, unknown>([
          [0, "corim-7"],
          [1, tags],
        ]),
      ),
    ),
  ];
}

export function nodeStatements(): readonly Uint8Array[] {
  const statement = {
    userData: new Uint8Array(64),
    agentMeasurement: NODE_AGENT_MEASUREMENT,
    ...workload,
    service: "patients-7/api",
    instanceCounter: 41n,
    issuedAt: new Date("2026-06-01T00:00:00Z"),
  };
  return [p256, ed25519].map(({ privateKey }) => encodeNodeStatement(statement, privateKey));
}

const checkpointText = formatCheckpoint({ origin: "log.example/1", size: 42n, root: new Uint8Array(32), extensions: ["extension"] });
/** The key that signs the notes of this run. */
export const verifierKey = formatVerifierKey("log.example", ed25519.publicKey);

export function signedNotes(): readonly Uint8Array[] {
  const note = signNote(checkpointText, "log.example", ed25519.privateKey);
  return [utf8(note), utf8(note + cosignNote(checkpointText, "witness.example", 1n, ed25519.privateKey))];
}

export const verifierKeys = (): readonly Uint8Array[] => [
  utf8(verifierKey),
  utf8(formatVerifierKey("witness.example", createPublicKey(ed25519.privateKey), "cosignature")),
];

export const checkpoints = (): readonly Uint8Array[] => [utf8(checkpointText)];
export const workloads = (): readonly Uint8Array[] => [encodeWorkload(workload), encodeWorkload({ ...workload, program: "" })];

export const evidences = (): readonly Uint8Array[] => [
  ...tpmQuotes().map((bytes) => json(encodeEvidence({ kind: "tpm", bytes }))),
  json(encodeEvidence({ kind: "snp", bytes: new Uint8Array(3), endorsements: new Map([["vcek", new Uint8Array(5)]]) })),
];

/** Every format, as a person may hold it in a file. */
export function evidenceFiles(): readonly Uint8Array[] {
  const formats = [quotes, snpReports, tpmQuotes, nitroDocuments, hclReports, eventLogs, dstackEventLogs, nodeStatements, evidences];
  const [quote = new Uint8Array(0)] = quotes();
  return [...formats.flatMap((seeds) => seeds().slice(0, 1)), utf8(quote.toHex()), utf8(quote.toBase64())];
}
