/** Bundles the runtime that goes into every image: `node scripts/bundle-runtime.ts [OUTPUT]`, by default `.cache/runtime/main.js`. */
import { mkdirSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const output = process.argv[2] ?? `${root}.cache/runtime/main.js`;
mkdirSync(dirname(output), { recursive: true });
const unfinished = `${output}.${process.pid}`;
await build({
  entryPoints: [`${root}packages/runtime/src/main.ts`],
  outfile: unfinished,
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node26",
  minify: true,
  legalComments: "none",
  banner: { js: 'import { createRequire as makeRequire } from "node:module"; const require = makeRequire(import.meta.url);' },
  logLevel: "warning",
});
renameSync(unfinished, output);
