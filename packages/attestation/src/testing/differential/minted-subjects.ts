import { FMSPC, type IntelMint, type JsonDocument, mintedNow, mintIntel, SERIALS } from "../mint-intel.ts";
import type { SeededRandom } from "./random.ts";
import type { Subject } from "./subject.ts";

/** A part of minted evidence that differs from the usual; every signature stays valid. */
type Twist = (random: SeededRandom, tee: "sgx" | "tdx") => IntelMint;

const STATUSES = [
  "UpToDate",
  "SWHardeningNeeded",
  "ConfigurationNeeded",
  "ConfigurationAndSWHardeningNeeded",
  "OutOfDate",
  "OutOfDateConfigurationNeeded",
  "Revoked",
];
const COMPONENTS = [5, 5, 2, 2, 3, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0];
const levelsOf = (document: JsonDocument) => document["tcbLevels"] as JsonDocument[]; // as minted
const modulesOf = (document: JsonDocument) => (document["tdxModuleIdentities"] ?? []) as JsonDocument[];
const isoDay = (day: number): string => new Date(mintedNow.getTime() + day * 86_400_000).toISOString().replace(/\.\d+Z$/, "Z");

const TWISTS: readonly Twist[] = [
  (random) => ({ sgxComponents: COMPONENTS.map((svn) => Math.max(0, svn + (random.chance(20) ? random.below(3) - 1 : 0))) }),
  (random) => ({ pceSvn: 10 + random.below(6) }),
  (random) => ({ qeReport: (report) => void report.writeUInt16LE(4 + random.below(7), 258) }),
  (random) => ({ qeReport: (report) => void report.writeUInt8(report.readUInt8(48) ^ (1 << random.below(8)), 48) }),
  (random) => ({ qeReport: (report) => void report.writeUInt8(random.below(2), 16 + random.below(4)) }),
  () => ({ qeReport: (report) => report.fill(9, 128, 160) }),
  (random) => ({ qeReport: (report) => void report.writeUInt16LE(random.below(4), 256) }),
  (random) => ({
    tcbInfo: (document) => {
      for (const level of levelsOf(document))
        Object.assign(level, { tcbStatus: random.pick(STATUSES), advisoryIDs: [`INTEL-SA-0${random.below(9)}001`] });
    },
  }),
  () => ({ tcbInfo: (document) => void levelsOf(document).reverse() }),
  (random) => ({
    tcbInfo: (document) => {
      for (const level of modulesOf(document).flatMap(levelsOf)) Object.assign(level, { tcbStatus: random.pick(STATUSES) });
    },
  }),
  () => ({ tcbInfo: (document) => void modulesOf(document).splice(0) }),
  () => ({ tcbInfo: (document) => void levelsOf(document).splice(0) }),
  (random) => ({
    tcbInfo: (document) =>
      void Object.assign(document, { issueDate: isoDay(random.below(4) - 2), nextUpdate: isoDay(random.below(4) - 1) }),
  }),
  (random) => ({
    qeIdentity: (document) =>
      void Object.assign(document, { issueDate: isoDay(random.below(4) - 2), nextUpdate: isoDay(random.below(4) - 1) }),
  }),
  (random) => ({
    qeIdentity: (document) => {
      for (const level of levelsOf(document))
        Object.assign(level, { tcbStatus: random.pick(STATUSES), advisoryIDs: [`INTEL-SA-0${random.below(9)}002`] });
    },
  }),
  () => ({ qeIdentity: (document) => void Object.assign(document, { id: "QVE" }) }),
  () => ({ tcbInfo: (document) => void Object.assign(document, { fmspc: "00606A000000" }) }),
  () => ({ tcbInfo: (document) => void Object.assign(document, { fmspc: FMSPC.toUpperCase() }) }),
  () => ({ tcbInfo: (document) => void Object.assign(document, { pceId: "0001" }) }),
  () => ({ tcbInfo: (document) => void Object.assign(document, { tcbType: 1 }) }),
  (random, tee) => (tee === "sgx" ? {} : { body: (body) => body.set([3 + random.below(4), random.below(3), 3 + random.below(4)]) }),
  (random, tee) => (tee === "sgx" ? {} : { body: (body) => body.set([1], random.pick([64, 112])) }),
  (random, tee) => (tee === "sgx" ? {} : { body: (body) => body.set([1 << random.below(8)], 120 + random.below(8)) }),
  (random, tee) => ({ version: tee === "sgx" ? 3 + random.below(3) : 4 + random.below(2) }),
  (random, tee) => (tee === "sgx" ? {} : { version: 5, bodyType: random.pick([3, 4] as const) }),
  () => ({ pckCrl: { revoked: [SERIALS.pck] } }),
  () => ({ rootCrl: { revoked: [SERIALS.pckCa] } }),
  () => ({ rootCrl: { revoked: [SERIALS.tcbSigning] } }),
  (random) => ({ pckCrl: { validity: [new Date(isoDay(-9)), new Date(isoDay(random.below(4) - 1.5))] } }),
  (random) => ({ rootCrl: { validity: [new Date(isoDay(-9)), new Date(isoDay(random.below(4) - 1.5))] } }),
  (random) => ({ pckValidity: [new Date(isoDay(random.below(4) - 2)), new Date(isoDay(random.below(4)))] }),
  () => ({ isTcbSignedByPckCa: true }),
  () => ({ authenticationData: new Uint8Array(0) }),
];

/** go-tdx-guest compares the letters of an FMSPC and writes small ones; one of the twists writes large ones, as Intel does at times. */
const smallLetters: IntelMint = { tcbInfo: (document) => void Object.assign(document, { fmspc: FMSPC }) };

/** Evidence under a root of its own with up to three twists: what peers and we differ about is then judgement, not a broken signature. */
export function mintSubject(number: number, random: SeededRandom): Subject {
  const tee = random.pick(["sgx", "tdx"] as const);
  const chosen = Array.from({ length: random.below(4) }, () => random.below(TWISTS.length));
  const mint = chosen.reduce<IntelMint>((soFar, index) => combine(soFar, TWISTS[index]?.(random, tee) ?? {}), {
    tee,
    ...smallLetters,
  });
  const { quote, root, collateral } = mintIntel(mint);
  const text = Buffer.from(quote).toString("latin1");
  const issuers = text.slice(text.indexOf("-----BEGIN", text.indexOf("-----END")));
  const intel = { ...collateral, pckCrlIssuerChain: Buffer.from(issuers, "latin1") };
  const members = [...new Set(chosen.flatMap((index) => Object.keys(TWISTS[index]?.(random, tee) ?? {})))].sort().join(", ");
  return {
    label: `minted ${tee}: ${members || "as usual"}`,
    now: mintedNow,
    evidence: quote,
    setting: { name: `minted ${number}`, kind: tee, root, intel },
  };
}

type Edit = (edited: never) => void;

/** Edits of the same part are made one after the other; of other members the last counts. */
function combine(first: IntelMint, second: IntelMint): IntelMint {
  const both = Object.entries(second).map(([name, value]) => {
    const earlier = (first as Readonly<Record<string, unknown>>)[name];
    if (typeof value !== "function" || typeof earlier !== "function") return [name, value];
    const edits = [earlier as Edit, value as Edit];
    return [
      name,
      (edited: never) => {
        for (const edit of edits) edit(edited);
      },
    ];
  });
  return { ...first, ...Object.fromEntries(both) };
}
