import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "@vouchsafe/protocol";
import { mayPass } from "./attest.ts";
import { RuntimeError } from "./runtime-error.ts";

const failures = [
  { what: "a node agent that is busy with many starts", error: new RuntimeError("R-AGENT-BUSY", "no answer yet"), repeats: true },
  { what: "a node agent that refuses", error: new RuntimeError("R-EVIDENCE", "a volume hides files"), repeats: false },
  { what: "a CAS that is away", error: new ProtocolError("CAS_UNREACHABLE", "refused"), repeats: true },
  { what: "another CAS than the pinned one", error: new ProtocolError("CAS_IDENTITY", "another key"), repeats: false },
  { what: "a mistake in code", error: new TypeError("undefined"), repeats: false },
];
for (const { what, error, repeats } of failures) {
  test(`MF-125: ${what} ${repeats ? "is asked again" : "ends the start at once"}`, () => {
    assert.equal(mayPass(error), repeats);
  });
}
