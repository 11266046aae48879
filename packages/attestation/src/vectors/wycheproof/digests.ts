import { getHashes } from "node:crypto";
import { NotAvailable } from "./refusals.ts";

const AVAILABLE: ReadonlySet<string> = new Set(getHashes());

/** node:crypto's name of a digest that Wycheproof writes as `SHA-256`, `SHA512/256`, `SHA3-384`, `SHA-1`. */
export function digestNamed(name: string): string {
  const lower = name.toLowerCase();
  const digest = lower.startsWith("sha3-") ? lower : lower.replace(/^sha-/, "sha").replace("/", "-");
  if (!AVAILABLE.has(digest)) throw new NotAvailable(`node:crypto has no digest ${name}`);
  return digest;
}

/** For signatures: an extendable-output function has no length that node:crypto would know. */
export function fixedDigestNamed(name: string): string {
  if (/^shake/i.test(name)) throw new NotAvailable(`node:crypto makes no signatures with ${name}`);
  return digestNamed(name);
}
