import { integer, objectIdentifier, octetString, sequence, tlv } from "../x509/der-writer.ts";

/** Object identifier of Intel's extension in PCK certificates. */
export const SGX_EXTENSION = "1.2.840.113741.1.13.1";

/** Facts of a platform that an authority other than Intel certifies. */
export interface PckFacts {
  /** 6 bytes. */
  readonly fmspc: Uint8Array;
  readonly sgxComponents: readonly number[];
  readonly pceSvn: number;
}

export const pckMember = (arc: string, value: Uint8Array): Uint8Array => sequence(objectIdentifier(`${SGX_EXTENSION}.${arc}`), value);

/** Members of the extension, which is a sequence of them: PPID, TCB, PCE id, FMSPC, type of the platform. */
export function encodePckMembers({ fmspc, sgxComponents, pceSvn }: PckFacts): readonly Uint8Array[] {
  const tcb = [...sgxComponents, pceSvn].map((svn, index) => pckMember(`2.${index + 1}`, integer(svn)));
  return [
    pckMember("1", octetString(new Uint8Array(16).fill(0x01))),
    pckMember("2", sequence(...tcb, pckMember("2.18", octetString(Uint8Array.from(sgxComponents))))),
    pckMember("3", octetString(new Uint8Array(2))),
    pckMember("4", octetString(fmspc)),
    pckMember("5", tlv(0x0a, Uint8Array.of(0))),
  ];
}
