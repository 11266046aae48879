import assert from "node:assert/strict";
import { codeIdentity, NODE_AGENT_MEASUREMENT } from "@vouchsafe/attestation";
import { CasProblemError, RefusedError } from "@vouchsafe/protocol";

/** What the test agent measures of an honest service. */
export const TEST_WORKLOAD = { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "cd".repeat(16) };
export const TEST_CODE = codeIdentity("node", NODE_AGENT_MEASUREMENT, TEST_WORKLOAD);

export interface PolicyParts {
  readonly name: string;
  /** Further lines of the service, indented by four blanks. */
  readonly service?: string;
  /** Further sections. */
  readonly rest?: string;
  readonly security?: string;
}

/** A session with one service `api` that node evidence admits. */
export function testPolicy({ name, service = "", rest = "", security = "{attestation: {evidence: [node]}}" }: PolicyParts): string {
  return `
version: "0.3"
name: ${name}
security: ${security}
services:
  - name: api
    command: [python3, /app/api.py]
    pwd: /
    attestation: {mrenclave: [${TEST_CODE}]}
${service}
${rest}
`;
}

/** For `assert.rejects`: the client API answered with this code. */
export function problem(code: string, says: RegExp = /./): (error: unknown) => true {
  return (error) => {
    assert(error instanceof CasProblemError, String(error));
    assert.equal(error.problem.code, code, error.message);
    assert.match([error.message, ...error.problem.msg].join("\n"), says);
    return true;
  };
}

/** For `assert.rejects`: the service interface refused with this code at this step. */
export function refusal(code: string, step: string | undefined, says: RegExp = /./): (error: unknown) => true {
  return (error) => {
    assert(error instanceof RefusedError, String(error));
    assert.equal(error.refusal.code, code, error.message);
    assert.equal(error.refusal.step, step);
    assert.match([error.message, ...error.refusal.causes].join("\n"), says);
    return true;
  };
}
