/**
 * Bundles the runtime that goes into every image: `node scripts/bundle-runtime.ts [OUTPUT]`, by default `.cache/runtime/main.js`. Beside it lies
 * `OUTPUT.inputs.json`, the files that it was made from: who needs the bundle makes it anew when one of them is newer.
 */
import { mkdirSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { compileScript } from "./compile-script.ts";
import { withoutUnusedModules } from "./without-unused-modules.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const output = process.argv[2] ?? `${root}.cache/runtime/main.js`;
mkdirSync(dirname(output), { recursive: true });
const { outputFiles, metafile } = await build({
  absWorkingDir: root, // inputs are named from there
  entryPoints: ["packages/runtime/src/main.ts"],
  write: false,
  metafile: true,
  bundle: true,
  platform: "node",
  // Compiled code can be kept of a script only; its imports are looked up when they are asked for.
  format: "cjs",
  target: "node26",
  minify: true,
  legalComments: "none",
  plugins: [withoutUnusedModules],
  logLevel: "warning",
});
const unfinished = `${output}.${process.pid}`;
// `node:net` loads the last one when it looks up a name.
const imports = [...Object.values(metafile.outputs).flatMap((file) => file.imports.map(({ path }) => path)), "node:dns"];
writeFileSync(unfinished, compileScript(outputFiles[0]?.text ?? "", [...new Set(imports)]));
const scripts = ["bundle-runtime.ts", "compile-script.ts", "without-unused-modules.ts"].map((name) => `scripts/${name}`);
writeFileSync(`${output}.inputs.json`, JSON.stringify([...Object.keys(metafile.inputs), ...scripts]));
renameSync(unfinished, output);
