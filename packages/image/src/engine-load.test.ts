import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { HOST_ARCHITECTURE, MEDIA_TYPES } from "./descriptor.ts";
import { type EngineAddress, formatEngineAddress, parseEngineAddress } from "./engine-address.ts";
import { isEngineThere, loadIntoEngine } from "./engine-load.ts";
import { writeLayer } from "./layer.ts";
import { LocalRepository } from "./local-repository.ts";

const REFERENCE = "reg.example.org/team/app:1";

test("cli.md section 6, DOCKER_HOST: unix://PATH, tcp://HOST:PORT, or a bare IPv4 address with or without a port", () => {
  const addresses: Record<string, string | undefined> = {
    "unix:///run/podman/podman.sock": "unix:///run/podman/podman.sock",
    "tcp://engine.example.org:2376": "tcp://engine.example.org:2376",
    "tcp://engine.example.org": "tcp://engine.example.org:2375",
    "tcp://[::1]:2375": "tcp://[::1]:2375",
    "192.0.2.7": "tcp://192.0.2.7:2375",
    "192.0.2.7:4243": "tcp://192.0.2.7:4243",
    "ssh://h": undefined,
    "http://h:1": undefined,
    "engine.example.org": undefined,
    "unix://relative": undefined,
    "tcp://h:99999": undefined,
    "tcp://h:0": undefined,
    "": undefined,
  };
  for (const [text, expected] of Object.entries(addresses)) {
    const address = parseEngineAddress(text);
    assert.equal(address === undefined ? undefined : formatEngineAddress(address), expected, text);
  }
});

/** A repository with one small image, and its directory. */
async function repositoryWithImage(t: TestContext): Promise<LocalRepository> {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-engine-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const repository = new LocalRepository(directory);
  const entries = [{ kind: "file", path: "/hello", mode: 0o644, content: new TextEncoder().encode("kept\n") }] as const;
  const layer = await writeLayer(repository, entries, { level: 3 });
  const config = await repository.putDocument(MEDIA_TYPES.config, {
    architecture: HOST_ARCHITECTURE,
    os: "linux",
    config: { Cmd: ["/hello"] },
    rootfs: { type: "layers", diff_ids: [layer.diffId] },
  });
  const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPES.manifest, config, layers: [layer.descriptor] };
  await repository.name(REFERENCE, await repository.putDocument(MEDIA_TYPES.manifest, manifest));
  return repository;
}

test("an image goes into the store of a container engine over its socket, under its reference and with its files", async (t) => {
  if (process.getuid?.() !== 0 || spawnSync("podman", ["--version"]).status !== 0)
    return t.skip("podman as root is the container engine of this test");
  const repository = await repositoryWithImage(t);
  const home = mkdtempSync(join(tmpdir(), "vouchsafe-podman-"));
  writeFileSync(join(home, "storage.conf"), `[storage]\ndriver = "vfs"\ngraphroot = "${home}/images"\nrunroot = "${home}/run"\n`);
  const environment = { ...process.env, CONTAINERS_STORAGE_CONF: join(home, "storage.conf") };
  const podman = (...argv: readonly string[]) => execFileSync("podman", argv, { env: environment, encoding: "utf8" });
  const socket = join(home, "engine.sock");
  const engine: EngineAddress = { kind: "socket", path: socket };
  assert.equal(await isEngineThere(engine), false, "nobody listens yet");
  const service: ChildProcess = spawn("podman", ["system", "service", "--time=0", `unix://${socket}`], {
    env: environment,
    stdio: "ignore",
  });
  t.after(async () => {
    const ended = new Promise((resolve) => service.once("exit", resolve));
    service.kill();
    await ended;
    podman("rmi", "--all", "--force");
    rmSync(home, { recursive: true, force: true });
  });
  for (let attempt = 0; attempt < 600 && !(existsSync(socket) && (await isEngineThere(engine))); attempt++) await sleep(100);

  await loadIntoEngine(repository, REFERENCE, engine);
  const [seen] = JSON.parse(podman("image", "inspect", REFERENCE)) as { Config: { Cmd: string[] } }[];
  assert.deepEqual(seen?.Config.Cmd, ["/hello"]);
  const archive = join(home, "saved");
  podman("save", "--format", "oci-dir", "--output", archive, REFERENCE);
  const saved = new LocalRepository(archive);
  const [stored] = JSON.parse(execFileSync("cat", [join(archive, "index.json")], { encoding: "utf8" })).manifests;
  const { layers } = (await saved.readDocument(stored.digest)) as { layers: { digest: string }[] };
  const files = execFileSync("tar", ["-xOf", saved.blobs.pathOf(layers[0]?.digest ?? "")], { encoding: "utf8" });
  assert.equal(files, "kept\n");
  await loadIntoEngine(repository, REFERENCE, engine); // again is harmless
  return undefined;
});

test("an engine that refuses an image is E-ENGINE with what it said; a missing image is E-IMAGE-PULL", async (t) => {
  const repository = await repositoryWithImage(t);
  // Answers as an engine does whose disk is full: with status 200 first.
  const server = createServer((incoming, outgoing) => {
    incoming
      .resume()
      .on("end", () => outgoing.end('{"stream":"Loading"}\n{"errorDetail":{"message":"no space left"},"error":"no space left"}\n'));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  const { port } = server.address() as AddressInfo; // a TCP server has one
  const engine: EngineAddress = { kind: "tcp", host: "127.0.0.1", port };
  assert.equal(await isEngineThere(engine), true);
  await assert.rejects(loadIntoEngine(repository, REFERENCE, engine), {
    code: "E-ENGINE",
    message: /tcp:\/\/127\.0\.0\.1:\d+ did not take .*no space left/,
  });
  await assert.rejects(loadIntoEngine(repository, "reg.example.org/team/none:1", engine), { code: "E-IMAGE-PULL" });
});
