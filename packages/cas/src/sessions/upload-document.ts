import type { KeyObject } from "node:crypto";
import { decryptSession, isSignedSession, PolicyError, type SignedSession, verifySignedSession } from "@vouchsafe/policy";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import { patchSession } from "../governance/patch-session.ts";
import { credentialOf } from "./check-document.ts";
import type { Uploader } from "./session-records.ts";
import { type UploadedSession, uploadSession } from "./upload-session.ts";

/** Uploads a signed session (SL-188): every signature must verify, the connection counts for nothing (SL-192). Throws ApiError. */
export function uploadSignedSession(context: CasContext, json: string): Promise<UploadedSession> {
  const signed = verified(json);
  return uploadSession(context, signed.policy, signersOf(signed));
}

/** Applies a patch, plain or signed: a signed one counts by its signatures alone, as a signed session does. Throws ApiError. */
export function uploadSessionPatch(
  context: CasContext,
  name: string,
  text: string,
  client: () => { readonly keyHash: string; readonly pem: string },
): Promise<{ readonly hash: string; readonly name: string }> {
  const signed = isSignedSession(text) ? verified(text) : undefined;
  const uploader: Uploader = signed === undefined ? { kind: "certificate", ...client() } : signersOf(signed);
  return patchSession(context, name, signed?.policy ?? text, { uploader, credential: credentialOf(uploader) });
}

function signersOf({ signatures }: SignedSession): Extract<Uploader, { kind: "signers" }> {
  const signers = signatures.map(({ signer }) => signer);
  return { kind: "signers", keyHashes: signers.map(({ keyHash }) => keyHash), publicKeys: signers.map(({ publicKey }) => publicKey) };
}

/** Decrypts with the session-encryption keys of this CAS, then as signed (SL-194). Throws ApiError. */
export async function uploadEncryptedSession(context: CasContext, json: string, keys: readonly KeyObject[]): Promise<UploadedSession> {
  let document: string;
  try {
    document = decryptSession(json, keys);
  } catch (error) {
    throw asApiError(error);
  }
  return uploadSignedSession(context, document);
}

function verified(json: string): SignedSession {
  try {
    return verifySignedSession(json);
  } catch (error) {
    throw asApiError(error);
  }
}

function asApiError(error: unknown): unknown {
  if (!(error instanceof PolicyError)) return error;
  const causes = error.remedy === undefined ? [] : [error.remedy];
  switch (error.code) {
    case "ENCRYPTED_FOR_ANOTHER_CAS":
      return new ApiError("wrong_cas", error.message, { causes });
    case "SIGNATURE_INVALID":
    case "SIGNER_TWICE":
      return new ApiError("bad_signature", error.message, { causes });
    default:
      return new ApiError("bad_request", error.message, { causes });
  }
}
