/**
 * The evidence library in a browser: bytes of its bundle, minified and gzipped, beside `@phala/dcap-qvl` bundled the same way; and milliseconds
 * of one quote verification in Chromium, everything checked, ours with nothing known before (cold) and with collateral and chains verified
 * earlier (warm), the peer in the same page in alternation.
 *
 *   node bench/browser.ts [--rounds 10]
 *
 * Times need Debian's chromium and recorded quotes (`VOUCHSAFE_VECTORS`); without them only bytes are printed.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type BundleSource, bundleForBrowser } from "../packages/attestation/test/browser/bundle.ts";
import { findBrowserFault, openPage } from "../packages/attestation/test/browser/chromium.ts";
import { installJsPeer, JS_PEER, peerCollateral } from "./dcap-qvl.ts";
import { measurePairs, report } from "./pairs.ts";

const CASES = [
  { kind: "sgx", folder: "sgx/phala-v3-processor-ca-2025-06" },
  { kind: "tdx", folder: "tdx/near-v4-2026-03-b" },
] as const;
const vectors = process.env["VOUCHSAFE_VECTORS"] ?? join(import.meta.dirname, "../../shared/vectors");
const { values } = parseArgs({ options: { rounds: { type: "string", default: "10" } } });
const BLOCK = 20;

const OURS = `
import { parsePemCertificates, VerificationCache, verifyAsync, verifyEvidence } from "@vouchsafe/attestation";
const known = new VerificationCache();
const bytes = (text) => Uint8Array.fromBase64(text);
globalThis.ours = async ({ kind, quote, root, documents, now }, isWarm, count) => {
  const [anchor] = parsePemCertificates(bytes(root));
  const collateral = Object.fromEntries(Object.entries(documents).map(([name, text]) => [name, bytes(text)]));
  const context = { now: new Date(now), trustAnchors: { [kind]: [anchor.der] }, collateral: { intel: () => collateral } };
  const evidence = { kind, bytes: bytes(quote) };
  const started = performance.now();
  for (let index = 0; index < count; index += 1) {
    const cache = isWarm ? known : new VerificationCache();
    await verifyAsync(() => verifyEvidence(evidence, { ...context, cache }));
  }
  return (performance.now() - started) / count;
};`;
/** The peer needs these globals of Node. */
const PEER_GLOBALS = 'import { Buffer } from "buffer"; Object.assign(globalThis, { Buffer, process: { env: {} } });';
const PEER = `
import { verify } from "@phala/dcap-qvl";
import { Buffer } from "buffer";
globalThis.peer = ({ quote, now }, peerCollateral, count) => {
  const binary = ["root_ca_crl", "pck_crl", "tcb_info_signature", "qe_identity_signature"];
  const collateral = Object.fromEntries(Object.entries(peerCollateral).map(([name, value]) => [name, binary.includes(name) ? Buffer.from(value, "base64") : value]));
  const bytes = Buffer.from(quote, "base64");
  const seconds = Math.floor(new Date(now).getTime() / 1000);
  const started = performance.now();
  for (let index = 0; index < count; index += 1) verify(bytes, collateral, seconds);
  return (performance.now() - started) / count;
};`;

const isBuffer = (value: unknown): value is { readonly data: readonly number[] } =>
  typeof value === "object" && value !== null && "type" in value && value.type === "Buffer";

const peerDirectory = installJsPeer();
const sizes: Readonly<Record<string, BundleSource>> = {
  "everything portable": { contents: 'export * from "@vouchsafe/attestation";' },
  "verifyEvidence of every kind, appraise": { contents: 'export { appraise, verifyAsync, verifyEvidence } from "@vouchsafe/attestation";' },
  "the same with the vendors' roots": {
    contents: 'export { appraise, VENDOR_TRUST_ANCHORS, verifyAsync, verifyEvidence } from "@vouchsafe/attestation";',
  },
  "SEV-SNP reports alone": { contents: 'export { parseCertificate, verifyAsync, verifySnpReport } from "@vouchsafe/attestation";' },
  "Nitro documents alone": { contents: 'export { parseCertificate, verifyAsync, verifyNitroDocument } from "@vouchsafe/attestation";' },
  [JS_PEER]: { contents: 'export { verify } from "@phala/dcap-qvl";', directory: peerDirectory },
};
/** What the peer's dependencies expect of a bundler. */
const SHIMS = { global: "globalThis" };
for (const [label, source] of Object.entries(sizes)) {
  const { minifiedBytes, gzippedBytes } = await bundleForBrowser(source, label === JS_PEER ? SHIMS : undefined);
  console.log(`${label}: ${minifiedBytes} bytes minified, ${gzippedBytes} gzipped`);
}

const fault = findBrowserFault() ?? (existsSync(vectors) ? undefined : `no vectors at ${vectors}`);
if (fault !== undefined) console.log(`no times: ${fault}`);
else await measureTimes();

async function measureTimes(): Promise<void> {
  const ours = await bundleForBrowser({ contents: OURS });
  const globals = await bundleForBrowser({ contents: PEER_GLOBALS, directory: peerDirectory }, SHIMS);
  const peer = await bundleForBrowser({ contents: PEER, directory: peerDirectory }, SHIMS);
  await using page = await openPage({ "/ours.js": ours.text, "/globals.js": globals.text, "/peer.js": peer.text }, () => undefined);
  for (const { kind, folder } of CASES) {
    const subject = JSON.stringify(readSubject(kind, join(vectors, folder)));
    const collateral = JSON.stringify(peerCollateral(join(vectors, folder)), (_, value: unknown) =>
      isBuffer(value) ? Buffer.from(value.data).toString("base64") : value,
    );
    const runOurs = (isWarm: boolean) => page.evaluate<number>(`ours(${subject}, ${isWarm}, ${BLOCK})`);
    const runPeer = () => page.evaluate<number>(`peer(${subject}, ${collateral}, ${BLOCK})`);
    for (const isWarm of [false, true]) {
      await runOurs(isWarm); // compiles, and fills the cache
      await runPeer();
      const pairs = await measurePairs(Number(values.rounds), () => runOurs(isWarm), runPeer);
      console.log(report(`${kind} ${isWarm ? "warm" : "cold"} in Chromium ${page.version} against ${JS_PEER}`, "ms", pairs));
    }
  }
}

function readSubject(kind: "sgx" | "tdx", folder: string) {
  const base64 = (file: string) => readFileSync(file).toString("base64");
  const read = (name: string) => base64(join(folder, name));
  const expected: { readonly verify_at: string } = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));
  return {
    kind,
    quote: read("quote.bin"),
    root: base64(join(vectors, "roots/intel-sgx-root-ca.pem")),
    documents: {
      tcbInfo: read("tcb-info.json"),
      qeIdentity: read("qe-identity.json"),
      tcbSigningChain: read("tcb-signing-chain.pem"),
      pckCrl: read("pck-crl.der"),
      rootCaCrl: read("root-ca-crl.der"),
    },
    now: expected.verify_at,
  };
}
