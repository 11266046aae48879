import { hash } from "../crypto/current-provider.ts";
import { isRecord } from "./answer.ts";
import { judgeAzureCase } from "./judge-azure.ts";
import { judgeDstackCase } from "./judge-dstack.ts";
import { judgeEventLogCase } from "./judge-eventlog.ts";
import { judgeIntelCase } from "./judge-intel.ts";
import { judgeLimboCase } from "./judge-limbo.ts";
import { judgeNitroCase } from "./judge-nitro.ts";
import { judgeSnpCase } from "./judge-snp.ts";
import { judgeLogCase } from "./judge-tlog.ts";
import { judgeTpmCase } from "./judge-tpm.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";
import { judgeWycheproofCase } from "./wycheproof/judge-wycheproof.ts";

/** `now` stands in where a case has no time of its own; nothing else of the present matters. */
type CaseJudge = (vectorCase: VectorCase, now: Date) => CaseVerdict | Promise<CaseVerdict>;

const JUDGES = new Map<string, CaseJudge>([
  ["azure-vtpm", judgeAzureCase],
  ["dstack", judgeDstackCase],
  ["eventlog", judgeEventLogCase],
  ["nitro", judgeNitroCase],
  ["sev-snp", judgeSnpCase],
  ["sgx", judgeIntelCase],
  ["tdx", judgeIntelCase],
  ["tlog", judgeLogCase],
  ["tpm-quote", judgeTpmCase],
  ["wycheproof", judgeWycheproofCase],
  ["x509-limbo", judgeLimboCase],
]);

/** Families that `judgeCase` knows. */
export const vectorFamilies: readonly string[] = [...JUDGES.keys()];

/** Runs one case of a vector collection through the library. A family that nobody knows is answered wrong, not skipped. */
export async function judgeCase(vectorCase: VectorCase, now: Date): Promise<CaseVerdict> {
  const judge = JUDGES.get(vectorCase.family);
  const expected = String(vectorCase.expected["expect"]);
  if (judge === undefined) return { isRight: false, expected, found: "nothing", reason: `family ${vectorCase.family} is not known` };
  const damage = findDamage(vectorCase);
  if (damage !== undefined) return { isRight: false, expected, found: "another case", reason: damage };
  try {
    return await judge(vectorCase, now);
  } catch (error) {
    // An unexpected failure in one case is a wrong answer of that case, and the others are still to be judged.
    return {
      isRight: false,
      expected,
      found: "a failure of the verifier itself",
      reason: String(error instanceof Error ? error.stack : error),
    };
  }
}

/** A case whose files are not those that its `expected.json` lists says nothing about the library. */
function findDamage({ expected, files }: VectorCase): string | undefined {
  for (const [name, digest] of Object.entries(isRecord(expected["files"]) ? expected["files"] : {})) {
    const bytes = files.get(name);
    if (bytes === undefined) return `${name} is missing`;
    const found = hash("sha256", bytes).toHex();
    if (found !== digest) return `${name} has the SHA-256 ${found}, expected ${String(digest)}`;
  }
  return undefined;
}
