import { hash } from "../crypto/current-provider.ts";
import { type DstackEvent, parseDstackEventLog, readRuntimeEvents, verifyDstackEventLog } from "../dstack/dstack-event-log.ts";
import { type Answer, answerOf, type Fields, fieldsOf, judgeAnswer } from "./answer.ts";
import { fileOf } from "./case-input.ts";
import { rtmrsOf, tdxFields, verifyTdxSignatures } from "./tdx-signatures.ts";
import type { CaseVerdict, VectorCase } from "./vector-case.ts";

/** Family `dstack`: TDX quote, JSON event log, perhaps the app-compose document. */
export function judgeDstackCase(vectorCase: VectorCase): CaseVerdict {
  return judgeAnswer(
    vectorCase,
    answerOf(() => verifyCase(vectorCase)),
    fieldsOf(() => caseFields(vectorCase, parseDstackEventLog(fileOf(vectorCase, "eventlog.json")))),
  );
}

function verifyCase(vectorCase: VectorCase): Answer {
  const claims = verifyTdxSignatures(vectorCase, "quote.bin");
  const events = parseDstackEventLog(fileOf(vectorCase, "eventlog.json"));
  verifyDstackEventLog(events, rtmrsOf(claims), vectorCase.files.get("app-compose.json"));
  return { outcome: "ok" };
}

function caseFields(vectorCase: VectorCase, events: readonly DstackEvent[]): Fields {
  const appCompose = vectorCase.files.get("app-compose.json");
  const runtimeEvents = readRuntimeEvents(events);
  const composeHash = runtimeEvents.get("compose-hash")?.toHex();
  return {
    ...tdxFields(vectorCase, "quote.bin"),
    runtimeEvents: Object.fromEntries([...runtimeEvents].map(([name, payload]) => [name, payload.toHex()])),
    emptyRuntimeDigests: events.filter(({ isDigestGiven }) => !isDigestGiven).length,
    eventCount: events.length,
    composeHash,
    ...(appCompose === undefined ? {} : { composeHashMatchesAppCompose: hash("sha256", appCompose).toHex() === composeHash }),
  };
}
