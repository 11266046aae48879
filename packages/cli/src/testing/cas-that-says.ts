import { generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:https";
import type { TestContext } from "node:test";
import { keyHashOf } from "@vouchsafe/policy";
import { type CasAttestation, type CasStatement, casStatementMessage } from "@vouchsafe/protocol";
import { issueCertificate, systemRandomness } from "@vouchsafe/secrets";
import { startTestCas } from "../../../cas/src/testing/test-cas.ts";

/** A CAS that says something else of itself than ours would, under a chain of its own, with evidence that it has from somewhere. */
export async function casThatSays(
  t: TestContext,
  more: Partial<CasStatement>,
  evidence: (nonce: string, statement: string) => Promise<CasAttestation["evidence"]> = async () => null,
): Promise<{ address: string; keyHash: string }> {
  const options = { now: new Date(), random: systemRandomness };
  const request = (commonName: string, isCa: boolean) => ({
    isCa,
    commonName,
    san: [{ kind: "ip" as const, value: "127.0.0.1" }],
    endpoint: undefined,
    validForSeconds: undefined,
    control: undefined,
  });
  const [root, software, leaf] = Array.from({ length: 3 }, () => generateKeyPairSync("ec", { namedCurve: "P-256" }));
  if (root === undefined || software === undefined || leaf === undefined) throw new TypeError("three keys were made");
  const rootPem = issueCertificate(request("cas", true), { ownKey: root.privateKey }, options).pem;
  const below = { publicKey: software.publicKey, issuer: { privateKey: root.privateKey, certificate: rootPem } };
  const softwarePem = issueCertificate(request("cas-instance", true), below, options).pem;
  const last = { publicKey: leaf.publicKey, issuer: { privateKey: software.privateKey, certificate: softwarePem } };
  const leafPem = issueCertificate(request("cas", false), last, options).pem;
  const chain = [leafPem, softwarePem, rootPem];
  const original = await startTestCas(t);
  const base = JSON.parse((await original.client().attest("n")).statement);
  const server = createServer(
    { key: leaf.privateKey.export({ type: "pkcs8", format: "pem" }), cert: chain.join("") },
    async (asked, reply) => {
      const { pathname, searchParams } = new URL(asked.url ?? "", "https://cas");
      if (pathname === "/v1/version") return void reply.end(JSON.stringify(await original.client().version()));
      const statement = JSON.stringify({ ...base, chain, nonce: searchParams.get("nonce"), ...more });
      const signature = sign("sha256", casStatementMessage(statement), leaf.privateKey).toString("base64");
      reply.end(JSON.stringify({ statement, signature, evidence: await evidence(searchParams.get("nonce") ?? "", statement) }));
    },
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  return { address: `127.0.0.1:${typeof address === "object" ? address?.port : 0}`, keyHash: keyHashOf(root.publicKey) };
}
