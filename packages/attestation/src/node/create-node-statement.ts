import type { KeyObject } from "node:crypto";
import type { Evidence } from "../core/evidence.ts";
import { encodeNodeStatement, type NodeStatement } from "./node-statement.ts";

/** Makes Evidence of kind `node`. `privateKey` is the agent's Ed25519 or P-256 key; a field outside its range is a TypeError. */
export function createNodeStatement(statement: NodeStatement, privateKey: KeyObject): Evidence {
  return { kind: "node", bytes: encodeNodeStatement(statement, privateKey) };
}
