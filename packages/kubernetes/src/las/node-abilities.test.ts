import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { findNodeProblem } from "./node-abilities.ts";
import { installSeccompProfile, SECCOMP_PROFILE } from "./seccomp-profile.ts";

const cases = [
  {
    what: "everything open",
    settings: { "sys/user/max_user_namespaces": "95915", "sys/kernel/unprivileged_userns_clone": "1" },
    says: undefined,
  },
  { what: "a kernel without these settings", settings: {}, says: undefined },
  {
    what: "no user namespaces",
    settings: { "sys/user/max_user_namespaces": "0" },
    says: /user\.max_user_namespaces is 0\): sysctl -w user\.max/,
  },
  { what: "Debian's switch", settings: { "sys/kernel/unprivileged_userns_clone": "0" }, says: /kernel\.unprivileged_userns_clone is 0/ },
  {
    what: "Ubuntu's switch",
    settings: { "sys/kernel/apparmor_restrict_unprivileged_userns": "1" },
    says: /apparmor_restrict_unprivileged_userns is 1/,
  },
];
for (const { what, settings, says } of cases) {
  test(`CL-63: a node with ${what} ${says === undefined ? "can hide secrets" : "says what to change"}`, (t) => {
    const directory = mkdtempSync(join(tmpdir(), "node-"));
    t.after(() => rmSync(directory, { recursive: true }));
    for (const [path, value] of Object.entries(settings)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), `${value}\n`);
    }
    installSeccompProfile(join(directory, "seccomp"));
    const problem = findNodeProblem(directory, join(directory, "seccomp"));
    if (says === undefined) assert.equal(problem, undefined);
    else assert.match(problem ?? "", says);
  });
}

test("CL-63: a seccomp profile that is missing or was changed is told", (t) => {
  const directory = mkdtempSync(join(tmpdir(), "node-"));
  t.after(() => rmSync(directory, { recursive: true }));
  assert.match(findNodeProblem(directory, directory) ?? "", /is missing/);
  installSeccompProfile(directory);
  writeFileSync(join(directory, SECCOMP_PROFILE), "{}");
  assert.match(findNodeProblem(directory, directory) ?? "", /was changed/);
});
