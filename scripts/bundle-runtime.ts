/** Bundles the runtime that goes into every image: `node scripts/bundle-runtime.ts [OUTPUT]`, by default `.cache/runtime/main.js`. */
import { mkdirSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build, type Plugin } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));
const output = process.argv[2] ?? `${root}.cache/runtime/main.js`;
mkdirSync(dirname(output), { recursive: true });
/** A room's modules do nothing when they are imported (style: no work at import time), so what is not used of them is left out. */
const withoutUnusedModules: Plugin = {
  name: "without-unused-modules",
  setup: ({ onResolve, resolve }) => {
    onResolve({ filter: /^@vouchsafe\/|\.ts$/ }, async ({ path, resolveDir, importer, kind, pluginData }) => {
      if (pluginData === "asked" || kind === "entry-point") return undefined;
      const { path: found, errors } = await resolve(path, { resolveDir, importer, kind, pluginData: "asked" });
      return errors.length > 0 ? { errors } : { path: found, sideEffects: false };
    });
  },
};
const unfinished = `${output}.${process.pid}`;
await build({
  entryPoints: [`${root}packages/runtime/src/main.ts`],
  outfile: unfinished,
  bundle: true,
  platform: "node",
  // Every start of a program compiles this file: as CommonJS Node compiles it once and functions lazily, a third cheaper than as ES module.
  format: "cjs",
  target: "node26",
  minify: true,
  legalComments: "none",
  plugins: [withoutUnusedModules],
  logLevel: "warning",
});
renameSync(unfinished, output);
