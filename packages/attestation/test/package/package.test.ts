import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { encodeEvidence } from "../../src/index.ts";
import { FMSPC, mintedNow, mintIntel } from "../../src/testing/mint-intel.ts";
import { mintedAt, mintSnp } from "../../src/testing/mint-snp.ts";
import { bundleForBrowser } from "../browser/bundle.ts";

const root = join(import.meta.dirname, "../../../..");
const directory = mkdtempSync(join(tmpdir(), "vouchsafe-package-"));
const project = join(directory, "project");
after(() => rmSync(directory, { recursive: true, force: true }));

const { quote, root: anchor, collateral } = mintIntel({ tee: "tdx" });
const base64 = (bytes: Uint8Array): string => Uint8Array.from(bytes).toBase64();

before(() => {
  const built = join(directory, "built");
  execFileSync(process.execPath, [join(root, "scripts/build-attestation.ts"), built]);
  const { dependencies } = JSON.parse(readFileSync(join(built, "package.json"), "utf8")) as {
    readonly dependencies: Record<string, string>;
  };
  // The dependencies are packed too, as they are installed here: an installation from files needs no registry.
  const folders = [built, ...Object.keys(dependencies).map((name) => join(root, "node_modules", name))];
  const tarballs = folders.map((folder) => pack(folder));
  mkdirSync(project);
  writeFileSync(join(project, "package.json"), '{ "private": true, "type": "module" }');
  execFileSync("npm", ["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", ...tarballs], {
    cwd: project,
    stdio: "pipe",
  });
  const files = Object.fromEntries(Object.entries(collateral).map(([name, bytes]) => [name, base64(bytes)]));
  const recorded = { evidence: encodeEvidence({ kind: "tdx", bytes: quote }), anchor: base64(anchor), collateral: files, now: mintedNow };
  writeFileSync(join(project, "recorded.json"), JSON.stringify(recorded));
});

function pack(folder: string): string {
  const [{ filename }] = JSON.parse(
    execFileSync("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", directory], { cwd: folder, encoding: "utf8" }),
  ) as [{ readonly filename: string }];
  return join(directory, filename);
}

const PLAIN_JAVASCRIPT = `
import { readFileSync } from "node:fs";
import { appraise, decodeEvidence, verifyAsync, verifyEvidence } from "@vouchsafe/attestation";
const { evidence, anchor, collateral, now } = JSON.parse(readFileSync("recorded.json", "utf8"));
const documents = Object.fromEntries(Object.entries(collateral).map(([name, text]) => [name, Uint8Array.fromBase64(text)]));
const context = { now: new Date(now), trustAnchors: { tdx: [Uint8Array.fromBase64(anchor)] }, collateral: { intel: () => documents } };
const received = decodeEvidence(evidence);
const claims = verifyEvidence(received, context);
const later = await verifyAsync(() => verifyEvidence(received, context));
received.bytes[100] ^= 1;
let refusal;
try { verifyEvidence(received, context); } catch (error) { refusal = error.code; }
const { accepted, checks } = appraise(claims, { kinds: ["tdx"], userData: "any", codeIdentities: [later.codeIdentity] });
console.log(JSON.stringify({ accepted, checks: checks.length, status: claims.tcb.status, refusal }));
`;

test("a packed library verifies in plain JavaScript, with nothing but its dependencies beside it", () => {
  writeFileSync(join(project, "verify.js"), PLAIN_JAVASCRIPT);
  const output = execFileSync(process.execPath, ["verify.js"], { cwd: project, encoding: "utf8" });
  const answer: Record<string, unknown> = JSON.parse(output);
  assert.deepEqual({ ...answer, checks: 0 }, { accepted: true, checks: 0, status: "UpToDate", refusal: "EVIDENCE_SIGNATURE" });
});

const CONSUMER = `
import { appraise, type Claims, type CryptoProvider, EvidenceError, type ReferenceValues, verifyAsync, verifyEvidence } from "ENTRY";
const references: ReferenceValues = { kinds: ["snp"], userData: "any", codeIdentities: "any" };
const provider: Partial<CryptoProvider> = { isSigned: async ({ scheme }) => scheme.kind === "ecdsa" };
export async function judge(bytes: Uint8Array): Promise<boolean> {
  try {
    const verify = (): Claims => verifyEvidence({ kind: "snp", bytes }, { now: new Date(), trustAnchors: {}, collateral: {} });
    return appraise(await verifyAsync(verify, provider), references).accepted;
  } catch (error) {
    if (error instanceof EvidenceError) return error.reason === "cert-expired";
    throw error;
  }
}
// @ts-expect-error a kind that does not exist
export const wrong: ReferenceValues = { ...references, kinds: ["tarot"] };
`;

for (const { entry, types, lib } of [
  { entry: "@vouchsafe/attestation", types: ["node"], lib: ["esnext"] },
  { entry: "@vouchsafe/attestation/portable", types: [], lib: ["esnext", "dom"] },
]) {
  test(`a TypeScript program that imports ${entry} type-checks${types.length === 0 ? " without the types of Node" : ""}`, () => {
    writeFileSync(join(project, "consumer.ts"), CONSUMER.replace("ENTRY", entry));
    typeCheck("consumer.ts", types, lib);
  });
}

const README = readFileSync(join(root, "packages/attestation/README.md"), "utf8");
const [README_PROGRAM = "", README_TDX_PROGRAM = ""] = [...README.matchAll(/```ts\n(.*?)```/gs)].map(([, program]) => program);

/** The files that the README's program reads, minted, and the same program with their root and time in place of AMD's and the present. */
function writeReadmeProgram(): void {
  const tcb = { bootLoader: 3, tee: 0, snp: 22, microcode: 115 };
  const { report, endorsementKey, signer, anchors, revocationList } = mintSnp({
    certificate: { product: "Genoa", tcb },
    report: { family: 0x19, model: 0x11, platformInfo: 0x20n, tcb: 0x7316000000000003n },
    revoked: ["stranger"],
  });
  const ark = anchors[0]?.der ?? assert.fail();
  const pem = (der: Uint8Array) => `-----BEGIN CERTIFICATE-----\n${base64(der)}\n-----END CERTIFICATE-----\n`;
  const files = { "report.bin": report, "vcek.der": endorsementKey.der, "crl.der": revocationList?.der ?? assert.fail(), "ark.der": ark };
  for (const [name, bytes] of Object.entries(files)) writeFileSync(join(project, name), bytes);
  writeFileSync(join(project, "cert_chain.pem"), pem(signer.der) + pem(ark));
  writeFileSync(join(project, "readme.ts"), README_PROGRAM);
  const now = `now: new Date("${mintedAt.toISOString()}")`;
  const minted = README_PROGRAM.replace("now: new Date()", now).replace(
    "trustAnchors: VENDOR_TRUST_ANCHORS",
    'trustAnchors: { snp: [readFileSync("ark.der")] }',
  );
  assert.notEqual(minted, README_PROGRAM);
  writeFileSync(join(project, "readme-minted.ts"), minted);
}

test("the program of the README runs as it stands there, and type-checks", () => {
  writeReadmeProgram();
  const run = (file: string) => execFileSync(process.execPath, [file], { cwd: project, encoding: "utf8" });
  assert.match(run("readme.ts"), /^proves nothing: EVIDENCE_SIGNATURE bad-chain /);
  const accepted = run("readme-minted.ts");
  assert.match(accepted, /^accepted\npassed evidence kind snp snp/);
  assert.match(accepted, /^passed platformInfo\.aliasCheckComplete true true/m);
  typeCheck("readme.ts", ["node"], ["esnext"]);
});

/** Intel's service as the README's program asks it, with minted documents. */
function serveDocuments(answers: ReadonlyMap<string, Uint8Array>): Promise<Server> {
  const chain = encodeURIComponent(Buffer.from(collateral.tcbSigningChain ?? assert.fail()).toString());
  const server = createServer(({ url = "" }, response) => {
    const body = answers.get(url);
    response.statusCode = body === undefined ? 404 : 200;
    response.setHeader(url.includes("/tcb?") ? "TCB-Info-Issuer-Chain" : "SGX-Enclave-Identity-Issuer-Chain", chain);
    response.end(body);
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

test("the README's program for quotes fetches what Intel says of the platform, and judges", async () => {
  const { tcbInfo, qeIdentity, pckCrl, rootCaCrl } = collateral as Required<typeof collateral>;
  const answers = new Map([
    [`/tdx/certification/v4/tcb?fmspc=${FMSPC}`, tcbInfo],
    ["/tdx/certification/v4/qe/identity", qeIdentity],
    ["/sgx/certification/v4/pckcrl?ca=platform&encoding=der", pckCrl],
    ["/root.crl", rootCaCrl],
  ]);
  const server = await serveDocuments(answers);
  try {
    const { port } = server.address() as AddressInfo;
    const replaced = [
      ["https://api.trustedservices.intel.com", `http://127.0.0.1:${port}`],
      ["https://certificates.trustedservices.intel.com/IntelSGXRootCA.der", `http://127.0.0.1:${port}/root.crl`],
      ["now: new Date()", `now: new Date("${mintedNow.toISOString()}")`],
      ["trustAnchors: VENDOR_TRUST_ANCHORS", 'trustAnchors: { tdx: [readFileSync("root.der")] }'],
      ["VENDOR_TRUST_ANCHORS.tdx, context", "context.trustAnchors.tdx, context"],
      ['"00".repeat(48)', '"3d".repeat(48)'],
    ] as const;
    const program = replaced.reduce((text, [there, here]) => {
      assert.ok(text.includes(there), there);
      return text.replace(there, here);
    }, README_TDX_PROGRAM);
    writeFileSync(join(project, "quote.bin"), quote);
    writeFileSync(join(project, "root.der"), anchor);
    writeFileSync(join(project, "readme-tdx-minted.ts"), program);
    const { stdout } = await promisify(execFile)(process.execPath, ["readme-tdx-minted.ts"], { cwd: project });
    assert.equal(stdout, "UpToDate accepted\n");
    writeFileSync(join(project, "readme-tdx.ts"), README_TDX_PROGRAM);
    typeCheck("readme-tdx.ts", ["node"], ["esnext"]);
  } finally {
    server.close();
  }
});

function typeCheck(file: string, types: readonly string[], lib: readonly string[]): void {
  const typeRoots = [join(root, "node_modules/@types")];
  const strict = {
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    noEmit: true,
    module: "nodenext",
    target: "esnext",
  };
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: { ...strict, types, typeRoots, lib }, files: [file] }));
  execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "--project", project], { encoding: "utf8" });
}

test("a packed library bundles for browsers like its sources", async () => {
  const { nodeGlobals, inputs } = await bundleForBrowser({ contents: 'export * from "@vouchsafe/attestation";', directory: project });
  assert.deepEqual(nodeGlobals, []);
  assert.ok(inputs.some((path) => path.endsWith("crypto/web-provider.js")));
});

test("the packed library holds no tests, no sources and no evidence factory", () => {
  const listed = execFileSync("tar", ["-tzf", join(directory, "vouchsafe-attestation-0.1.0.tgz")], { encoding: "utf8" }).split("\n");
  assert.deepEqual(
    listed.filter((path) => /testing|\.test\.|(?<!\.d)\.ts$/.test(path)),
    [],
  );
  for (const path of ["package/README.md", "package/LICENSE", "package/index.js", "package/index.d.ts"])
    assert.ok(listed.includes(path), path);
});
