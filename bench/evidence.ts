/**
 * Quote verification, everything checked: signatures, chains, revocation, TCB, dates. CPU time per operation, ours cold (nothing known before) and
 * warm (collateral and chains verified earlier), beside `@phala/dcap-qvl` (npm) and `dcap-qvl` (Rust with ring), on the same bytes and date.
 * Peers are installed below the cache directory on first use; one that cannot be installed is left out.
 *
 *   node bench/evidence.ts [--rounds 10] [--without-rust]
 *
 * Uses recorded quotes of `VOUCHSAFE_VECTORS` where present, minted ones otherwise (then without peers: they trust Intel's root only).
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Evidence, VerificationCache, type VerificationContext, verifyEvidence } from "@vouchsafe/attestation";
import { mintIntel } from "../packages/attestation/src/testing/mint-intel.ts";
import { cache, installJsPeer, JS_PEER, peerCollateral } from "./dcap-qvl.ts";
import { measurePairs, median, report } from "./pairs.ts";

interface Subject {
  readonly label: string;
  readonly evidence: Evidence;
  readonly context: VerificationContext;
  /** Folder with the recorded files, for the peers. */
  readonly folder: string | undefined;
}

const RUST_PEER = "0.7.1";
const CASES = [
  { kind: "sgx", folder: "sgx/phala-v3-processor-ca-2025-06" },
  { kind: "tdx", folder: "tdx/near-v4-2026-03-b" },
] as const;
const vectors = process.env["VOUCHSAFE_VECTORS"] ?? join(import.meta.dirname, "../../shared/vectors");

const { values } = parseArgs({
  options: { rounds: { type: "string", default: "10" }, "without-rust": { type: "boolean", default: false } },
});
const rounds = Number(values.rounds);

function readSubject(kind: "sgx" | "tdx", folder: string): Subject {
  if (!existsSync(folder)) {
    const { quote, context } = mintIntel({ tee: kind });
    return { label: `${kind} (minted)`, evidence: { kind, bytes: quote }, context, folder: undefined };
  }
  const read = (name: string) => Uint8Array.from(readFileSync(join(folder, name)));
  const root = Uint8Array.fromBase64(readFileSync(join(vectors, "roots/intel-sgx-root-ca.pem"), "utf8").replace(/-----[A-Z ]+-----/g, ""));
  const documents = {
    tcbInfo: read("tcb-info.json"),
    qeIdentity: read("qe-identity.json"),
    tcbSigningChain: read("tcb-signing-chain.pem"),
    pckCrl: read("pck-crl.der"),
    rootCaCrl: read("root-ca-crl.der"),
  };
  const context = { now: verifyAt(folder), trustAnchors: { [kind]: [root] }, collateral: { intel: () => documents } };
  return { label: kind, evidence: { kind, bytes: read("quote.bin") }, context, folder };
}

function verifyAt(folder: string): Date {
  const expected: { readonly verify_at: string } = JSON.parse(readFileSync(join(folder, "expected.json"), "utf8"));
  return new Date(expected.verify_at);
}

/** CPU milliseconds of one call, over `count` calls. */
function cpuMs(run: () => void, count: number): number {
  const before = process.cpuUsage();
  for (let index = 0; index < count; index += 1) run();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000 / count;
}

function measure(run: () => void, blocks: number): number {
  cpuMs(run, 100); // compiles
  return median(Array.from({ length: blocks }, () => cpuMs(run, 100)));
}

interface Peer {
  readonly name: string;
  readonly cpuMs: (count: number) => number;
}

function jsPeer({ evidence, context, folder = "" }: Subject): Peer | undefined {
  try {
    const directory = installJsPeer();
    // A package without types of ours; what it gives is used through the shape below and fails loudly when it is another.
    const peer = createRequire(join(directory, "package.json"))("@phala/dcap-qvl") as {
      verify(quote: Buffer, collateral: unknown, seconds: number): { readonly status: string };
    };
    const collateral = peerCollateral(folder);
    const quote = Buffer.from(evidence.bytes);
    const seconds = Math.floor(context.now.getTime() / 1000);
    const run = () => void peer.verify(quote, collateral, seconds);
    cpuMs(run, 20);
    return { name: JS_PEER, cpuMs: (count) => cpuMs(run, count) };
  } catch (error) {
    console.log(`${JS_PEER} is left out: ${String(error instanceof Error ? error.message : error).slice(0, 200)}`);
    return undefined;
  }
}

const CARGO = `[package]
name = "dcap-qvl-bench"
version = "0.1.0"
edition = "2021"
[dependencies]
dcap-qvl = { version = "=${RUST_PEER}", default-features = false, features = ["std", "ring", "default-x509"] }
hex = "0.4"
serde_json = "1"
[profile.release]
opt-level = 3
lto = "thin"
`;
const RUST = `use std::{env, fs};
fn cpu() -> u64 {
    fs::read_to_string("/proc/self/schedstat").unwrap().split(' ').next().unwrap().parse().unwrap()
}
fn main() {
    let args: Vec<String> = env::args().collect();
    let quote = fs::read(&args[1]).unwrap();
    let collateral: dcap_qvl::QuoteCollateralV3 = serde_json::from_slice(&fs::read(&args[2]).unwrap()).unwrap();
    let now: u64 = args[3].parse().unwrap();
    let count: u32 = args[4].parse().unwrap();
    for _ in 0..10 { dcap_qvl::verify::verify(&quote, &collateral, now).unwrap(); }
    let before = cpu();
    for _ in 0..count { dcap_qvl::verify::verify(&quote, &collateral, now).unwrap(); }
    println!("{}", (cpu() - before) as f64 / 1e6 / count as f64);
}
`;

function rustPeer({ context, folder = "" }: Subject): Peer | undefined {
  const directory = join(cache, "dcap-qvl-rust");
  const binary = join(directory, "target/release/dcap-qvl-bench");
  try {
    mkdirSync(join(directory, "src"), { recursive: true });
    if (!existsSync(binary)) {
      writeFileSync(join(directory, "Cargo.toml"), CARGO);
      writeFileSync(join(directory, "src/main.rs"), RUST);
      execFileSync("cargo", ["build", "--release"], { cwd: directory, stdio: "ignore" });
    }
    const hex = (value: unknown) => (Buffer.isBuffer(value) ? value.toString("hex") : value);
    const members = Object.entries(peerCollateral(folder)).map(([name, value]) => [name, hex(value)]);
    const file = join(directory, "collateral.json");
    const seconds = String(Math.floor(context.now.getTime() / 1000));
    const run = (count: number) => {
      writeFileSync(file, JSON.stringify(Object.fromEntries(members)));
      return Number(execFileSync(binary, [join(folder, "quote.bin"), file, seconds, String(count)], { encoding: "utf8" }));
    };
    run(1);
    return { name: `dcap-qvl ${RUST_PEER} (Rust, ring)`, cpuMs: run };
  } catch (error) {
    console.log(`dcap-qvl (Rust) is left out: ${String(error instanceof Error ? error.message : error).slice(0, 200)}`);
    return undefined;
  }
}

for (const { kind, folder } of CASES) {
  const subject = readSubject(kind, join(vectors, folder));
  const verificationCache = new VerificationCache();
  const cold = () => void verifyEvidence(subject.evidence, subject.context);
  const warm = () => void verifyEvidence(subject.evidence, { ...subject.context, cache: verificationCache });
  warm();
  console.log(
    `${subject.label}: cold ${measure(cold, rounds).toFixed(2)}, warm ${measure(warm, rounds).toFixed(2)} CPU-ms per verification`,
  );
  if (subject.folder === undefined) continue;
  const peers = [jsPeer(subject), values["without-rust"] ? undefined : rustPeer(subject)].filter((peer) => peer !== undefined);
  for (const peer of peers) {
    for (const [state, ours] of [
      ["cold", cold],
      ["warm", warm],
    ] as const) {
      const pairs = await measurePairs(
        rounds,
        async () => cpuMs(ours, 60),
        async () => peer.cpuMs(60),
      );
      console.log(report(`${subject.label} ${state} against ${peer.name}`, "CPU-ms", pairs));
    }
  }
}
