import type { z } from "zod";
import { ApiError } from "../cas-error.ts";

/** A JSON body of exactly this form. Throws `bad_request` with the field that does not fit; the text itself is never quoted. */
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
