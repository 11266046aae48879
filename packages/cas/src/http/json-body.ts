import type { z } from "zod";
import { ApiError } from "../cas-error.ts";

/** Reads a body of JSON that must fit exactly. Throws `bad_request` without quoting the body. */
export function jsonBody<T>(schema: z.ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new ApiError("bad_request", "the body is not JSON"); // the parser's message would quote it
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ApiError("bad_request", `the body does not fit: ${parsed.error.issues[0]?.path.join(".") ?? ""}`);
}
