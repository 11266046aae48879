/**
 * Finds the places of a TypeScript source where a check can be taken away or turned round, and writes a source in which each of these changes can be
 * switched on while it runs. One source serves all mutants, so that nothing is compiled or loaded again for each.
 */
import { parseSync } from "@swc/core";

export type Change = "check removed" | "statement removed" | "operand removed" | "inverted";

export interface Mutant {
  readonly id: number;
  /** Path from the root of the project. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly change: Change;
  /** The first line of what is changed. */
  readonly text: string;
}

export interface MutableSource {
  readonly mutants: readonly Mutant[];
  /** The source with a switch at each mutant; it asks two globals, see `switches.ts`. */
  readonly instrumented: string;
}

interface SyntaxNode {
  readonly type: string;
  readonly span: { readonly start: number; readonly end: number };
  readonly [member: string]: unknown;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly change: Change;
  readonly before: (id: number) => string;
  readonly after: string;
}

const COMPARISONS = new Set(["===", "!==", "==", "!=", "<", "<=", ">", ">=", "in", "instanceof"]);
const PREDICATE_NAME = /^((is|has|can|may|does|are)[A-Z]\w*|has|includes|some|every|test|startsWith|endsWith)$/;
/** Methods that ask their argument a question about each item. */
const ASKING_METHOD = /^(filter|some|every|find|findIndex|findLast|findLastIndex)$/;

const changes = {
  invert: { change: "inverted", before: (id: number) => `__turn(${id},(`, after: "))" },
  neverTaken: { change: "check removed", before: (id: number) => `!__isActive(${id})&&(`, after: ")" },
  leaveOut: { change: "statement removed", before: (id: number) => `__isActive(${id})||(`, after: ")" },
  alwaysTrue: { change: "operand removed", before: (id: number) => `(__isActive(${id})||(`, after: "))" },
  alwaysFalse: { change: "operand removed", before: (id: number) => `(!__isActive(${id})&&(`, after: "))" },
} as const satisfies Record<string, Omit<Edit, "start" | "end">>;

/** `firstId` is that of the first mutant; those that follow count on. */
export function findMutants(file: string, source: string, firstId: number): MutableSource {
  const bytes = Buffer.from(source);
  const edits = findEdits(parseSync(source, { syntax: "typescript", target: "esnext" }) as unknown as SyntaxNode).sort(
    (a, b) => a.start - b.start || b.end - a.end,
  );
  const mutants = edits.map(({ start, end, change }, index): Mutant => {
    const before = bytes.subarray(0, start).toString();
    const lastLine = before.slice(before.lastIndexOf("\n") + 1);
    const text = bytes.subarray(start, end).toString().split("\n")[0] ?? "";
    return { id: firstId + index, file, line: before.split("\n").length, column: lastLine.length + 1, change, text };
  });
  return { mutants, instrumented: write(bytes, edits, firstId) };
}

/** Spans of swc count bytes of UTF-8, from 1. */
function findEdits(module: SyntaxNode): Edit[] {
  const edits: Edit[] = [];
  const turned = new Set<string>();

  function add(node: SyntaxNode, change: Omit<Edit, "start" | "end">): void {
    edits.push({ start: node.span.start - 1, end: node.span.end - 1, ...change });
  }
  function invert(condition: SyntaxNode): void {
    const inner = withoutParentheses(condition);
    const place = `${inner.span.start} ${inner.span.end}`;
    if (turned.has(place) || /^(Boolean|Null|Numeric)Literal$/.test(inner.type)) return;
    turned.add(place);
    add(inner, changes.invert);
  }
  /** An arrow function answers with an expression, or like all others with its returns. */
  function invertBody(callable: SyntaxNode): void {
    const body = callable["body"] ?? (callable["function"] as SyntaxNode | undefined)?.["body"];
    if (!isNode(body)) return;
    if (body.type === "FunctionBody") for (const statement of childrenOf(body)) invertAnswers(statement);
    else invert(body);
  }
  function invertAnswers(node: unknown): void {
    if (!isNode(node) || isFunction(node)) return;
    if (node.type === "ReturnStatement" && isNode(node["argument"])) invert(node["argument"]);
    for (const child of childrenOf(node)) invertAnswers(child);
  }
  function visit(node: SyntaxNode): void {
    const { test, left, right, expression } = node as Record<string, unknown>;
    if (node.type === "IfStatement" && isNode(test)) {
      add(withoutParentheses(test), changes.neverTaken);
      invert(test);
    } else if (node.type === "ConditionalExpression" && isNode(test)) invert(test);
    else if (isCondition(node)) {
      for (const operand of [left, right].filter(isNode)) {
        const isChain = operand.type === node.type && operand["operator"] === node["operator"];
        if (!isChain) add(operand, node["operator"] === "&&" ? changes.alwaysTrue : changes.alwaysFalse);
      }
    } else if (node.type === "BinaryExpression" && COMPARISONS.has(String(node["operator"]))) invert(node);
    else if (node.type === "UnaryExpression" && node["operator"] === "!") {
      invert(node);
      if (isNode(node["argument"])) turned.add(`${node["argument"].span.start} ${node["argument"].span.end}`);
    } else if (node.type === "CallExpression" && PREDICATE_NAME.test(calledName(node))) invert(node);
    else if (isFunction(node) && answersYesOrNo(node)) invertBody(node);
    else if (node.type === "ExpressionStatement" && isNode(expression) && isCall(expression)) add(expression, changes.leaveOut);
    if (node.type === "CallExpression" && ASKING_METHOD.test(calledName(node))) {
      const [first] = (node["arguments"] as readonly { expression: SyntaxNode }[]).map((argument) => argument.expression);
      if (first?.type === "ArrowFunctionExpression") invertBody(first);
    }
    for (const child of childrenOf(node)) visit(child);
  }

  visit(module);
  return edits;
}

const isNode = (value: unknown): value is SyntaxNode => typeof value === "object" && value !== null && "type" in value && "span" in value;

/** What runs: types are passed over. Arguments and elements are wrapped in objects without a type of their own. */
function childrenOf(node: SyntaxNode): readonly SyntaxNode[] {
  const collect = (value: unknown): readonly SyntaxNode[] => {
    if (Array.isArray(value)) return value.flatMap(collect);
    if (typeof value !== "object" || value === null) return [];
    if (!("type" in value)) return Object.values(value).flatMap(collect);
    if (isNode(value)) return value.type.startsWith("Ts") ? collect(value["expression"]) : [value];
    return Object.values(value).flatMap(collect);
  };
  return Object.entries(node).flatMap(([name, value]) => (name === "span" || name.startsWith("type") ? [] : collect(value)));
}

/** `a || "nothing"` gives a value to go on with, and decides nothing. */
function isCondition(node: SyntaxNode): boolean {
  if (node.type !== "BinaryExpression") return false;
  const right = node["right"] as SyntaxNode;
  return node["operator"] === "&&" || (node["operator"] === "||" && !/Literal$|^(Array|Object)Expression$/.test(right.type));
}

const withoutParentheses = (node: SyntaxNode): SyntaxNode =>
  node.type === "ParenthesisExpression" ? withoutParentheses(node["expression"] as SyntaxNode) : node;

const isFunction = ({ type }: SyntaxNode): boolean =>
  /^(ArrowFunctionExpression|FunctionExpression|FunctionDeclaration|ClassMethod|PrivateMethod|MethodProperty)$/.test(type);

function isCall(node: SyntaxNode): boolean {
  if (node.type === "AwaitExpression") return isCall(node["argument"] as SyntaxNode);
  if (node.type === "OptionalChainingExpression") return true;
  return node.type === "CallExpression" && (node["callee"] as SyntaxNode).type !== "Super";
}

function calledName(call: SyntaxNode): string {
  const callee = call["callee"] as SyntaxNode;
  const name = callee.type === "MemberExpression" ? (callee["property"] as SyntaxNode) : callee;
  return String(name["value"] ?? "");
}

/** A declared answer of `boolean`, or `x is T`. */
function answersYesOrNo(node: SyntaxNode): boolean {
  const declared = node["returnType"] ?? (node["function"] as SyntaxNode | undefined)?.["returnType"];
  const type = (declared as { typeAnnotation?: { type?: string; kind?: string; asserts?: boolean } } | undefined)?.typeAnnotation;
  return type?.kind === "boolean" || (type?.type === "TsTypePredicate" && type.asserts !== true);
}

/** At one place what ends comes first, then what begins, the outermost before the inner ones. */
function write(bytes: Buffer, edits: readonly Edit[], firstId: number): string {
  const insertions = edits
    .flatMap(({ start, end, before, after }, index) => [
      { at: start, rank: index, text: before(firstId + index) },
      { at: end, rank: -1 - index, text: after },
    ])
    .sort((a, b) => a.at - b.at || a.rank - b.rank);
  const parts: string[] = [];
  let written = 0;
  for (const { at, text } of insertions) {
    parts.push(bytes.subarray(written, at).toString(), text);
    written = at;
  }
  return parts.join("") + bytes.subarray(written).toString();
}
