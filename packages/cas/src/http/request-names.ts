import { sessionNameProblem } from "@vouchsafe/policy";
import { ApiError } from "../cas-error.ts";

const SECRET_NAME = /^[A-Za-z0-9_.~-]{1,128}$/;

/** Path and query exactly as sent: a name needs no escape, so an escape in it is not a name (hazard C3). */
export function splitTarget(url: string): { readonly path: string; readonly query: URLSearchParams } {
  const mark = url.indexOf("?");
  return mark < 0
    ? { path: url, query: new URLSearchParams() }
    : { path: url.slice(0, mark), query: new URLSearchParams(url.slice(mark + 1)) };
}

/** The name behind `prefix`, refused when it is none, never normalised. Throws `not_found`: such a session cannot exist. */
export function sessionNameIn(url: string, prefix: string): string {
  return checkedSessionName(splitTarget(url).path.slice(prefix.length));
}

export function checkedSessionName(name: string): string {
  const problem = sessionNameProblem(name);
  if (problem === undefined) return name;
  throw new ApiError("not_found", `no session can have this name: ${problem.message}; expected ${problem.expected}`);
}

/** Reads `session=NAME[,secret=S]`. Throws `not_found`. */
export function valueSelector(url: string, prefix: string): { readonly session: string; readonly secret: string | undefined } {
  const match = /^session=([^,]+)(?:,secret=([^,]+))?$/.exec(splitTarget(url).path.slice(prefix.length));
  const session = match?.[1];
  const secret = match?.[2];
  if (session === undefined || sessionNameProblem(session) !== undefined || (secret !== undefined && !SECRET_NAME.test(secret))) {
    throw new ApiError("not_found", "secret does not exist or is not visible to a public client");
  }
  return { session, secret };
}
