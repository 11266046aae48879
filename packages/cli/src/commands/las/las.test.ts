import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Evidence, encodeEvidence, SIMULATED_KINDS, simulateEvidence } from "@vouchsafe/attestation";
import type { EvidenceSource } from "@vouchsafe/attester";
import { encodeFrame } from "@vouchsafe/protocol";
import { type IntelMint, type JsonDocument, mintedNow, mintIntel } from "../../../../attestation/src/testing/mint-intel.ts";
import { mintedAt, mintSnp } from "../../../../attestation/src/testing/mint-snp.ts";
import { newSimulatedPlatform } from "../../../../attestation/src/testing/simulated-keys.ts";
import { startSoftwareTpm } from "../../../../attestation/src/testing/software-tpm.ts";
import { serveEvidence, vouchAsNode } from "../../../../local/src/node-agent.ts";
import { CliWorkplace } from "../../testing/run-cli.ts";
import { chooseAndGather } from "./choose-and-gather.ts";

const PATIENT = ["--timeout", "120"];
const QUOTE = mintIntel().quote;

/** The devices that come before a TPM: a machine that has one gives its evidence. */
const GUEST_DEVICES = ["/dev/attestation", "/dev/nsm", "/sys/kernel/config/tsm/report", "/dev/tdx_guest", "/dev/sev-guest"];
const device = GUEST_DEVICES.find((path) => existsSync(path));
const skip = device === undefined ? false : `this machine has ${device}, which comes first`;

function workplace(t: TestContext): CliWorkplace {
  const place = new CliWorkplace();
  t.after(() => place[Symbol.dispose]());
  return place;
}

/** Minted evidence with everything that verifies it, and the options that name it. */
function intelPlace(t: TestContext, mint: IntelMint = {}) {
  const place = workplace(t);
  const { quote, root, collateral } = mintIntel(mint);
  mkdirSync(place.path("intel"));
  const named = { tcbInfo: "tcb-info.json", qeIdentity: "qe-identity.json", tcbSigningChain: "tcb-signing-chain.pem" };
  for (const [member, name] of Object.entries({ ...named, pckCrl: "pck-crl.der", rootCaCrl: "root-ca-crl.der" }))
    writeFileSync(place.path("intel", name), collateral[member as keyof typeof collateral] ?? "");
  writeFileSync(place.path("quote.bin"), quote);
  writeFileSync(place.path("root.der"), root);
  const trust = ["--root", "root.der", "--at", mintedNow.toISOString()];
  const show = (...more: string[]) =>
    place.run("vouchsafe", ["las", "show-tcb-state", "--evidence", "quote.bin", ...trust, "--collateral", "intel", ...more]);
  return { place, show, trust };
}

async function listening(t: TestContext, server: Server, at: string | number): Promise<Server> {
  if (typeof at === "string") server.listen(at);
  else server.listen(at, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return server;
}

const source = (kinds: EvidenceSource["kinds"], given: string | Evidence | Error): EvidenceSource => ({
  ...{ kinds, name: `/dev/${kinds[0]}`, absence: () => (typeof given === "string" ? given : undefined) },
  gather: async () => {
    if (given instanceof Error) throw given;
    return typeof given === "string" ? assert.fail() : given;
  },
});
const gather = (wantsDcap: boolean, ...sources: EvidenceSource[]) =>
  chooseAndGather(sources, { userData: new Uint8Array(64), workload: undefined, certifyKey: undefined }, wantsDcap);

test("C-92: las probe gathers evidence of a real TPM, keeps it, and says that nothing of it is verified", { skip }, async (t) => {
  await using tpm = await startSoftwareTpm({ isManufactured: true });
  const place = workplace(t);
  const environment = { VOUCHSAFE_TPM: `tcp:${tpm.address.host}:${tpm.address.port}` };
  const { code, out, err } = await place.run("vouchsafe", ["las", "probe", ...PATIENT, "--save", "evidence.json"], { environment });
  assert.equal(code, 0, err);
  assert.match(out, /^tpm evidence from 127\.0\.0\.1:\d+, \d+ bytes; not verified\n$/);
  assert.equal(JSON.parse(readFileSync(place.path("evidence.json"), "utf8")).kind, "tpm");
  const dcap = await place.run("vouchsafe", ["las", "probe", "--dcap", ...PATIENT], { environment });
  assert.equal(dcap.code, 1);
  assert.match(dcap.err, /nothing here gives DCAP evidence/);

  place.write("makers.pem", tpm.makerCertificates.join("\n"));
  const show = (...more: string[]) => place.run("vouchsafe", ["las", "show-tcb-state", ...PATIENT, ...more], { environment });
  const shown = await show("--root", "makers.pem");
  assert.equal(shown.code, 0, shown.out + shown.err);
  assert.match(shown.out, /^platform family: TPM 2\.0\nplatform: TPM_EK:[0-9a-f]{64}\nTCB status: UpToDate\n/);
  assert.match(shown.out, /firmwareVersion: [0-9a-f]{16}\n/);
  const stranger = await show();
  assert.deepEqual([stranger.code, stranger.out.split("\n")[0]?.slice(0, 33)], [3, "not verified: EVIDENCE_SIGNATURE,"]);
});

test("C-92: without any source the error names everything that was looked for", { skip }, async (t) => {
  const { code, out, err } = await workplace(t).run("vouchsafe", ["las", "probe"], {
    environment: { VOUCHSAFE_TPM: "unix:/nowhere/tpm.sock" },
  });
  assert.deepEqual([code, out], [1, ""]);
  for (const name of [...GUEST_DEVICES, "/nowhere/tpm.sock"]) assert.ok(err.includes(name), `${name} is missing in ${err}`);
  assert.match(err, /nothing here gives evidence/);
});

test("C-92: --timeout ends the wait for a TPM and for a node agent that do not answer", { skip }, async (t) => {
  const place = workplace(t);
  const silent = () => createServer((socket) => socket.on("error", () => {}).resume());
  const { port } = (await listening(t, silent(), 0)).address() as AddressInfo;
  await listening(t, silent(), place.path("agent.sock"));
  for (const environment of [{ VOUCHSAFE_TPM: `tcp:127.0.0.1:${port}` }, { VOUCHSAFE_AGENT_SOCKET: place.path("agent.sock") }]) {
    const { code, err } = await place.run("vouchsafe", ["las", "probe", "--timeout", "2"], { environment });
    assert.deepEqual([code, /no evidence came within 2 s/.test(err)], [1, true], err);
  }
  const wrong = await place.run("vouchsafe", ["las", "probe", "--timeout", "soon"]);
  assert.deepEqual([wrong.code, /--timeout "soon" is no number of seconds/.test(wrong.err)], [2, true], wrong.err);
});

test("C-90, C-92, C-93: the node agent is asked where its socket is set, and its platform shown", async (t) => {
  const place = workplace(t);
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  writeFileSync(place.path("agent.pem"), publicKey.export({ type: "spki", format: "pem" }));
  const workload = {
    imageDigest: `sha256:${"ab".repeat(32)}`,
    fileSystemTag: "",
    program: "/api",
    service: "shop/api",
    instanceCounter: 1n,
  };
  const socket = place.path("agent.sock");
  const agent = await serveEvidence(socket, process.getuid?.() ?? 0, vouchAsNode(workload, privateKey));
  t.after(() => agent.close());
  const environment = { VOUCHSAFE_AGENT_SOCKET: socket };
  const told = await place.run("vouchsafe", ["las", "probe", "--json", ...PATIENT], { environment });
  assert.equal(told.code, 0, told.err);
  const { bytes, ...rest } = JSON.parse(told.out);
  assert.deepEqual([rest, bytes > 0], [{ kind: "node", source: `the node agent at ${socket}` }, true]);
  const shown = await place.run("vouchsafe", ["las", "show-tcb-state", "--root", "agent.pem", ...PATIENT], { environment });
  assert.equal(shown.code, 0, shown.out + shown.err);
  assert.match(shown.out, /^platform family: node agent \(proves nothing about hardware\)\nplatform: NODE_KEY:/);
});

test("C-90, C-92: what the agent at SCONE_LAS_ADDR refuses is told", async (t) => {
  const refusing = createServer((socket) =>
    socket.on("error", () => {}).once("data", () => socket.write(encodeFrame({ type: "failure", message: "no such container" }))),
  );
  const { port } = (await listening(t, refusing, 0)).address() as AddressInfo;
  const { code, err } = await workplace(t).run("vouchsafe", ["las", "probe", ...PATIENT], {
    environment: { SCONE_LAS_ADDR: `127.0.0.1:${port}` },
  });
  assert.equal(code, 1);
  assert.match(err, /there is a source, but it gives no evidence: .*the node agent refuses: no such container/);
});

test("C-92: --dcap counts SGX and TDX quotes alone; what is there and fails is told, and the next is not taken in its place", async () => {
  const quote: Evidence = { kind: "sgx", bytes: QUOTE };
  const report: Evidence = { kind: "snp", bytes: new Uint8Array(8) };
  const first = await gather(
    true,
    source(["nitro"], { kind: "nitro", bytes: QUOTE }),
    source(["tdx", "snp"], report),
    source(["sgx"], quote),
  );
  assert.ok("evidence" in first && first.evidence.kind === "sgx");
  const none = await gather(true, source(["tdx", "snp"], report), source(["tpm"], quote));
  assert.deepEqual(none, { isPresent: false, found: ["tdx or snp from /dev/tdx: gives snp evidence, which is no DCAP evidence"] });
  const broken = new Error("no quote", { cause: new Error("EIO") });
  const failed = await gather(false, source(["nitro"], "there is no such device"), source(["tdx"], broken), source(["sgx"], quote));
  assert.deepEqual(failed, {
    isPresent: true,
    found: ["nitro from /dev/nitro: there is no such device", "tdx from /dev/tdx: no quote: EIO"],
  });
});

test("C-93: las show-tcb-state names family, Intel QE ID, security versions and status of SGX evidence", async (t) => {
  const { show } = intelPlace(t, { header: (header) => header.set(Buffer.from("0123456789abcdeffedcba9876543210", "hex"), 28) });
  const { code, out, err } = await show();
  assert.equal(code, 0, out + err);
  assert.match(out, /^platform family: Intel SGX\nIntel QE ID: 0123456789abcdeffedcba9876543210\nFMSPC: 00906ed50000\n/);
  assert.match(
    out,
    /\nTCB status: UpToDate, of the level of \d{4}-\d\d-\d\d\nadvisories: none\nsecurity versions:\n {2}SGX components: 5 5 2 2/,
  );
  assert.match(out, /\nplatform: cannot be improved\n$/);
});

test("C-93: the same of TDX evidence, with the versions of module and loader", async (t) => {
  const { show } = intelPlace(t, { tee: "tdx" });
  const { code, out, err } = await show();
  assert.equal(code, 0, out + err);
  assert.match(out, /^platform family: Intel TDX\nIntel QE ID: [0-9a-f]{32}\n(?:.*\n)* {2}TDX components: (?:\d+ ){15}\d+\n/);
});

test("C-93: what is short is named, and each --fail-on switch strikes when its state holds", async (t) => {
  const outdated = (document: JsonDocument) => {
    const levels = document["tcbLevels"] as (JsonDocument & { tcb: { sgxtcbcomponents: { svn: number }[] } })[];
    const next = structuredClone(levels[0]);
    Object.assign(next?.tcb.sgxtcbcomponents[0] ?? {}, { svn: 9 });
    Object.assign(levels[0] ?? {}, { tcbStatus: "OutOfDateConfigurationNeeded", advisoryIDs: ["INTEL-SA-01234"] });
    if (next !== undefined) levels.unshift(next);
  };
  const { show, place, trust } = intelPlace(t, { tcbInfo: outdated, qeReport: (report) => report.fill(0x77, 0, 16) });
  const plain = await show();
  assert.equal(plain.code, 0, plain.out + plain.err);
  assert.match(plain.out, /TCB status: OutOfDateConfigurationNeeded.*\nadvisories: INTEL-SA-01234\n/);
  assert.match(plain.out, /\nplatform: can be improved\n {2}SGX component 1 has 5, needs 9: .*\n {2}Change the machine's configuration/);
  assert.match(plain.out, /certificate \(good until \d{4}-\d\d-\d\d\): can be improved\n {2}The certificate is for another CPUSVN/);
  const switches = ["outdated", "configuration-needed", "advisories", "certificate-improvable", "platform-improvable"].map(
    (word) => `--fail-on-${word}`,
  );
  const failed = await show("--json", "summary", ...switches, "--fail-on-sw-hardening-needed");
  assert.equal(failed.code, 3);
  const { failedOn, status, identifiers, claims } = JSON.parse(failed.out);
  assert.deepEqual([failedOn, status, claims], [switches.map((name) => name.slice(2)), "OutOfDateConfigurationNeeded", undefined]);
  assert.match(identifiers["Intel QE ID"], /^[0-9a-f]{32}$/);
  assert.equal(JSON.parse((await show("--json", "full")).out).claims.kind, "sgx");
  const blind = ["las", "show-tcb-state", "--evidence", "quote.bin", ...trust, "--signatures-only"];
  const unknown = await place.run("vouchsafe", [...blind, "--fail-on-outdated"]);
  assert.equal(unknown.code, 3, "a status that is not known is not a good one");
  assert.match(unknown.out, /TCB status: Unknown\n(?:.*\n)*platform: not known whether it can be improved\n {2}Without Intel's documents/);
  const without = await place.run("vouchsafe", blind.slice(0, -1));
  assert.deepEqual([without.code, /^not verified: .*collateral-missing\n/.test(without.out)], [3, true], without.out);
});

test("C-93: an up-to-date platform passes every --fail-on switch", async (t) => {
  const { show } = intelPlace(t);
  const words = ["outdated", "configuration-needed", "sw-hardening-needed", "advisories", "platform-improvable"];
  const { code, out, err } = await show(...words.map((word) => `--fail-on-${word}`));
  assert.equal(code, 0, out + err);
});

test("C-93: a chip that reports an older version than it runs could have a better certificate", async (t) => {
  const place = workplace(t);
  const { report, endorsementKey, signer, anchors } = mintSnp({ report: { currentTcb: 0x7408000000000003n } });
  const files = { "report.bin": report, "vcek.der": endorsementKey.der, "ask.der": signer.der, "ark.der": anchors[0]?.der ?? "" };
  for (const [name, bytes] of Object.entries(files)) writeFileSync(place.path(name), bytes);
  const { code, out, err } = await place.run("vouchsafe", [
    ...["las", "show-tcb-state", "--evidence", "report.bin", "--root", "ark.der", "--at", mintedAt.toISOString()],
    ...["--with", "endorsement-key=vcek.der", "--with", "signer=ask.der", "--fail-on-certificate-improvable"],
  ]);
  assert.equal(code, 3, out + err);
  assert.match(out, /^platform family: AMD SEV-SNP\nAMD chip ID: (?:c5){64}\nproduct: Milan\nsigning key: VCEK\n/);
  assert.match(out, /\n {2}microcode runs at 116 and is reported as 115: /);
  assert.match(err, /refused: another certificate would certify more \(--fail-on-certificate-improvable\)/);
});

test("C-93: simulated evidence of every kind names what it imitates, and is development only", async (t) => {
  const place = workplace(t);
  const now = new Date();
  const platform = newSimulatedPlatform(now);
  const guest = { userData: new Uint8Array(64).fill(7), workload: { imageDigest: `sha256:${"ab".repeat(32)}`, fileSystemTag: "" } };
  writeFileSync(place.path("root.der"), platform.root);
  for (const kind of SIMULATED_KINDS) {
    place.write("evidence.json", JSON.stringify(encodeEvidence(simulateEvidence(platform, kind, guest))));
    const { code, out, err } = await place.run("vouchsafe", ["las", "show-tcb-state", "--evidence", "evidence.json", "--root", "root.der"]);
    assert.equal(code, 0, out + err);
    const start = `platform family: simulated ${kind} (DEVELOPMENT ONLY)\nplatform: SIMULATED:`;
    assert.equal(out.slice(0, start.length), start);
    assert.match(out, /\nTCB status: UpToDate/);
  }
});

test("C-93: docs/platforms.md names every --fail-on switch", async () => {
  const { FAIL_ON } = await import("./fail-on.ts");
  const text = readFileSync(join(import.meta.dirname, "../../../../../docs/platforms.md"), "utf8");
  assert.deepEqual(
    FAIL_ON.map(({ long }) => long).filter((long) => !text.includes(`--${long}`)),
    [],
  );
});
