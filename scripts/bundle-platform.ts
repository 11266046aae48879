/** Bundles the programs of the platform's images: `node scripts/bundle-platform.ts [DIRECTORY]`, by default `.cache/platform`, one file each. */
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { withoutUnusedModules } from "./without-unused-modules.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const directory = process.argv[2] ?? `${root}.cache/platform`;
const programs = {
  operator: "packages/cli/src/operator/operator-main.ts",
  las: "packages/kubernetes/src/las/las-main.ts",
  check_cpufeatures: "packages/kubernetes/src/platform/platform-main.ts",
  cas: "packages/cas/src/main.ts",
  sconecli: "packages/cli/src/main.ts",
};
const unfinished = `${directory}/unfinished-${process.pid}`;
mkdirSync(directory, { recursive: true });
// Together: what they share, most of it, is read once.
await build({
  entryPoints: Object.fromEntries(Object.entries(programs).map(([name, source]) => [name, `${root}${source}`])),
  outdir: unfinished,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node26",
  minify: true,
  legalComments: "none",
  plugins: [withoutUnusedModules],
  // Optional accelerators that the libraries load where they are there.
  external: ["pg-native", "bufferutil", "utf-8-validate"],
  // Libraries in the older module form call require, and ask where their file is.
  banner: {
    js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url); const __filename = import.meta.filename; const __dirname = import.meta.dirname;',
  },
  logLevel: "warning",
});
for (const name of Object.keys(programs)) renameSync(`${unfinished}/${name}.js`, `${directory}/${name}.js`);
rmSync(unfinished, { recursive: true });
