import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { buildImage } from "../build-image.ts";
import { type CuratedImage, planOf } from "../curated/curated-image.ts";
import type { ServiceMetadata } from "../metadata.ts";
import { readImageMetadata } from "../read-metadata.ts";
import { unpackImage } from "../unpack.ts";
import { sampleBuild } from "./sample-build.ts";

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  return typeof address === "object" && address !== null ? address.port : assert.fail("no port");
}

export interface CuratedRoot {
  readonly root: string;
  readonly directory: string;
  readonly service: ServiceMetadata;
}

/** Builds a curated image and unpacks it, as a container runtime would. */
export async function unpackCurated(context: TestContext, image: CuratedImage): Promise<CuratedRoot> {
  const { settings, directory, plan: sample } = sampleBuild(context);
  const built = await buildImage(planOf(image, sample.reference.replace(/[^/]*$/, `${image.name}:test-${process.pid}`)), settings);
  const root = join(directory, "root");
  await unpackImage(built.layoutDir, built.reference, root);
  const { service } = await readImageMetadata(built.layoutDir, built.reference);
  return { root, directory, service };
}

/** What the mesh and the CAS fill in: variables by name, secrets by the text between `$$SCONE::` and `$$`. */
export interface Fillings {
  readonly variables: Readonly<Record<string, string>>;
  readonly secrets: Readonly<Record<string, string>>;
}

const fill = (text: string, { variables, secrets }: Fillings): string =>
  text
    .replace(/\{\{(\w+)\}\}/g, (_, name: string) => variables[name] ?? assert.fail(`no variable ${name}`))
    .replace(/\$\$SCONE::([\w.:-]+?)(\|escape\(json\))?\$\$/g, (_, name: string, encoding: string | undefined) => {
      const value = secrets[name] ?? assert.fail(`no secret ${name}`);
      return encoding === undefined ? value : JSON.stringify(value).slice(1, -1);
    });

export interface RunningProgram {
  readonly process: ChildProcess;
  /** What it has written so far. */
  readonly output: () => string;
}

/**
 * Starts the program as the runtime does: injected files, memory at /tmp and /var/tmp, the program at its own place, an ordinary user without rights.
 * Returns when it accepts connections, or when it has ended.
 */
export async function startCurated(
  context: TestContext,
  { root, service }: CuratedRoot,
  image: CuratedImage,
  port: number,
  fillings: Fillings,
): Promise<RunningProgram> {
  for (const { path, content, permission } of image.files) {
    const target = join(root, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, fill(content, fillings));
    chmodSync(target, Number(permission));
  }
  const [diversion] = service.diversions;
  const words = image.command.map((word) => fill(word, fillings));
  const script = `
    mount --bind "$1" "$1" && cd "$1" && mount --bind ".$2" ".$3" && mount -t tmpfs -o mode=1777 tmpfs tmp && mount -t tmpfs -o mode=1777 tmpfs var/tmp &&
    mount --rbind /dev dev && shift 3 && exec chroot . "$@"`;
  const child = spawn(
    "unshare",
    [
      ...["--user", "--map-user=65532", "--map-group=65532", "--keep-caps", "--mount", "--pid", "--kill-child", "--fork"],
      ...["sh", "-c", script, "sh", root, diversion?.original ?? "", diversion?.path ?? "", ...words],
    ],
    { stdio: ["ignore", "pipe", "pipe"], env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } },
  );
  const ended = once(child, "exit");
  context.after(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding("utf8").on("data", (text: string) => (output += text));
  for (let attempt = 0; child.exitCode === null && !(await accepts(port)); attempt++) {
    assert(attempt < 600, `the program does not listen:\n${output}`);
    await sleep(100);
  }
  return { process: child, output: () => output };
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    return await new Promise<boolean>((resolve) => socket.once("connect", () => resolve(true)).once("error", () => resolve(false)));
  } finally {
    socket.destroy();
  }
}
