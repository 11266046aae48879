import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import {
  ATTESTATION_KEY_TEMPLATE,
  activateCredential,
  createPrimary,
  ENDORSEMENT_KEYS,
  type EndorsementKeyKind,
  type Evidence,
  encodePcrBank,
  flushContext,
  parseTpmQuote,
  policySecret,
  quote,
  readNv,
  readNvSize,
  readPcrs,
  readPublic,
  startPolicySession,
  TPM_HANDLES,
  TpmError,
} from "@vouchsafe/attestation";
import { AttesterError } from "./attester-error.ts";
import type { CertifyKey, EvidenceRequest, EvidenceSource } from "./evidence-source.ts";
import { describeTpm, openTpm, type TpmAddress, type TpmConnection } from "./tpm-connection.ts";

/** Firmware and boot (0 to 9), kernel and system (11 to 14), workload (15). PCR 10 changes with every file that IMA sees. */
const QUOTED_PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15];
const NV_CHUNK_BYTES = 512;
const CERTIFICATE_MAX_BYTES = 8192;
const QUOTE_ATTEMPTS = 3;
const SESSION_NONCE_BYTES = 16;
const CERTIFICATE = "attestation-key-certificate";
/** type, nameAlg and objectAttributes of a TPMT_PUBLIC. */
const KIND_BYTES = 8;

/** A loaded key; what was loaded for this is flushed at the end. */
interface TpmKey {
  readonly handle: number;
  readonly publicArea: Uint8Array;
}

/** Evidence of kind `tpm`: a quote by an attestation key that the verifier certifies, on the same connection or afterwards. */
export function tpmSource(address: TpmAddress): EvidenceSource {
  const name = describeTpm(address);
  return {
    kinds: ["tpm"],
    name,
    absence: () => ("host" in address || existsSync(name) ? undefined : "there is no such file"),
    gather: (request) => withTpm(address, (tpm) => gather(tpm, request)),
  };
}

async function withTpm<T>(address: TpmAddress, work: (tpm: TpmConnection) => Promise<T>): Promise<T> {
  await using tpm = await openTpm(address);
  try {
    return await work(tpm);
  } catch (cause) {
    if (!(cause instanceof TpmError)) throw cause;
    throw new AttesterError(`the TPM ${describeTpm(address)} gives no evidence`, {
      cause,
      ...(cause.remedy === undefined ? {} : { remedy: cause.remedy }),
    });
  }
}

async function gather(tpm: TpmConnection, { userData, workload, certifyKey }: EvidenceRequest): Promise<Evidence> {
  await using loaded = new AsyncDisposableStack();
  const key = await tpm.run(createPrimary(TPM_HANDLES.endorsement, ATTESTATION_KEY_TEMPLATE));
  loaded.defer(() => tpm.run(flushContext(key.handle)));
  const proof =
    certifyKey === undefined ? await describeEndorsementKey(tpm) : [[CERTIFICATE, await certify(tpm, key, certifyKey)] as const];
  const { message, signature, pcrs } = await quotePcrs(tpm, key.handle, userData);
  return {
    kind: "tpm",
    bytes: message,
    endorsements: new Map([
      ["signature", signature],
      ["attestation-key", key.publicArea],
      ...proof,
      ["pcrs", encodePcrBank(pcrs)],
      ...(workload === undefined ? [] : [["workload", workload] as const]),
    ]),
  };
}

/** Quote and values of one moment: when a register was extended in between, once more. */
async function quotePcrs(tpm: TpmConnection, key: number, userData: Uint8Array) {
  for (let attempt = 1; ; attempt++) {
    const pcrs = new Map<number, Uint8Array>();
    while (pcrs.size < QUOTED_PCRS.length) {
      const read = await tpm.run(readPcrs(QUOTED_PCRS.filter((pcr) => !pcrs.has(pcr))));
      if (read.size === 0) throw new TpmError("the TPM has no PCRs of the SHA-256 bank");
      for (const [pcr, value] of read) pcrs.set(pcr, value);
    }
    const { message, signature } = await tpm.run(quote(key, userData, QUOTED_PCRS));
    const digest = createHash("sha256");
    for (const pcr of QUOTED_PCRS) digest.update(pcrs.get(pcr) ?? new Uint8Array(0));
    if (attempt === QUOTE_ATTEMPTS || Buffer.compare(digest.digest(), parseTpmQuote(message).pcrDigest) === 0)
      return { message, signature, pcrs };
  }
}

/** Shows the verifier that attestation key and endorsement key live in one TPM, and gets a certificate for it. */
async function certify(tpm: TpmConnection, { handle, publicArea }: TpmKey, certifyKey: CertifyKey): Promise<Uint8Array> {
  await using loaded = new AsyncDisposableStack();
  const { kind, certificate } = await chooseEndorsementKey(tpm);
  const endorsementKey = await loadEndorsementKey(tpm, kind, loaded);
  // Awaited here: the endorsement key stays loaded until the answer has come.
  return await certifyKey({
    endorsementKey: endorsementKey.publicArea.toBase64(),
    endorsementCertificates: certificate === undefined ? [] : [certificate.toBase64()],
    attestationKey: publicArea.toBase64(),
    activate: (idObject, encryptedSecret) =>
      activate(tpm, { kind, key: handle, endorsementKey: endorsementKey.handle }, { idObject, encryptedSecret }),
  });
}

/** What a verifier needs to make a credential for this TPM. */
async function describeEndorsementKey(tpm: TpmConnection): Promise<readonly (readonly [string, Uint8Array])[]> {
  await using loaded = new AsyncDisposableStack();
  const { kind, certificate } = await chooseEndorsementKey(tpm);
  const { publicArea } = await loadEndorsementKey(tpm, kind, loaded);
  return [["endorsement-key", publicArea], ...(certificate === undefined ? [] : [["endorsement-certificate", certificate] as const])];
}

/**
 * What the TPM at `address` gets out of a credential that was made for the endorsement key and the attestation key of its evidence: both keys are
 * the same at every call. Throws AttesterError where it is for other keys.
 */
export async function openTpmCredential(address: TpmAddress, credential: TpmCredentialBytes): Promise<Uint8Array> {
  return withTpm(address, async (tpm) => {
    await using loaded = new AsyncDisposableStack();
    const { handle } = await tpm.run(createPrimary(TPM_HANDLES.endorsement, ATTESTATION_KEY_TEMPLATE));
    loaded.defer(() => tpm.run(flushContext(handle)));
    const { kind } = await chooseEndorsementKey(tpm);
    const endorsementKey = await loadEndorsementKey(tpm, kind, loaded);
    return await activate(tpm, { kind, key: handle, endorsementKey: endorsementKey.handle }, credential);
  });
}

/** TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET. */
interface TpmCredentialBytes {
  readonly idObject: Uint8Array;
  readonly encryptedSecret: Uint8Array;
}

async function activate(
  tpm: TpmConnection,
  { kind, key, endorsementKey }: { readonly kind: EndorsementKeyKind; readonly key: number; readonly endorsementKey: number },
  credential: TpmCredentialBytes,
): Promise<Uint8Array> {
  if (kind.authorisation === "password") return tpm.run(activateCredential(key, endorsementKey, "password", credential));
  const session = await tpm.run(startPolicySession(randomBytes(SESSION_NONCE_BYTES)));
  try {
    await tpm.run(policySecret(TPM_HANDLES.endorsement, session));
    return await tpm.run(activateCredential(key, endorsementKey, { session }, credential));
  } finally {
    await tpm.run(flushContext(session));
  }
}

/** The first that its maker certified. A TPM without any certificate has at least the key that every TPM can make: an owner may enrol it. */
async function chooseEndorsementKey(
  tpm: TpmConnection,
): Promise<{ readonly kind: EndorsementKeyKind; readonly certificate: Uint8Array | undefined }> {
  for (const kind of ENDORSEMENT_KEYS) {
    const certificate = await readEndorsementCertificate(tpm, kind.certificateIndex);
    if (certificate !== undefined) return { kind, certificate };
  }
  const [usual] = ENDORSEMENT_KEYS;
  if (usual === undefined) throw new TypeError("no kind of endorsement key is known");
  return { kind: usual, certificate: undefined };
}

/** The one that the platform keeps; made anew, which takes long but gives the same key, where it keeps none. */
async function loadEndorsementKey(tpm: TpmConnection, kind: EndorsementKeyKind, loaded: AsyncDisposableStack): Promise<TpmKey> {
  const kept = await orAbsent(tpm.run(readPublic(kind.handle)));
  if (kept !== undefined && isOfKind(kept, kind)) return { handle: kind.handle, publicArea: kept };
  const key = await tpm.run(createPrimary(TPM_HANDLES.endorsement, kind.template));
  loaded.defer(() => tpm.run(flushContext(key.handle)));
  return key;
}

/** Type, name algorithm and attributes: a handle may hold another key. */
const isOfKind = (publicArea: Uint8Array, { template }: EndorsementKeyKind): boolean =>
  Buffer.compare(publicArea.subarray(0, KIND_BYTES), template.subarray(0, KIND_BYTES)) === 0;

/** DER, without what may stand behind it in the index; undefined where the maker left none. */
async function readEndorsementCertificate(tpm: TpmConnection, index: number): Promise<Uint8Array | undefined> {
  const size = await orAbsent(tpm.run(readNvSize(index)));
  if (size === undefined) return undefined;
  const parts: Uint8Array[] = [];
  for (let offset = 0; offset < Math.min(size, CERTIFICATE_MAX_BYTES); offset += NV_CHUNK_BYTES)
    parts.push(await tpm.run(readNv(index, Math.min(NV_CHUNK_BYTES, size - offset), offset)));
  const bytes = Buffer.concat(parts);
  // SEQUENCE with a length of two bytes, as every certificate of this size has.
  const isDer = bytes.length > 4 && bytes[0] === 0x30 && bytes[1] === 0x82;
  return isDer ? bytes.subarray(0, 4 + bytes.readUInt16BE(2)) : undefined;
}

/** What the TPM refuses is not there; a connection that fails still fails. */
async function orAbsent<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof TpmError && error.responseCode !== undefined) return undefined;
    throw error;
  }
}
