import { accessRuleReader } from "./language/access.ts";
import { sessionDocument } from "./language/session-document.ts";
import type { JsonSchema } from "./reader.ts";

/**
 * JSON Schema (2020-12) of session documents, for completion and hover in editors. It comes from the readers that parse sessions, and accepts whatever they
 * accept; what a schema cannot say (references, checksums, combinations) is reported by `session check` only.
 */
export function sessionJsonSchema(): JsonSchema {
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Session",
    description: "A policy: programs, how they prove what they are, and what they receive after that proof.",
    ...sessionDocument.schema(),
    $defs: { accessEntries: accessRuleReader(false).schema() },
  };
}
