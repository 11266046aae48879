import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { downloadPackages, unpackPackages } from "./debian-packages.ts";
import { setInterpreter, stripElf } from "./elf.ts";
import { ImageError } from "./image-error.ts";
import { RUNTIME, renderLauncher } from "./launcher.ts";
import type { Layer, LayerEntry } from "./layer.ts";
import { cacheKey, obtainLayer } from "./layer-cache.ts";
import type { LocalRepository } from "./local-repository.ts";
import { LAUNCHER_PATH } from "./metadata.ts";

/** Packages with the libraries that the Node binary needs, and the loader that fits them. */
const LIBRARY_PACKAGES = ["libatomic1", "libc6", "libgcc-s1", "libstdc++6"];
const LIBRARIES = [
  "libatomic.so.1",
  "libc.so.6",
  "libdl.so.2",
  "libgcc_s.so.1",
  "libm.so.6",
  "libpthread.so.0",
  "libresolv.so.2",
  "librt.so.1",
  "libstdc++.so.6",
];
const MULTIARCH = "x86_64-linux-gnu";
const LOADER = `usr/lib/${MULTIARCH}/ld-linux-x86-64.so.2`;

const directory = (path: string): LayerEntry => ({ kind: "directory", path, mode: 0o755 });
const program = (path: string, content: Uint8Array): LayerEntry => ({ kind: "file", path, mode: 0o711, content });

async function readNode(nodeBinary: string): Promise<Uint8Array> {
  const node = stripElf(await readFile(nodeBinary));
  setInterpreter(node, RUNTIME.loader);
  return node;
}

/** Reads a library below a root, links followed by name: Debian's links stay within one directory. */
async function readLibrary(root: string, name: string): Promise<Uint8Array> {
  for (const place of [`usr/lib/${MULTIARCH}`, `lib/${MULTIARCH}`]) {
    try {
      return await readFile(join(root, place, name));
    } catch {
      // the other place
    }
  }
  throw new ImageError("E-IMAGE-BASE", `the library ${name} of the runtime was not found in Debian's packages`);
}

/**
 * Node with its own loader and libraries, so that the runtime works on any base: the same layer for all images. Slow to compress, once.
 * The second layer holds the bundled runtime.
 */
export async function obtainRuntimeLayers(
  cacheDir: string,
  repository: LocalRepository,
  runtimeBundle: string,
  options: { readonly nodeBinary?: string | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<{ layers: readonly Layer[]; cached: boolean }> {
  const nodeBinary = options.nodeBinary ?? process.execPath;
  const launcher = renderLauncher();
  let bundle: Uint8Array;
  try {
    bundle = await readFile(runtimeBundle);
  } catch (cause) {
    throw new ImageError("E-FILE-MISSING", `the bundled runtime ${runtimeBundle} cannot be read`, {
      cause,
      remedy: "Build it with node scripts/bundle-runtime.ts.",
    });
  }
  const launcherDigest = createHash("sha256").update(launcher).digest("hex");
  const nodeKey = cacheKey(["node", nodeBinary === process.execPath ? process.version : nodeBinary, launcherDigest, LIBRARIES]);
  const node = await obtainLayer(cacheDir, repository, nodeKey, { level: 16, windowLog: 27 }, async () => {
    const packages = await downloadPackages(cacheDir, { names: LIBRARY_PACKAGES }, options.signal);
    const root = await mkdtemp(join(cacheDir, "runtime-"));
    try {
      await unpackPackages(packages, root, options.signal);
      const loader = await readFile(join(root, LOADER)).catch(() => readFile(join(root, LOADER.slice("usr/".length))));
      return [
        ...["/vouchsafe", "/vouchsafe/bin", "/vouchsafe/runtime", "/vouchsafe/runtime/bin", RUNTIME.libraries].map(directory),
        program(LAUNCHER_PATH, launcher),
        program(RUNTIME.loader, loader),
        program(RUNTIME.node, await readNode(nodeBinary)),
        ...(await Promise.all(
          LIBRARIES.map(
            async (name): Promise<LayerEntry> => ({
              kind: "file",
              path: `${RUNTIME.libraries}/${name}`,
              mode: 0o644,
              content: await readLibrary(root, name),
            }),
          ),
        )),
      ];
    } finally {
      await rm(root, { recursive: true, force: true });
    }
  });
  const bundleKey = cacheKey(["bundle", createHash("sha256").update(bundle).digest("hex")]);
  const main = await obtainLayer(cacheDir, repository, bundleKey, { level: 12 }, async () => [
    { kind: "file", path: RUNTIME.main, mode: 0o644, content: bundle },
  ]);
  return { layers: [node.layer, main.layer], cached: node.cached && main.cached };
}
