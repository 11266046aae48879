export type { Diagnostic } from "./diagnostic.ts";
export { KEY_HASH_CHARACTERS, type KeyHashReading, keyHash, keyHashOf, parseKeyHash } from "./key-hash.ts";
export * from "./session.ts";
