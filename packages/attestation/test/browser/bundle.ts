import { gzipSync } from "node:zlib";
import { build } from "esbuild";

export interface Bundle {
  readonly text: string;
  readonly minifiedBytes: number;
  readonly gzippedBytes: number;
  /** Modules in it, by path. */
  readonly inputs: readonly string[];
  /** Globals of Node that its code names. */
  readonly nodeGlobals: readonly string[];
}

/** A module, or its text and the directory from which its imports are found. */
export type BundleSource = { readonly file: string } | { readonly contents: string; readonly directory?: string };

const NODE_GLOBALS = ["Buffer", "process", "global", "require", "__dirname", "__filename", "setImmediate"];

/** Names that nobody declared become others that are easily found. */
const MARKED_GLOBALS = Object.fromEntries(NODE_GLOBALS.map((name) => [name, `nodeGlobal_${name}`]));

/** Bundles a module for browsers. A `node:` import anywhere below it is an error of the bundler, a global of Node is listed. */
export async function bundleForBrowser(source: BundleSource, define: Readonly<Record<string, string>> = MARKED_GLOBALS): Promise<Bundle> {
  const { outputFiles, metafile } = await build({
    ...("file" in source
      ? { entryPoints: [source.file] }
      : { stdin: { contents: source.contents, resolveDir: source.directory ?? import.meta.dirname } }),
    bundle: true,
    write: false,
    platform: "browser",
    format: "esm",
    target: "es2024",
    minify: true,
    legalComments: "none",
    metafile: true,
    logLevel: "silent",
    define,
  });
  const text = outputFiles[0]?.text ?? "";
  return {
    text,
    minifiedBytes: Buffer.byteLength(text),
    gzippedBytes: gzipSync(text, { level: 9 }).length,
    inputs: Object.keys(metafile.inputs),
    nodeGlobals: [...new Set(text.match(/nodeGlobal_\w+/g))],
  };
}
