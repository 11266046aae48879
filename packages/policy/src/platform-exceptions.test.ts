import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseSession } from "./parse-session.ts";
import { exceptionState, listExceptions } from "./platform-exceptions.ts";
import { printSession } from "./print-session.ts";
import { resolveSecurity } from "./resolve-sections.ts";
import type { PlatformException, Session } from "./session.ts";
import { diffSessions } from "./session-difference.ts";

const MEASUREMENT = "ab".repeat(32);
const document = (session: string, service = "") => `
version: "0.3"
name: shop
security: {attestation: {exceptions: ${session}}}
services:
  - name: api
    command: [/api]
    pwd: /
    attestation: {mrenclave: [${MEASUREMENT}]}
${service}`;
const BIOS = '[{tolerate: [outdated-tcb], ignore_advisories: [INTEL-SA-00615], until: 2027-01-31, because: "the BIOS comes in January"}]';

function parsed(text: string): Session {
  const { session, diagnostics } = parseSession(text, {});
  assert.ok(session, JSON.stringify(diagnostics));
  return session;
}

test("SL-89 an exception names what it accepts, until when and why; a day ends with it", () => {
  const session = parsed(document(BIOS));
  assert.deepEqual(listExceptions(session), [
    {
      service: undefined,
      tolerate: ["outdated-tcb"],
      ignoreAdvisories: ["INTEL-SA-00615"],
      until: "2027-01-31T23:59:59Z",
      because: "the BIOS comes in January",
    },
  ]);
  assert.deepEqual(parsed(printSession(session, { unknownCreator: "omit" })), session);
});

test("SL-89 exceptions of sections that come from secrets are not known before", () => {
  const sections = ['"$$SCONE::s$$"', '{attestation: "$$SCONE::s$$"}'];
  for (const section of sections) {
    const text = document("[]").replace(/^security: .*$/m, () => `security: ${section}\nsecrets: [{name: s, import: {session: o}}]`);
    assert.deepEqual(listExceptions(parsed(text)), []);
  }
});

const refused: Readonly<Record<string, string>> = {
  "no end": "[{tolerate: [outdated-tcb], because: x}]",
  "no reason": "[{tolerate: [outdated-tcb], until: 2027-01-31}]",
  "an empty reason": '[{tolerate: [outdated-tcb], until: 2027-01-31, because: " "}]',
  "a day that does not exist": "[{tolerate: [outdated-tcb], until: 2027-02-30, because: x}]",
  "nothing to accept": "[{until: 2027-01-31, because: x}]",
  "the wildcard": '[{ignore_advisories: "*", until: 2027-01-31, because: x}]',
  "debug mode": "[{tolerate: [debug-mode], until: 2027-01-31, because: x}]",
  "a placeholder": '[{tolerate: ["$$SCONE::weak$$"], until: 2027-01-31, because: x}]',
  "another key": "[{tolerate: [outdated-tcb], until: 2027-01-31, because: x, platforms: []}]",
  "one that is no list": "{tolerate: [outdated-tcb], until: 2027-01-31, because: x}",
};
for (const [rule, text] of Object.entries(refused)) {
  test(`SL-89 an exception with ${rule} is refused`, () => {
    assert.equal(parseSession(document(text), {}).session, undefined);
  });
}

test("SL-89 a service's own section keeps only the exceptions that it makes too", () => {
  const effective = (service: string) => {
    const session = parsed(document(BIOS, service));
    const [api] = session.services;
    assert.ok(api);
    const resolved = resolveSecurity(session, api, () => undefined);
    return resolved.kind === "ok" ? resolved.value.attestation.exceptions.length : undefined;
  };
  assert.equal(effective(""), 1);
  assert.equal(effective("    security: {attestation: {tolerate: []}}"), 0);
  assert.equal(effective(`    security: {attestation: {exceptions: ${BIOS}}}`), 1);
  assert.equal(effective(`    security: {attestation: {exceptions: ${BIOS.replace("01-31", "02-01")}}}`), 0);
});

test("the difference of two sessions shows an exception with its end and reason", () => {
  const { allows } = diffSessions(parsed(document("[]")), parsed(document(BIOS)));
  assert.match(allows.join("\n"), /outdated-tcb, INTEL-SA-00615 is accepted until 2027-01-31T23:59:59Z: the BIOS comes in January/);
});

test("clock: active, ending within 14 days, ended from the next second on", () => {
  const exception: PlatformException = { tolerate: ["outdated-tcb"], ignoreAdvisories: [], until: "2027-01-31T23:59:59Z", because: "x" };
  const at = (time: string) => exceptionState(exception, new Date(time));
  assert.deepEqual(at("2027-01-01T00:00:00Z"), { state: "active", daysLeft: 30 });
  assert.deepEqual(at("2027-01-17T23:59:59Z"), { state: "active", daysLeft: 14 });
  assert.deepEqual(at("2027-01-18T00:00:00Z"), { state: "ending", daysLeft: 13 });
  assert.deepEqual(at("2027-01-31T23:59:59Z"), { state: "ending", daysLeft: 0 });
  assert.deepEqual(at("2027-02-01T00:00:00Z"), { state: "ended", daysLeft: 0 });
  const times = fc.date({ min: new Date("2020-01-01"), max: new Date("2040-01-01"), noInvalidDate: true });
  fc.assert(
    fc.property(times, times, (a, b) => {
      const [earlier, later] = a <= b ? [a, b] : [b, a];
      assert.ok(exceptionState(exception, earlier).daysLeft >= exceptionState(exception, later).daysLeft);
      if (exceptionState(exception, earlier).state === "ended") assert.equal(exceptionState(exception, later).state, "ended");
    }),
  );
});
