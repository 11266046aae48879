/**
 * Time to build the example's image beside `buildah` with an equal Dockerfile: cold (base present), unchanged, one file changed; and the sizes.
 * usage: node bench/image.ts [ROUNDS]       (default 5; the cold build is measured in 2 rounds)
 * Needs: buildah, skopeo, network for pip. Ours encrypts the code and puts the runtime in; buildah does neither.
 * Both sides are whole processes, measured from start to end, and start from the same files: buildah's base is the root in which ours runs pip.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuildPlan, buildImage, defaultCacheDir, defaultRepositoryDir } from "@vouchsafe/image";
import { measurePairs, report } from "./pairs.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const example = join(root, "examples/patient-records");
const [command = "5", argument = ""] = process.argv.slice(2);

function planOf(work: string): BuildPlan {
  return {
    name: "bench",
    kind: "python",
    reference: "vouchsafe.local/bench:1",
    mode: "production",
    base: { kind: "debian", packages: ["python3"] },
    command: ["python3", "api.py"],
    workingDirectory: "/srv",
    copy: [{ source: join(work, "api.py"), target: "/srv/api.py" }],
    copyRoot: work,
    requirements: { text: readFileSync(join(work, "requirements.txt"), "utf8") },
    run: [],
    encrypt: true,
    runtimeSettings: {},
    volumes: [],
    aliases: [],
    metadata: { policyTemplate: "", secretsTemplate: "[]", environment: "[]", chart: new Map() },
  };
}

async function buildOurs(work: string): Promise<void> {
  const settings = {
    cacheDir: join(work, "cache"),
    repositoryDir: join(work, "images"),
    runtimeBundle: join(root, ".cache/runtime/main.js"),
    signingKeyFile: join(work, "identity.pem"),
    platformVersion: "bench",
  };
  const { bytes, unchanged } = await buildImage(planOf(work), settings);
  console.log(JSON.stringify({ bytes, unchanged }));
}

interface Cost {
  readonly wallMs: number;
  /** User and system time of the process and all its children: steadier than wall time on a busy machine. */
  readonly cpuMs: number;
}

/** What a whole process costs, from start to end. */
function measure(program: string, args: readonly string[], environment: Record<string, string> = {}): Cost {
  const start = performance.now();
  const timed = ["-c", 'TIMEFORMAT="%3U %3S"; time "$@"', "bash", program, ...args];
  const { status, stderr, error } = spawnSync("bash", timed, { encoding: "utf8", env: { ...process.env, ...environment } });
  const wallMs = performance.now() - start;
  const match = /([0-9.]+) ([0-9.]+)\s*$/.exec(stderr ?? "");
  if (status !== 0 || match === null) throw new Error(`${program} ${args.join(" ")} failed: ${error?.message ?? stderr.slice(-2000)}`);
  return { wallMs, cpuMs: 1000 * (Number(match[1]) + Number(match[2])) };
}

/** Both figures of paired runs, as two lines. */
async function compareCosts(label: string, rounds: number, ours: () => Promise<Cost>, peer: () => Promise<Cost>): Promise<void> {
  const cpu: { a: number[]; b: number[] } = { a: [], b: [] };
  const noting = (list: number[], run: () => Promise<Cost>) => async () => {
    const { wallMs, cpuMs } = await run();
    list.push(cpuMs);
    return wallMs;
  };
  const wall = await measurePairs(rounds, noting(cpu.a, ours), noting(cpu.b, peer));
  console.log(report(`${label}, wall`, "ms", wall));
  console.log(
    report(
      `${label}, CPU`,
      "ms",
      cpu.a.map((a, index) => ({ a, b: cpu.b[index] ?? Number.NaN })),
    ),
  );
}

/** buildah's base: the files of our base, with pip, as one layer. */
function importBase(work: string): void {
  const roots = join(work, "cache/roots");
  const withPip = readdirSync(roots).find((name) => {
    try {
      return statSync(join(roots, name, "usr/bin/pip3")).isFile();
    } catch {
      return false;
    }
  });
  if (withPip === undefined) throw new Error("the installer's root is not in the cache");
  const container = execFileSync("buildah", [...STORE(work), "from", "scratch"], { encoding: "utf8" }).trim();
  execFileSync("buildah", [...STORE(work), "add", "--quiet", container, join(roots, withPip), "/"]);
  execFileSync("buildah", [...STORE(work), "commit", "--quiet", "--rm", container, "bench-base"]);
}
const STORE = (work: string): string[] => ["--root", join(work, "store"), "--runroot", join(work, "run"), "--storage-driver", "overlay"];

async function compare(rounds: number): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), "bench-image-"));
  try {
    copyFileSync(join(example, "api.py"), join(work, "api.py"));
    copyFileSync(join(example, "requirements.txt"), join(work, "requirements.txt"));
    writeFileSync(join(work, ".dockerignore"), "cache\nimages\nstore\nrun\n");
    const pip =
      "python3 -m pip install --break-system-packages --root-user-action=ignore --no-cache-dir --ignore-installed -r /srv/requirements.txt";
    writeFileSync(
      join(work, "Dockerfile"),
      `FROM localhost/bench-base\nWORKDIR /srv\nCOPY requirements.txt .\nRUN ${pip}\nCOPY api.py .\nCMD ["python3", "api.py"]\n`,
    );
    const requirements = readFileSync(join(work, "requirements.txt"), "utf8");
    // Compiled code is kept between runs, as a bundled command line has it: Node would otherwise strip the types of every file each time.
    const kept = { NODE_COMPILE_CACHE: join(work, "compiled") };
    const ours = async () => measure(process.execPath, [fileURLToPath(import.meta.url), "build", work], kept);
    const passed = Object.keys(process.env)
      .filter((name) => /^PIP_|_CERT|CA_BUNDLE|_proxy$/i.test(name))
      .flatMap((name) => ["--env", `${name}=${process.env[name] ?? ""}`]);
    const mounts = ["/etc/ssl/certs", process.env["PIP_FIND_LINKS"] ?? "/etc/ssl/certs"].flatMap((path) => [
      "--volume",
      `${path}:${path}:ro`,
    ]);
    const build = [...STORE(work), "build", "--quiet", "--isolation", "chroot", ...passed, ...mounts, "--tag", "bench", "--layers"];
    const peer = async () => measure("buildah", [...build, work]);

    // The base and the runtime are made once, by whoever sets the machine up; the default cache serves if it is there.
    mkdirSync(join(work, "cache"));
    const share = (from: string, to: string, ...more: string[]) => spawnSync("cp", ["-a", ...more, from, to]);
    for (const part of ["layers", "roots"]) share(join(defaultCacheDir(), part), join(work, "cache"), "--link");
    for (const part of ["apt", "bases"]) share(join(defaultCacheDir(), part), join(work, "cache"));
    share(defaultRepositoryDir(), join(work, "images"), "--link");
    console.log(`first build here (base and runtime too, if this machine had none): ${(await ours()).wallMs.toFixed(0)} ms`);
    importBase(work);

    // Another text of the same requirements: both sides must install again.
    let round = 0;
    const forget = (build: () => Promise<Cost>) => async () => {
      writeFileSync(join(work, "requirements.txt"), `${requirements}\n# round ${++round}\n`);
      return build();
    };
    await compareCosts("cold, base present", 2, forget(ours), forget(peer));
    await ours();
    await peer();
    await compareCosts("unchanged", rounds, ours, peer);
    const changed = (build: () => Promise<Cost>) => async () => {
      appendFileSync(join(work, "api.py"), "# changed\n");
      return build();
    };
    await compareCosts("one file changed", rounds, changed(ours), changed(peer));

    const { bytes } = JSON.parse(execFileSync(process.execPath, [fileURLToPath(import.meta.url), "build", work], { encoding: "utf8" }));
    execFileSync("buildah", [...STORE(work), "push", "--quiet", "bench", `oci:${join(work, "pushed")}:bench`]);
    const blobs = join(work, "pushed/blobs/sha256");
    const peerBytes = readdirSync(blobs).reduce((sum, name) => sum + statSync(join(blobs, name)).size, 0);
    const megabytes = (size: number) => (size / 1e6).toFixed(1);
    console.log(`compressed size: ours ${megabytes(bytes)} MB with runtime and launcher, peer ${megabytes(peerBytes)} MB (gzip)`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

if (command === "build") await buildOurs(argument);
else await compare(Number(command));
