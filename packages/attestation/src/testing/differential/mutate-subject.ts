import type { SeededRandom } from "./random.ts";
import type { Setting, Subject } from "./subject.ts";

interface Mutation {
  readonly what: string;
  /** Undefined where there is nothing of the kind to change. */
  readonly change: (subject: Subject, random: SeededRandom, others: readonly Subject[]) => Partial<Subject> | undefined;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const LENGTHS = [0, 1, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0xffffffff];
const HEADER_BYTES = 48;
const SGX_BODY_BYTES = 384;
const TD10_BODY_BYTES = 584;

/** Changes a subject in one of the ways below; the label says in which. */
export function mutateSubject(subject: Subject, random: SeededRandom, others: readonly Subject[]): Subject {
  for (;;) {
    const { what, change } = random.pick(MUTATIONS);
    const changed = change(subject, random, others);
    if (changed !== undefined) return { ...subject, ...changed, label: `${originOf(subject)}${subject.setting.kind}: ${what}` };
  }
}

/** Mutants of minted Evidence are told apart from those of recorded: what was minted has a version or part that hardware does not make. */
const originOf = ({ label }: Subject): string => (label.startsWith("minted") ? "minted " : "");

const edited = (bytes: Uint8Array, edit: (copy: Uint8Array) => void): Uint8Array => {
  const copy = Uint8Array.from(bytes);
  edit(copy);
  return copy;
};

/** Where the parts of a quote begin, for edits that know what they touch; a report of SNP has one part. */
function partsOf({ evidence, setting }: Subject): Readonly<Record<string, number>> {
  if (setting.kind === "snp") return { report: 0, signature: 0x2a0 };
  const view = new DataView(evidence.buffer, evidence.byteOffset, evidence.length);
  const version = view.getUint16(0, true);
  const body = version === 5 ? HEADER_BYTES + 6 : HEADER_BYTES;
  const bodyBytes = version === 5 ? view.getUint32(50, true) : setting.kind === "sgx" ? SGX_BODY_BYTES : TD10_BODY_BYTES;
  const length = body + bodyBytes;
  const outer = length + 4 + 128;
  const qe = version === 3 ? outer : outer + 6;
  const authentication = qe + SGX_BODY_BYTES + 64;
  if (authentication + 2 > evidence.length) return { header: 0, body };
  const certification = authentication + 2 + view.getUint16(authentication, true);
  const lengths = { length, authentication, ...(version === 3 ? {} : { outerLength: outer + 2 }), certificationLength: certification + 2 };
  return {
    header: 0,
    body,
    signature: length + 4,
    attestationKey: length + 68,
    qe,
    qeSignature: qe + SGX_BODY_BYTES,
    certification,
    ...lengths,
  };
}

const MUTATIONS: readonly Mutation[] = [
  {
    what: "a bit anywhere",
    change: ({ evidence }, random) => ({ evidence: edited(evidence, (copy) => flip(copy, random.below(copy.length), random)) }),
  },
  {
    what: "a bit near the beginning of a part",
    change: (subject, random) => {
      const start = random.pick(Object.values(partsOf(subject)));
      return { evidence: edited(subject.evidence, (copy) => flip(copy, Math.min(copy.length - 1, start + random.below(32)), random)) };
    },
  },
  {
    what: "a byte set to 0 or 255",
    change: ({ evidence }, random) => ({
      evidence: edited(evidence, (copy) => copy.set([random.pick([0, 255])], random.below(copy.length))),
    }),
  },
  { what: "cut off", change: ({ evidence }, random) => ({ evidence: evidence.slice(0, random.below(evidence.length)) }) },
  {
    what: "zeros behind",
    change: ({ evidence }, random) => ({ evidence: Uint8Array.from([...evidence, ...new Uint8Array(1 + random.below(64))]) }),
  },
  {
    what: "other bytes behind",
    change: ({ evidence }, random) => ({
      evidence: Uint8Array.from([...evidence, ...new Uint8Array(random.below(8)), 1 + random.below(255)]),
    }),
  },
  {
    what: "a length field",
    change: (subject, random) => {
      const { length, authentication, outerLength, certificationLength } = partsOf(subject);
      const fields = [length, authentication, outerLength, certificationLength].filter(
        (at) => at !== undefined && at + 4 <= subject.evidence.length,
      );
      if (fields.length === 0) return undefined;
      const at = random.pick(fields) ?? 0;
      return { evidence: edited(subject.evidence, (copy) => setLength(copy, at, at === authentication ? 2 : 4, random)) };
    },
  },
  {
    what: "a field of the header",
    change: ({ evidence, setting }, random) =>
      setting.kind === "snp"
        ? { evidence: edited(evidence, (copy) => copy.set([random.below(8)], random.pick([0, 0x08, 0x0a, 0x30, 0x34, 0x48]))) }
        : { evidence: edited(evidence, (copy) => copy.set([random.below(8)], random.pick([0, 2, 4, 8, 10, 12, 28]))) },
  },
  {
    what: "a part of another platform's",
    change: (subject, random, others) => {
      const same = others.filter(
        ({ setting, evidence }) => setting.kind === subject.setting.kind && evidence.length === subject.evidence.length,
      );
      if (same.length < 2) return undefined;
      const donor = random.pick(same).evidence;
      const starts = Object.values(partsOf(subject)).toSorted((a, b) => a - b);
      const index = random.below(starts.length);
      const [start = 0, end = donor.length] = starts.slice(index, index + 2);
      return {
        evidence: edited(subject.evidence, (copy) =>
          copy.set(donor.subarray(start, end).subarray(0, Math.max(0, copy.length - start)), Math.min(start, copy.length)),
        ),
      };
    },
  },
  {
    what: "another time",
    change: ({ now }, random) => ({ now: new Date(now.getTime() + (random.below(4000) - 2000) * DAY_MS) }),
  },
  { what: "a bit of a document beside it", change: ({ setting }, random) => ({ setting: withChangedDocument(setting, random) }) },
  {
    what: "a document of another platform's",
    change: ({ setting }, random, others) => {
      const donor = random.pick(others).setting;
      if (setting.intel === undefined || donor.intel === undefined || donor === setting) return undefined;
      const name = random.pick(["tcbInfo", "qeIdentity", "tcbSigningChain", "pckCrl", "rootCaCrl"] as const);
      return {
        setting: {
          ...setting,
          name: `${setting.name} with ${name} of ${donor.name}`,
          intel: { ...setting.intel, [name]: donor.intel[name] },
        },
      };
    },
  },
];

function flip(bytes: Uint8Array, at: number, random: SeededRandom): void {
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
}

function setLength(bytes: Uint8Array, at: number, width: 2 | 4, random: SeededRandom): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const old = width === 2 ? view.getUint16(at, true) : view.getUint32(at, true);
  const value = random.chance(50) ? random.pick(LENGTHS) : old + random.below(9) - 4;
  if (width === 2) view.setUint16(at, value & 0xffff, true);
  else view.setUint32(at, value >>> 0, true);
}

let changedDocuments = 0;

function withChangedDocument(setting: Setting, random: SeededRandom): Setting {
  changedDocuments += 1;
  const name = `${setting.name} changed ${changedDocuments}`;
  const change = (bytes: Uint8Array) => edited(bytes, (copy) => flip(copy, random.below(copy.length), random));
  const { snp, intel } = setting;
  if (snp !== undefined) {
    const member = random.pick(["endorsementKey", "signer"] as const);
    return { ...setting, name, snp: { ...snp, [member]: change(snp[member]) } };
  }
  const member = random.pick(["tcbInfo", "qeIdentity", "tcbSigningChain", "pckCrl", "rootCaCrl"] as const);
  const document = intel?.[member];
  return intel === undefined || document === undefined ? setting : { ...setting, name, intel: { ...intel, [member]: change(document) } };
}
