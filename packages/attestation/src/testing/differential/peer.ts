import { type ChildProcessByStdio, execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import type { Setting, Subject, Verdict } from "./subject.ts";

/** How an independent verifier is built and started. Its source lies in `peers/`, its packages come from their registry. */
interface PeerRecipe {
  readonly name: string;
  readonly folder: string;
  readonly build: readonly [command: string, ...parameters: string[]];
  /** What the build makes; there already when the peer was built before. */
  readonly made: string;
  readonly start: readonly [command: string, ...parameters: string[]];
  readonly judges: (subject: Subject) => boolean;
}

const isIntel = ({ setting }: Subject): boolean => setting.kind !== "snp";
const VERSION_4 = 4;

export const PEERS: readonly PeerRecipe[] = [
  {
    name: "dcap-qvl (Rust)",
    folder: "dcap-qvl",
    build: ["cargo", "build", "--release", "--quiet"],
    made: "target/release/dcap-qvl-peer",
    start: ["./target/release/dcap-qvl-peer"],
    judges: isIntel,
  },
  {
    name: "go-tdx-guest, go-sev-guest",
    folder: "go-guests",
    build: ["go", "build", "-mod=mod", "-o", "peer", "."],
    made: "peer",
    start: ["./peer"],
    // go-tdx-guest knows quotes of version 4 alone, and nothing of SGX.
    judges: ({ setting, evidence }) => setting.kind === "snp" || (setting.kind === "tdx" && evidence[0] === VERSION_4),
  },
  {
    name: "@phala/dcap-qvl (JavaScript)",
    folder: "dcap-qvl-js",
    build: ["npm", "install", "--no-audit", "--no-fund", "--silent"],
    made: "node_modules/@phala/dcap-qvl",
    start: ["node", "peer.cjs"],
    judges: isIntel,
  },
];

/** An independent verifier in a process of its own. It answers in the order of the questions, many of which may be under way. */
export class Peer implements Disposable {
  readonly name: string;
  readonly #recipe: PeerRecipe;
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #told = new Set<string>();
  readonly #waiting: PromiseWithResolvers<Verdict>[] = [];
  #hasEnded = false;

  /** Builds the peer below the cache directory where it is not there yet. Throws what the build throws: a toolchain may be missing. */
  constructor(recipe: PeerRecipe) {
    this.name = recipe.name;
    this.#recipe = recipe;
    const directory = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "vouchsafe-peers", recipe.folder);
    mkdirSync(directory, { recursive: true });
    cpSync(join(import.meta.dirname, "peers", recipe.folder), directory, { recursive: true });
    const [builder, ...parameters] = recipe.build;
    if (!existsSync(join(directory, recipe.made)))
      execFileSync(builder, parameters, { cwd: directory, stdio: ["ignore", "ignore", "inherit"] });
    const [command, ...rest] = recipe.start;
    this.#process = spawn(command, rest, { cwd: directory, stdio: ["pipe", "pipe", "inherit"] });
    createInterface({ input: this.#process.stdout })
      .on("line", (line) => this.#waiting.shift()?.resolve(JSON.parse(line) as Verdict)) // the peers are ours and answer in this form
      .on("close", () => this.#end());
    this.#process.stdin.on("error", () => this.#end()); // it ended before it was asked
  }

  /** Of its process, for measurements. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  async judge(subject: Subject): Promise<Verdict> {
    if (!this.#recipe.judges(subject)) return { verdict: "not judged" };
    if (this.#hasEnded) throw this.#endedError();
    const { setting, evidence, now } = subject;
    if (!this.#told.has(setting.name)) {
      this.#send({ define: setting.name, kind: setting.kind, root: setting.root.toHex(), collateral: documentsFor(setting) });
      this.#told.add(setting.name);
    }
    const answer = Promise.withResolvers<Verdict>();
    this.#waiting.push(answer);
    this.#send({ setting: setting.name, evidence: evidence.toHex(), now: Math.floor(now.getTime() / 1000) });
    return answer.promise;
  }

  [Symbol.dispose](): void {
    this.#process.stdin.end();
    this.#process.kill();
  }

  #end(): void {
    this.#hasEnded = true;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#endedError());
  }

  #endedError(): Error {
    return new Error(`${this.name} has ended`);
  }

  #send(message: unknown): void {
    this.#process.stdin.write(`${JSON.stringify(message)}\n`);
  }
}

/** Names are those of QuoteCollateralV3, with the whole documents beside their parts. */
function documentsFor({ intel, snp, root }: Setting): Record<string, string> {
  if (snp !== undefined) {
    const { endorsementKey, signer, isVlek, product } = snp;
    return { [isVlek ? "vlek" : "vcek"]: endorsementKey.toHex(), signer: signer.toHex(), ark: root.toHex(), product };
  }
  const text = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString("utf8");
  const [info, identity] = [splitDocument(text(intel?.tcbInfo), "tcbInfo"), splitDocument(text(intel?.qeIdentity), "enclaveIdentity")];
  return {
    pck_crl_issuer_chain: text(intel?.pckCrlIssuerChain),
    root_ca_crl: intel?.rootCaCrl?.toHex() ?? "",
    pck_crl: intel?.pckCrl?.toHex() ?? "",
    tcb_info_issuer_chain: text(intel?.tcbSigningChain),
    tcb_info: info.inner,
    tcb_info_signature: info.signature,
    tcb_info_document: text(intel?.tcbInfo),
    qe_identity_issuer_chain: text(intel?.qeIdentitySigningChain ?? intel?.tcbSigningChain),
    qe_identity: identity.inner,
    qe_identity_signature: identity.signature,
    qe_identity_document: text(intel?.qeIdentity),
  };
}

function splitDocument(document: string, member: string): { readonly inner: string; readonly signature: string } {
  const end = document.lastIndexOf(',"signature":"');
  return { inner: document.slice(`{"${member}":`.length, end), signature: /"([0-9a-f]*)"\}\s*$/i.exec(document)?.[1] ?? "" };
}
