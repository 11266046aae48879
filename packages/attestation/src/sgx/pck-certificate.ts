import { EvidenceError } from "../core/errors.ts";
import type { Certificate } from "../x509/certificate.ts";
import { DER, DerReader } from "../x509/der-reader.ts";
import { findCommonName } from "../x509/distinguished-name.ts";

/** Which of Intel's CAs certifies the platform: single-socket processors or multi-package platforms. */
export type PckAuthority = "processor" | "platform";

/** What the extension of a PCK certificate says about the platform (Intel SGX PCK Certificate and CRL Profile, §1.3.5). */
export interface PckIdentity {
  readonly authority: PckAuthority;
  /** 6 bytes: family, model, stepping and platform. Selects the TCB Info. */
  readonly fmspc: Uint8Array;
  readonly pceId: Uint8Array;
  /** 16 SVNs. */
  readonly sgxComponents: readonly number[];
  readonly pceSvn: number;
  readonly cpuSvn: Uint8Array;
}

const SGX_EXTENSION = "1.2.840.113741.1.13.1";
const TCB = `${SGX_EXTENSION}.2`;
const PCE_ID = `${SGX_EXTENSION}.3`;
const FMSPC = `${SGX_EXTENSION}.4`;
const PCE_SVN = 17;
const CPU_SVN = 18;
const COMPONENTS = 16;
const SVN_MAX = 0xffff;
const AUTHORITIES = new Map<string | undefined, PckAuthority>([
  ["Intel SGX PCK Processor CA", "processor"],
  ["Intel SGX PCK Platform CA", "platform"],
]);

const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", `PCK certificate: ${detail}`, { reason: "parse-error" });

/** Reads a PCK certificate's own facts. Throws EVIDENCE_MALFORMED, or EVIDENCE_SIGNATURE (`bad-chain`) when it is no PCK certificate. */
export function readPckIdentity(certificate: Certificate): PckIdentity {
  const authority = AUTHORITIES.get(findCommonName(certificate.issuer));
  const extension = certificate.extensions.get(SGX_EXTENSION);
  if (authority === undefined || extension === undefined || certificate.basicConstraints?.isCa === true) {
    throw new EvidenceError("EVIDENCE_SIGNATURE", "PCK certificate: not issued by a PCK CA, or without the SGX extension", {
      reason: "bad-chain",
    });
  }
  const document = new DerReader(extension.value, "SGX extension", malformed);
  const members = readMembers(document.open(DER.sequence, "SGX extension"));
  document.finish();
  const tcb = readMembers(get(members, TCB).open(DER.sequence, "TCB"));
  const svn = (index: number) => {
    const value = get(tcb, `${TCB}.${index}`).smallInteger(`TCB component ${index}`);
    if (value > SVN_MAX) throw malformed(`TCB component ${index} is ${value}, at most ${SVN_MAX} is an SVN`);
    return value;
  };
  return {
    authority,
    fmspc: bytes(members, FMSPC, 6),
    pceId: bytes(members, PCE_ID, 2),
    sgxComponents: Array.from({ length: COMPONENTS }, (_, index) => svn(index + 1)),
    pceSvn: svn(PCE_SVN),
    cpuSvn: bytes(tcb, `${TCB}.${CPU_SVN}`, 16),
  };
}

/** Pairs of oid and value, each oid once. */
function readMembers(reader: DerReader): ReadonlyMap<string, DerReader> {
  const members = new Map<string, DerReader>();
  while (!reader.isDone) {
    const pair = reader.open(DER.sequence, "member");
    const oid = pair.oid("member");
    const value = pair.any("value");
    pair.finish();
    if (members.has(oid)) throw malformed(`${oid} occurs twice`);
    members.set(oid, pair.within(value.bytes, oid));
  }
  return members;
}

function get(members: ReadonlyMap<string, DerReader>, oid: string): DerReader {
  const member = members.get(oid);
  if (member === undefined) throw malformed(`${oid} is missing`);
  return member;
}

function bytes(members: ReadonlyMap<string, DerReader>, oid: string, length: number): Uint8Array {
  const value = get(members, oid).octetString(oid);
  if (value.length !== length) throw malformed(`${oid} has ${value.length} bytes, expected ${length}`);
  return value;
}
