import { concat, u16, u32 } from "../core/bytes.ts";
import { OperationalError } from "../core/errors.ts";
import { TpmCursor } from "./tpm-cursor.ts";

/**
 * One command to a TPM (TPM 2.0 Library, part 3): the bytes to send, and how to read the answer. Nothing here talks to a device.
 * `parse` throws a TpmError for an answer that is no success or not well-formed.
 */
export interface TpmCommand<T> {
  readonly name: string;
  readonly bytes: Uint8Array;
  readonly parse: (response: Uint8Array) => T;
}

/** The TPM refuses a command (`responseCode`, part 2, §6.6), or its answer cannot be read (`responseCode` undefined). */
export class TpmError extends OperationalError<"TPM_FAILED"> {
  readonly responseCode: number | undefined;
  constructor(message: string, responseCode?: number) {
    super(
      "TPM_FAILED",
      message,
      responseCode === undefined ? {} : { remedy: `Look the response code up: tpm2_rc_decode 0x${responseCode.toString(16)}` },
    );
    this.responseCode = responseCode;
  }
}

/** Authorisation of one handle: an empty password, or a policy session whose policy was satisfied. */
export type TpmAuthorisation = "password" | { readonly session: number };

export interface TpmCommandParts {
  readonly code: number;
  readonly handles: readonly number[];
  /** One for each handle that needs any, in order; none: a command without sessions. */
  readonly authorisations?: readonly TpmAuthorisation[];
  readonly parameters: readonly Uint8Array[];
}

/** What the answer holds, taken apart: handles first, then parameters to be read from the cursor. */
export interface TpmAnswer {
  readonly handles: readonly number[];
  readonly parameters: TpmCursor;
}

const TAG_NO_SESSIONS = 0x8001;
const TAG_SESSIONS = 0x8002;
const PASSWORD_SESSION = 0x40000009;
const CONTINUE_SESSION = 1;
/** Sizes of buffers in answers never exceed that of an answer. */
export const TPM_RESPONSE_MAX_BYTES = 4096;

/** Lays a command out; `read` reads its answer, which has `handleCount` handles. */
export function tpmCommand<T>(name: string, parts: TpmCommandParts, handleCount: number, read: (answer: TpmAnswer) => T): TpmCommand<T> {
  const { code, handles, authorisations = [], parameters } = parts;
  const hasSessions = authorisations.length > 0;
  const sessions = concat(...authorisations.map(encodeAuthorisation));
  const body = concat(...handles.map(u32), ...(hasSessions ? [u32(sessions.length), sessions] : []), ...parameters);
  const bytes = concat(u16(hasSessions ? TAG_SESSIONS : TAG_NO_SESSIONS), u32(10 + body.length), u32(code), body);
  return { name, bytes, parse: (response) => read(openAnswer(name, response, handleCount)) };
}

function openAnswer(name: string, response: Uint8Array, handleCount: number): TpmAnswer {
  const malformed = (detail: string) => new TpmError(`the answer to ${name} cannot be read: ${detail}`);
  if (response.length > TPM_RESPONSE_MAX_BYTES) throw malformed(`${response.length} bytes, at most ${TPM_RESPONSE_MAX_BYTES} allowed`);
  const cursor = new TpmCursor(response, malformed);
  const tag = cursor.uint(2, "tag");
  const size = cursor.uint(4, "size");
  if (size !== response.length) throw malformed(`it says ${size} bytes and has ${response.length}`);
  const code = cursor.uint(4, "response code");
  if (code !== 0) throw new TpmError(`the TPM refuses ${name} with response code 0x${code.toString(16).padStart(3, "0")}`, code);
  const handles = Array.from({ length: handleCount }, () => cursor.uint(4, "handle"));
  if (tag !== TAG_SESSIONS) return { handles, parameters: cursor };
  const parameterSize = cursor.uint(4, "parameter size");
  return { handles, parameters: new TpmCursor(cursor.take(parameterSize, "parameters"), malformed) };
}

function encodeAuthorisation(authorisation: TpmAuthorisation): Uint8Array {
  const handle = authorisation === "password" ? PASSWORD_SESSION : authorisation.session;
  return concat(u32(handle), sized(new Uint8Array(0)), Uint8Array.of(CONTINUE_SESSION), sized(new Uint8Array(0)));
}

/** TPM2B_*. */
export function sized(bytes: Uint8Array): Uint8Array {
  return concat(u16(bytes.length), bytes);
}
