import { OperationalError } from "../core/errors.ts";
import { openCheckpoint } from "../tlog/checkpoint.ts";
import { LogError } from "../tlog/log-error.ts";
import {
  type Position,
  verifyConsistency,
  verifyInclusion,
  verifySubtreeConsistency,
  verifySubtreeInclusion,
} from "../tlog/merkle-proof.ts";
import { asWitness, parseVerifierKey } from "../tlog/signed-note.ts";
import { fileOf } from "./case-input.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

type LogCase = Readonly<Record<string, unknown>> & { readonly name: string };

/** Family `tlog`: a list of proofs or checkpoints, each to be accepted or refused. The members of a case say of which kind it is. */
export function judgeLogCase(vectorCase: VectorCase): CaseVerdict {
  const cases = parseCases(fileOf(vectorCase, "cases.json"));
  const wrong = cases.flatMap((logCase) => {
    const isWanted = "wantOk" in logCase ? logCase["wantOk"] === true : logCase["wantErr"] === false;
    const fault = findFault(logCase);
    return (fault === undefined) === isWanted ? [] : [`${logCase.name}: ${fault ?? "accepted"}`];
  });
  return {
    isRight: wrong.length === 0,
    expected: `${cases.length} cases right`,
    found: `${cases.length - wrong.length} cases right`,
    ...(wrong.length > 0 ? { reason: wrong.join("; ") } : {}),
  };
}

function findFault(logCase: LogCase): string | undefined {
  try {
    verifyLogCase(logCase);
    return undefined;
  } catch (error) {
    if (error instanceof OperationalError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

function verifyLogCase(c: LogCase): void {
  if ("note" in c) verifyNote(c);
  else if ("leafHash" in c) {
    const claim = { index: position(c["leafIdx"]), leaf: bytes(c["leafHash"]), root: bytes(c["root"]), proof: proofOf(c) };
    if ("start" in c) verifySubtreeInclusion({ ...claim, start: position(c["start"]), end: position(c["end"]) });
    else verifyInclusion({ ...claim, size: position(c["treeSize"]) });
  } else if ("start" in c) {
    const claim = { start: position(c["start"]), end: position(c["end"]), size: position(c["size"]) };
    verifySubtreeConsistency({ ...claim, subtreeRoot: bytes(c["root1"]), root: bytes(c["root2"]), proof: proofOf(c) });
  } else {
    const claim = { earlier: position(c["size1"]), size: position(c["size2"]) };
    verifyConsistency({ ...claim, earlierRoot: bytes(c["root1"]), root: bytes(c["root2"]), proof: proofOf(c) });
  }
}

function verifyNote(c: LogCase): void {
  const keys = Array.isArray(c["vkeys"]) ? c["vkeys"].map(String) : [];
  const { verifiedBy, unverified } = openCheckpoint(
    String(c["note"]),
    keys.map(parseVerifierKey).flatMap((key) => [key, asWitness(key)]),
  );
  const found = JSON.stringify([verifiedBy.map(({ name }) => name), unverified]);
  const expected = JSON.stringify([c["verifiedBy"], Number(c["unverifiedSignatures"])]);
  if (c["wantOk"] === true && found !== expected) throw new LogError("LOG_SIGNATURE", `expected ${expected}, found ${found}`);
}

/** Positions go up to 2^64: they are kept as text and read as bigint. */
function parseCases(json: Uint8Array): readonly LogCase[] {
  const keepIntegers = (_: string, value: unknown, { source }: { source?: string } = {}) =>
    typeof value === "number" && source !== undefined && /^-?[0-9]+$/.test(source) ? BigInt(source) : value;
  const parse: (text: string, reviver: typeof keepIntegers) => unknown = JSON.parse; // its type does not know the third argument yet
  return parse(new TextDecoder().decode(json), keepIntegers) as readonly LogCase[]; // the collection is the caller's own
}

const position = (value: unknown): Position => (typeof value === "bigint" ? value : -1);
const bytes = (value: unknown): Uint8Array => (typeof value === "string" ? Uint8Array.fromBase64(value) : new Uint8Array(0));
const proofOf = (c: LogCase): readonly Uint8Array[] => (Array.isArray(c["proof"]) ? c["proof"].map(bytes) : []);
