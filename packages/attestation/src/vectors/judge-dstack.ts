import { hash } from "../crypto/current-provider.ts";
import { parseDstackEventLog, verifyDstackEventLog } from "../dstack/dstack-event-log.ts";
import { type Answer, answerOf, judgeAnswer } from "./answer.ts";
import { fileOf } from "./case-input.ts";
import { rtmrsOf, tdxFields, verifyTdxSignatures } from "./tdx-signatures.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

/** Family `dstack`: TDX quote, JSON event log, perhaps the app-compose document. */
export function judgeDstackCase(vectorCase: VectorCase): CaseVerdict {
  return judgeAnswer(
    vectorCase,
    answerOf(() => verifyCase(vectorCase)),
  );
}

function verifyCase(vectorCase: VectorCase): Answer {
  const claims = verifyTdxSignatures(vectorCase, "quote.bin");
  const events = parseDstackEventLog(fileOf(vectorCase, "eventlog.json"));
  const appCompose = vectorCase.files.get("app-compose.json");
  const { runtimeEvents, composeHash } = verifyDstackEventLog(events, rtmrsOf(claims), appCompose);
  const fields = {
    ...tdxFields(claims),
    runtimeEvents: Object.fromEntries([...runtimeEvents].map(([name, payload]) => [name, payload.toHex()])),
    eventCount: events.length,
    composeHash,
    ...(appCompose === undefined ? {} : { composeHashMatchesAppCompose: hash("sha256", appCompose).toHex() === composeHash }),
  };
  return { outcome: "ok", fields };
}
