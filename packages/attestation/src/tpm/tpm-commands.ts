import { concat, u16, u32 } from "../core/bytes.ts";
import type { TpmCredential } from "./make-credential.ts";
import { sized, TPM_RESPONSE_MAX_BYTES, type TpmAuthorisation, type TpmCommand, tpmCommand } from "./tpm-command.ts";
import type { TpmCursor } from "./tpm-cursor.ts";

/** Handles with a fixed meaning (part 2, §7.4). */
export const TPM_HANDLES = { endorsement: 0x4000000b, none: 0x40000007 } as const;

const SHA256 = 0x000b;
const NULL_ALGORITHM = 0x0010;
const POLICY_SESSION = 0x01;
const BANK_BYTES = 3;
/** TPML_DIGEST holds no more. */
const DIGESTS_MAX = 8;
const empty = new Uint8Array(0);

const buffer = (cursor: TpmCursor, field: string): Uint8Array => cursor.sized(TPM_RESPONSE_MAX_BYTES, field);

/** TPM2_CreatePrimary of `template` (TPMT_PUBLIC): the same seed and template always give the same key. */
export function createPrimary(
  hierarchy: number,
  template: Uint8Array,
): TpmCommand<{ readonly handle: number; readonly publicArea: Uint8Array }> {
  const sensitive = sized(concat(sized(empty), sized(empty)));
  const parameters = [sensitive, sized(template), sized(empty), u32(0)];
  return tpmCommand(
    "CreatePrimary",
    { code: 0x131, handles: [hierarchy], authorisations: ["password"], parameters },
    1,
    ({ handles: [handle = 0], parameters: answer }) => ({
      handle,
      publicArea: buffer(answer, "public area"),
    }),
  );
}

/** TPM2_ReadPublic: TPMT_PUBLIC of a loaded or persistent key. */
export function readPublic(handle: number): TpmCommand<Uint8Array> {
  return tpmCommand("ReadPublic", { code: 0x173, handles: [handle], parameters: [] }, 0, ({ parameters }) =>
    buffer(parameters, "public area"),
  );
}

/** TPM2_FlushContext: forgets a loaded key or a session. */
export function flushContext(handle: number): TpmCommand<void> {
  return tpmCommand("FlushContext", { code: 0x165, handles: [], parameters: [u32(handle)] }, 0, () => undefined);
}

/** TPM2_Quote over PCRs of the SHA-256 bank with `extraData` (at most 64 bytes), in the scheme of the key: TPMS_ATTEST and TPMT_SIGNATURE. */
export function quote(
  key: number,
  extraData: Uint8Array,
  pcrs: readonly number[],
): TpmCommand<{ readonly message: Uint8Array; readonly signature: Uint8Array }> {
  const parameters = [sized(extraData), u16(NULL_ALGORITHM), pcrSelection(pcrs)];
  return tpmCommand("Quote", { code: 0x158, handles: [key], authorisations: ["password"], parameters }, 0, ({ parameters: answer }) => ({
    message: buffer(answer, "attested data"),
    signature: answer.take(answer.left, "signature"),
  }));
}

/** TPM2_PCR_Read of the SHA-256 bank: at most eight values at a time, so those that came, by number. */
export function readPcrs(pcrs: readonly number[]): TpmCommand<ReadonlyMap<number, Uint8Array>> {
  const asked = pcrs.toSorted((a, b) => a - b).slice(0, DIGESTS_MAX);
  return tpmCommand("PCR_Read", { code: 0x17e, handles: [], parameters: [pcrSelection(asked)] }, 0, ({ parameters }) => {
    parameters.uint(4, "update counter");
    const returned = takeSelection(parameters);
    const count = parameters.uint(4, "number of digests");
    const digests = Array.from({ length: Math.min(count, DIGESTS_MAX) }, () => buffer(parameters, "digest"));
    return new Map(returned.flatMap((pcr, index) => (digests[index] === undefined ? [] : [[pcr, digests[index]] as const])));
  });
}

/** TPM2_PCR_Extend of the SHA-256 bank. */
export function extendPcr(pcr: number, digest: Uint8Array): TpmCommand<void> {
  const parameters = [u32(1), u16(SHA256), digest];
  return tpmCommand("PCR_Extend", { code: 0x182, handles: [pcr], authorisations: ["password"], parameters }, 0, () => undefined);
}

/** TPM2_NV_ReadPublic: how many bytes an index holds. */
export function readNvSize(index: number): TpmCommand<number> {
  return tpmCommand("NV_ReadPublic", { code: 0x169, handles: [index], parameters: [] }, 0, ({ parameters }) => {
    const area = buffer(parameters, "NV public area");
    return area.subarray(-2).reduce((value, byte) => value * 256 + byte, 0); // dataSize is its last field
  });
}

/** TPM2_NV_Read with the index's own, empty, authorisation. */
export function readNv(index: number, bytes: number, offset: number): TpmCommand<Uint8Array> {
  const parameters = [u16(bytes), u16(offset)];
  return tpmCommand(
    "NV_Read",
    { code: 0x14e, handles: [index, index], authorisations: ["password"], parameters },
    0,
    ({ parameters: answer }) => buffer(answer, "NV data"),
  );
}

/** TPM2_StartAuthSession: a policy session, unsalted and unbound. `nonce` is random, 16 bytes or more. */
export function startPolicySession(nonce: Uint8Array): TpmCommand<number> {
  const parameters = [sized(nonce), sized(empty), Uint8Array.of(POLICY_SESSION), u16(NULL_ALGORITHM), u16(SHA256)];
  const { none } = TPM_HANDLES;
  return tpmCommand("StartAuthSession", { code: 0x176, handles: [none, none], parameters }, 1, ({ handles: [session = 0] }) => session);
}

/** TPM2_PolicySecret with the empty password of `hierarchy`: what the policy of endorsement keys asks for. */
export function policySecret(hierarchy: number, session: number): TpmCommand<void> {
  const parameters = [sized(empty), sized(empty), sized(empty), u32(0)];
  return tpmCommand(
    "PolicySecret",
    { code: 0x151, handles: [hierarchy, session], authorisations: ["password"], parameters },
    0,
    () => undefined,
  );
}

/** TPM2_ActivateCredential: opens a credential for the loaded attestation key, which was sealed to the endorsement key. `authorisation` is the latter's. */
export function activateCredential(
  attestationKey: number,
  endorsementKey: number,
  authorisation: TpmAuthorisation,
  { idObject, encryptedSecret }: TpmCredential,
): TpmCommand<Uint8Array> {
  const handles = [attestationKey, endorsementKey];
  const authorisations = ["password", authorisation] as const;
  return tpmCommand(
    "ActivateCredential",
    { code: 0x147, handles, authorisations, parameters: [idObject, encryptedSecret] },
    0,
    ({ parameters }) => buffer(parameters, "credential"),
  );
}

function pcrSelection(pcrs: readonly number[]): Uint8Array {
  const select = new Uint8Array(BANK_BYTES);
  for (const pcr of pcrs) select[pcr >> 3] = (select[pcr >> 3] ?? 0) | (1 << (pcr & 7));
  return concat(u32(1), u16(SHA256), Uint8Array.of(BANK_BYTES), select);
}

/** The PCRs of the SHA-256 bank that an answer speaks of. */
function takeSelection(cursor: TpmCursor): number[] {
  const banks = cursor.uint(4, "number of PCR banks");
  const pcrs: number[] = [];
  for (let bank = 0; bank < banks; bank++) {
    const algorithm = cursor.uint(2, "PCR bank");
    const bits = cursor.take(cursor.uint(1, "sizeofSelect"), "pcrSelect");
    if (algorithm === SHA256)
      pcrs.push(...Array.from({ length: bits.length * 8 }, (_, pcr) => pcr).filter((pcr) => ((bits[pcr >> 3] ?? 0) >> (pcr & 7)) & 1));
  }
  return pcrs;
}
