/** The JavaScript peer of quote verification, and its form of collateral. Installed below the cache directory on first use. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export const JS_PEER = "@phala/dcap-qvl@0.3.9";
export const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "vouchsafe-bench");

/** Returns the directory whose node_modules has the peer. */
export function installJsPeer(): string {
  const directory = join(cache, "dcap-qvl-js");
  mkdirSync(directory, { recursive: true });
  if (existsSync(join(directory, "node_modules/@phala/dcap-qvl"))) return directory;
  writeFileSync(join(directory, "package.json"), '{"private":true}');
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--save-exact", JS_PEER], { cwd: directory, stdio: "ignore" });
  return directory;
}

/** Recorded collateral of a vector case as the peers want it. */
export function peerCollateral(folder: string) {
  const text = (name: string) => readFileSync(join(folder, name), "utf8");
  const split = (name: string, member: string) => {
    const document = text(name);
    const end = document.lastIndexOf(',"signature":"');
    return { inner: document.slice(`{"${member}":`.length, end), signature: document.slice(end).match(/[0-9a-f]{128}/)?.[0] ?? "" };
  };
  const info = split("tcb-info.json", "tcbInfo");
  const identity = split("qe-identity.json", "enclaveIdentity");
  return {
    pck_crl_issuer_chain: text("pck-crl-issuer-chain.pem"),
    root_ca_crl: readFileSync(join(folder, "root-ca-crl.der")),
    pck_crl: readFileSync(join(folder, "pck-crl.der")),
    tcb_info_issuer_chain: text("tcb-signing-chain.pem"),
    tcb_info: info.inner,
    tcb_info_signature: Buffer.from(info.signature, "hex"),
    qe_identity_issuer_chain: text("tcb-signing-chain.pem"),
    qe_identity: identity.inner,
    qe_identity_signature: Buffer.from(identity.signature, "hex"),
  };
}
