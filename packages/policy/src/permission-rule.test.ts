import assert from "node:assert/strict";
import { test } from "node:test";
import { accepted, KEY, SERVICE } from "../test/documents.ts";
import { permissionRule } from "./permission-rule.ts";

const OTHER = "3RRDm6BpFxXD2yJNYTUJhdLuAN49ae9ivsWhmtqmMvicDszge9";
const session = accepted(
  `services: [{${SERVICE}}, {${SERVICE.replace("name: s", "name: other")}}]
secrets: [{name: p, kind: ascii, supplied_by: [${KEY}]}, {name: q, kind: ascii, supplied_by: [CREATOR]}, {name: made, kind: ascii}]
update_proposals: {enabled: true, expires: 14d}
roles:
  - {name: writers, members: [${OTHER}, "$$SCONE::made$$"], may: [{write_secret: [p]}]}
  - {name: release, members: [CREATOR], may: [{raise_isvsvn: [s]}, {write_secret: [q]}]}`,
);
const rule = (action: "write_secret" | "raise_isvsvn", name: string, made?: string) => permissionRule(session, action, name, () => made);
const key = (keyHash: string) => ({ kind: "key", keyHash });

test("SL-171 extension roles: a secret is written by those who supply it and by members of the roles that may, and by nobody else", () => {
  const [first, second, third] = rule("write_secret", "p");
  assert.deepEqual([first, second, third?.kind], [key(KEY), key(OTHER), "placeholder"]);
  assert.deepEqual(rule("write_secret", "p", KEY), [key(KEY), key(OTHER), key(KEY)]);
  assert.deepEqual(rule("write_secret", "q"), [{ kind: "creator" }, { kind: "creator" }]);
  assert.deepEqual([rule("write_secret", "made"), rule("write_secret", "none")], [[], []]);
});

test("SL-171 extension roles: a permission is for one action on what it names; who supplies a secret may do nothing else with its name", () => {
  assert.deepEqual(rule("raise_isvsvn", "s"), [{ kind: "creator" }]);
  assert.deepEqual([rule("raise_isvsvn", "other"), rule("raise_isvsvn", "p"), rule("write_secret", "s")], [[], [], []]);
});
