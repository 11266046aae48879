import assert from "node:assert/strict";
import { sign } from "node:crypto";
import { test } from "node:test";
import { casStatementMessage, requestCasStatement, verifyCasStatement } from "./cas-statement.ts";
import type { CasAttestation, CasStatement } from "./client-api.ts";
import { casKeys, mintCasChain, NOW, newKey, pemOf } from "./testing/mint-cas-chain.ts";

const NONCE = "bm9uY2U=";
const statement: CasStatement = {
  ...{
    format: "vouchsafe/cas-statement/1",
    chain: [...pemOf(mintCasChain())],
    sessionEncryptionKey: "ab",
    version: "1",
    securityVersion: 1,
  },
  ...{ instanceKey: "00".repeat(32), state: "provisioned", selfProvisioned: false, ownerKeyHash: null, databaseKeyInjected: false },
  ...{ recovery: null, recoveryKey: null, developmentRoot: false, nonce: NONCE },
};
const said = (change: object = {}, key = casKeys.leaf, message = casStatementMessage): CasAttestation => {
  const text = JSON.stringify({ ...statement, ...change });
  return { statement: text, signature: sign("sha256", message(text), key).toBase64(), evidence: null };
};
const verify = (attestation: CasAttestation) => verifyCasStatement(attestation, NONCE, {}, NOW);

test("C-64 a statement is that of the CAS whose TLS key signed it, for this nonce", () => {
  const verified = verify(said());
  assert.deepEqual([verified.statement, verified.identity.chain, verified.evidence], [statement, statement.chain, null]);
});

test("C-64 a statement proves nothing that another key signed, that is signed as something else, changed, or answers another request", () => {
  const unsigned = { code: "CAS_STATEMENT", message: /is not signed by its TLS key/ };
  assert.throws(() => verify(said({}, newKey())), unsigned);
  assert.throws(() => verify(said({}, casKeys.software)), unsigned);
  assert.throws(() => verify(said({}, casKeys.leaf, (text) => Buffer.from(text))), unsigned);
  assert.throws(() => verify({ ...said(), statement: said({ version: "2" }).statement }), unsigned);
  assert.throws(() => verify(said({ nonce: "AAAA" })), { code: "CAS_STATEMENT", message: /made for another request/ });
});

test("C-64 a statement of a CAS that cannot be read, or of whose chain nothing follows, is refused", () => {
  const unreadable = { code: "CAS_STATEMENT", message: /cannot be read/, remedy: /same version/ };
  assert.throws(() => verify({ ...said(), statement: "no JSON" }), unreadable);
  assert.throws(() => verify(said({ format: "vouchsafe/cas-statement/2" })), unreadable);
  assert.throws(() => verify(said({ chain: [] })), { code: "CAS_IDENTITY" });
  assert.throws(() => verifyCasStatement(said(), NONCE, { casKeyHash: "x" }, NOW), { code: "CAS_IDENTITY" });
  assert.throws(() => verifyCasStatement(said(), NONCE, {}, new Date("2028-01-01T00:00:00Z")), { code: "CAS_IDENTITY" });
});

test("hazard B11: the statement is asked for with a fresh nonce and counts only from the CAS at the other end", async () => {
  const nonces: string[] = [];
  const { identity } = verify(said());
  const client = (casKeyHash: string | undefined) => ({
    identity: casKeyHash === undefined ? undefined : { ...identity, casKeyHash },
    attest: async (nonce: string) => {
      nonces.push(nonce);
      return said({ nonce });
    },
  });
  for (let count = 0; count < 2; count++) {
    const { statement: asked } = await requestCasStatement(client(identity.casKeyHash), {}, NOW);
    assert.equal(asked.nonce, nonces.at(-1));
  }
  assert.notEqual(nonces[0], nonces[1]);
  assert.ok(nonces.every((nonce) => Buffer.from(nonce, "base64url").length === 32));
  assert.equal((await requestCasStatement(client(identity.casKeyHash), {}, NOW, NONCE)).statement.nonce, NONCE);
  const other = { code: "CAS_STATEMENT", message: /at the other end is not the one/ };
  await assert.rejects(requestCasStatement(client("x"), {}, NOW), other);
  await assert.rejects(requestCasStatement(client(undefined), {}, NOW), other);
});
