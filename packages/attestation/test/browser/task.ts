import { isSignedBy } from "../../src/crypto/signature.ts";
import {
  decodeEvidence,
  EvidenceError,
  type EvidenceJson,
  type IntelCollateral,
  inspectEvidence,
  readPublicKey,
  type SignatureScheme,
  type TrustAnchors,
  type VerificationCache,
  verifyAsync,
  verifyEvidence,
} from "../../src/portable.ts";
import { judgeAzureCase } from "../../src/vectors/judge-azure.ts";
import { judgeDstackCase } from "../../src/vectors/judge-dstack.ts";
import { judgeEventLogCase } from "../../src/vectors/judge-eventlog.ts";
import { judgeIntelCase } from "../../src/vectors/judge-intel.ts";
import { judgeNitroCase } from "../../src/vectors/judge-nitro.ts";
import { judgeSnpCase } from "../../src/vectors/judge-snp.ts";
import { judgeLogCase } from "../../src/vectors/judge-tlog.ts";
import { judgeTpmCase } from "../../src/vectors/judge-tpm.ts";
import { findPathFault, type LimboTest } from "../../src/vectors/limbo-case.ts";
import type { CaseVerdict, VectorCase } from "../../src/vectors/vector-case.ts";

/** Something that Node and a browser have to answer alike; it travels as JSON, bytes in base64. */
export type Task =
  | {
      readonly kind: "case";
      readonly family: string;
      readonly name: string;
      readonly expected: VectorCase["expected"];
      readonly files: Files;
      readonly roots: Files;
    }
  | { readonly kind: "evidence"; readonly evidence: EvidenceJson; readonly now: string; readonly anchors: Anchors; readonly intel?: Files }
  | { readonly kind: "path"; readonly test: LimboTest; readonly now: string }
  | {
      readonly kind: "signature";
      readonly scheme: SignatureScheme;
      readonly spki: string;
      readonly message: string;
      readonly signature: string;
    };

export type Files = Readonly<Record<string, string>>;
export type Anchors = Readonly<Record<string, readonly string[]>>;

/** Families whose judges need nothing but the library. */
const JUDGES = new Map<string, (vectorCase: VectorCase, now: Date) => CaseVerdict>([
  ["azure-vtpm", judgeAzureCase],
  ["dstack", judgeDstackCase],
  ["eventlog", judgeEventLogCase],
  ["nitro", judgeNitroCase],
  ["sev-snp", judgeSnpCase],
  ["sgx", judgeIntelCase],
  ["tdx", judgeIntelCase],
  ["tlog", judgeLogCase],
  ["tpm-quote", judgeTpmCase],
]);

export const judgedFamilies: readonly string[] = [...JUDGES.keys()];

/** The whole answer as text: verdict and reason, claims, or code, reason and message of a refusal. */
export async function answerTask(task: Task, cache: VerificationCache): Promise<string> {
  switch (task.kind) {
    case "case":
      return spell(await answerCase(task));
    case "evidence":
      return spell(await answerEvidence(task, cache));
    case "path":
      return String(await verifyAsync(() => findPathFault(task.test, new Date(task.now))));
    case "signature":
      return String(await answerSignature(task));
    default:
      return task satisfies never;
  }
}

function answerCase({ family, name, expected, files, roots }: Task & { readonly kind: "case" }): Promise<CaseVerdict> {
  const judge = JUDGES.get(family);
  if (judge === undefined) throw new TypeError(`no judge for ${family}`);
  const vectorCase = { family, name, expected, files: bytesOf(files), roots: bytesOf(roots) };
  return verifyAsync(() => judge(vectorCase, new Date(0)));
}

function answerEvidence(
  { evidence: json, now, anchors, intel }: Task & { readonly kind: "evidence" },
  cache: VerificationCache,
): Promise<unknown> {
  const evidence = decodeEvidence(json);
  const trustAnchors: TrustAnchors = Object.fromEntries(Object.entries(anchors).map(([kind, roots]) => [kind, roots.map(decode)]));
  const documents = intel && (Object.fromEntries(bytesOf(intel)) as unknown as IntelCollateral); // made with these members by the other side
  const collateral = documents === undefined ? {} : { intel: () => documents };
  const described = refusalOr(() => inspectEvidence(evidence.bytes));
  return verifyAsync(() => [described, refusalOr(() => verifyEvidence(evidence, { now: new Date(now), trustAnchors, collateral, cache }))]);
}

async function answerSignature({ scheme, spki, message, signature }: Task & { readonly kind: "signature" }): Promise<unknown> {
  const key = refusalOr(() => readPublicKey(decode(spki)));
  if (!("kind" in key)) return key;
  return verifyAsync(() => isSignedBy(scheme, key, decode(message), decode(signature)));
}

function refusalOr<T>(run: () => T): T | { readonly refused: readonly string[] } {
  try {
    return run();
  } catch (error) {
    if (error instanceof EvidenceError) return { refused: [error.code, error.reason, error.message, error.remedy ?? ""] };
    throw error;
  }
}

const decode = (text: string): Uint8Array => Uint8Array.fromBase64(text);
const bytesOf = (files: Files): Map<string, Uint8Array> => new Map(Object.entries(files).map(([name, text]) => [name, decode(text)]));

const spell = (value: unknown): string =>
  JSON.stringify(value, (_, member: unknown) => {
    if (member instanceof Uint8Array) return member.toHex();
    if (member instanceof Map) return [...member];
    if (member instanceof Set) return [...member];
    return typeof member === "bigint" ? String(member) : member;
  });
