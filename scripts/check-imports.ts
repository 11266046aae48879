/**
 * Runs the import rules: `node scripts/check-imports.ts [PATH…]`, by default all sources.
 * dependency-cruiser reads TypeScript through a syntax visitor of swc that stops at `using` declarations; it is taught them first.
 */
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

interface Statement {
  readonly type: string;
  readonly declarations?: unknown[];
  readonly decls?: unknown[];
}
interface SyntaxVisitor {
  visitStatement(statement: Statement): Statement;
  visitVariableDeclarators(declarators: unknown[]): unknown[];
}

const root = join(import.meta.dirname, "..");
const require = createRequire(import.meta.url);
const { Visitor }: { Visitor: { prototype: SyntaxVisitor } } = require("@swc/core/Visitor");
const visitKnown = Visitor.prototype.visitStatement;
Visitor.prototype.visitStatement = function (statement) {
  if (statement.type !== "UsingDeclaration") return visitKnown.call(this, statement);
  this.visitVariableDeclarators(statement.declarations ?? statement.decls ?? []);
  return statement;
};

const paths = process.argv.slice(2);
process.argv.splice(
  2,
  Number.POSITIVE_INFINITY,
  "--config",
  ".dependency-cruiser.cjs",
  ...(paths.length === 0 ? ["packages", "test", "bench"] : paths),
);
process.chdir(root);
await import(pathToFileURL(join(root, "node_modules/dependency-cruiser/bin/dependency-cruiser.mjs")).href);
