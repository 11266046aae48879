import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** A real TPM 2.0 in software (swtpm), driven by tpm2-tools; its state lives in a directory that disposal removes. */
export interface SoftwareTpm extends AsyncDisposable {
  /** Where it takes commands, one connection at a time. */
  readonly address: { readonly host: string; readonly port: number };
  /** PEM: certificates of the maker that certified the endorsement key; empty unless manufactured. */
  readonly makerCertificates: readonly string[];
  /** Runs a tpm2-tools command, for example `tool("quote", "-c", "ak.ctx")`; files are relative to the TPM's directory. */
  tool(name: string, ...args: readonly string[]): string;
  read(file: string): Uint8Array;
  write(file: string, bytes: Uint8Array): void;
}

/**
 * `isManufactured`: with endorsement keys and certificates in it, made by a maker of its own (swtpm_setup, swtpm_localca): RSA and P-384. With
 * `rsaBits` 3072 it has no key of the low range, as newer TPMs.
 */
export async function startSoftwareTpm({ isManufactured = false, rsaBits = 2048 } = {}): Promise<SoftwareTpm> {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-swtpm-"));
  const makerCertificates = isManufactured ? manufacture(directory, rsaBits) : [];
  const port = await freePortPair();
  const server = spawn(
    "swtpm",
    [
      ...["socket", "--tpm2", "--tpmstate", `dir=${directory}`, "--flags", "not-need-init,startup-clear"],
      ...["--server", `type=tcp,port=${port},bindaddr=127.0.0.1`, "--ctrl", `type=tcp,port=${port + 1},bindaddr=127.0.0.1`],
    ],
    { stdio: "ignore" },
  );
  const failed = new Promise<never>((_, reject) => {
    server.once("error", (cause) => reject(new Error("swtpm does not start; scripts/setup.sh test installs it", { cause })));
  });
  failed.catch(() => undefined); // awaited below, until the server answers
  const env = { ...process.env, TPM2TOOLS_TCTI: `swtpm:host=127.0.0.1,port=${port}` };
  const run = (name: string, args: readonly string[]): string =>
    execFileSync(`tpm2_${name}`, args, { cwd: directory, env, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 });
  const tool = (name: string, ...args: readonly string[]): string => {
    const output = run(name, args);
    run("flushcontext", ["--transient-object"]); // no resource manager: keys stay loaded until somebody unloads them
    return output;
  };
  for (let attempt = 0; ; attempt++) {
    try {
      tool("getrandom", "--hex", "4");
      break;
    } catch (error) {
      if (attempt === 50) {
        server.kill();
        throw error;
      }
      await Promise.race([failed, delay(100)]);
    }
  }
  return {
    address: { host: "127.0.0.1", port },
    makerCertificates,
    tool,
    read: (file) => Uint8Array.from(readFileSync(join(directory, file))),
    write: (file, bytes) => writeFileSync(join(directory, file), bytes),
    async [Symbol.asyncDispose]() {
      const exited = new Promise((resolve) => server.once("exit", resolve));
      server.kill();
      await exited;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function manufacture(directory: string, rsaBits: number): readonly string[] {
  const authority = join(directory, "maker");
  mkdirSync(authority);
  const file = (name: string, lines: readonly string[]) => {
    writeFileSync(join(directory, name), `${lines.join("\n")}\n`);
    return join(directory, name);
  };
  const authorityFile = file("localca.conf", [
    `statedir = ${authority}`,
    `signingkey = ${authority}/signkey.pem`,
    `issuercert = ${authority}/issuercert.pem`,
    `certserial = ${authority}/certserial`,
  ]);
  const options = file("localca.options", ["--platform-manufacturer test", "--platform-version 1", "--platform-model software"]);
  const config = file("setup.conf", [
    "create_certs_tool = /usr/bin/swtpm_localca",
    `create_certs_tool_config = ${authorityFile}`,
    `create_certs_tool_options = ${options}`,
  ]);
  const parameters = ["--tpm2", "--tpmstate", directory, "--create-ek-cert", "--config", config, "--rsa-keysize", String(rsaBits)];
  execFileSync("swtpm_setup", parameters, { stdio: "pipe", timeout: 120_000 });
  return ["issuercert.pem", "swtpm-localca-rootca-cert.pem"].map((name) => readFileSync(join(authority, name), "utf8"));
}

/** tpm2-tools expect the control port right behind the command port. */
async function freePortPair(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = await bindAndRelease(0);
    if (port !== undefined && (await bindAndRelease(port + 1)) !== undefined) return port;
  }
  throw new Error("no two adjacent TCP ports are free");
}

async function bindAndRelease(port: number): Promise<number | undefined> {
  const probe = createServer();
  const bound = new Promise<boolean>((resolve) => {
    probe.once("listening", () => resolve(true));
    probe.once("error", () => resolve(false));
  });
  probe.listen(port, "127.0.0.1");
  if (!(await bound)) return undefined;
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return address === null || typeof address === "string" ? undefined : address.port;
}
