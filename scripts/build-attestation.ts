/**
 * Builds the evidence library as a package of its own: `node scripts/build-attestation.ts [DIRECTORY]`, by default `.cache/attestation`.
 * JavaScript and type declarations, because Node strips no types below node_modules; ready for `npm pack DIRECTORY` and `npm publish DIRECTORY`.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

interface Manifest {
  readonly name: string;
  readonly description: string;
  readonly keywords: readonly string[];
  readonly version: string;
  readonly license: string;
  readonly sideEffects: boolean;
  readonly exports: Readonly<Record<string, unknown>>;
  readonly imports: Readonly<Record<string, unknown>>;
  readonly dependencies: Readonly<Record<string, string>>;
}

const root = fileURLToPath(new URL("..", import.meta.url));
const room = join(root, "packages/attestation");
const output = process.argv[2] ?? join(root, ".cache/attestation");
const unfinished = `${output}.${process.pid}`;

mkdirSync(unfinished, { recursive: true });
try {
  compile(unfinished);
  writeFileSync(join(unfinished, "package.json"), `${JSON.stringify(publishedManifest(), undefined, 2)}\n`);
  copyFileSync(join(room, "README.md"), join(unfinished, "README.md"));
  copyFileSync(join(root, "LICENSE"), join(unfinished, "LICENSE"));
  rmSync(output, { recursive: true, force: true });
  renameSync(unfinished, output);
} finally {
  rmSync(unfinished, { recursive: true, force: true });
}

function compile(directory: string): void {
  const project = join(directory, "tsconfig.json");
  const options = {
    noEmit: false,
    rootDir: join(room, "src"),
    outDir: directory,
    declaration: true,
    allowImportingTsExtensions: true,
    rewriteRelativeImportExtensions: true,
    stripInternal: true,
    typeRoots: [join(root, "node_modules/@types")],
  };
  // All that the manifest's conditions lead to; the compiler follows those of Node only.
  const files = ["index.ts", "portable.ts", "crypto/web-provider.ts"].map((name) => join(room, "src", name));
  writeFileSync(project, JSON.stringify({ extends: join(root, "tsconfig.json"), compilerOptions: options, files, include: [] }));
  execFileSync(process.execPath, [join(root, "node_modules/typescript/bin/tsc"), "--project", project], { stdio: "inherit" });
  rmSync(project);
  for (const file of globSync(join(directory, "**/*.d.ts"))) writeFileSync(file, withCompiledImports(readFileSync(file, "utf8")));
}

/** The compiler rewrites imports in JavaScript only. */
function withCompiledImports(declarations: string): string {
  return declarations.replace(/((?:from |import\()"\.{1,2}\/[^"]+)\.ts"/g, '$1.js"');
}

/** The room's own manifest with compiled files in place of sources, free to be published. */
function publishedManifest(): Record<string, unknown> {
  // The manifest is a file of this repository.
  const { name, description, keywords, version, license, sideEffects, exports, imports, dependencies } = JSON.parse(
    readFileSync(join(room, "package.json"), "utf8"),
  ) as Manifest;
  const { engines }: { readonly engines: Readonly<Record<string, string>> } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  return {
    ...{ name, description, keywords, version, license, type: "module", sideEffects, engines },
    ...{ exports: compiled(exports), imports: compiled(imports), dependencies },
  };
}

function compiled(value: unknown): unknown {
  if (typeof value === "string") return value.replace(/^\.\/src\/(.*)\.ts$/, "./$1.js");
  return Object.fromEntries(Object.entries(value as Record<string, unknown>).map(([name, member]) => [name, compiled(member)])); // nested conditions
}
