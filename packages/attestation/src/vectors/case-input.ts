import { type Certificate, parseCertificate, parsePemCertificates } from "../x509/certificate.ts";
import type { VectorCase } from "./vector-case.ts";

/** Readers of what a case gives to the verifier. A case without it is not well made, which is a TypeError and no verdict. */
export function fileOf({ files, family, name }: VectorCase, file: string): Uint8Array {
  const bytes = files.get(file);
  if (bytes === undefined) throw new TypeError(`${family}/${name} has no ${file}`);
  return bytes;
}

export function timeOf({ expected, family, name }: VectorCase): Date {
  const time = expected["verify_at"];
  if (typeof time !== "string") throw new TypeError(`${family}/${name} has no verify_at`);
  return new Date(time);
}

export function inputOf({ expected }: VectorCase, name: string): unknown {
  const inputs = expected["inputs"];
  return typeof inputs === "object" && inputs !== null ? (inputs as Record<string, unknown>)[name] : undefined; // an object from JSON
}

export function nonceOf(vectorCase: VectorCase): Uint8Array | undefined {
  const nonce = inputOf(vectorCase, "nonce");
  return typeof nonce === "string" ? Uint8Array.fromHex(nonce) : undefined;
}

/** A vendor's root of the collection, DER. Without it the case trusts nobody, and every chain is refused. */
export function anchorOf({ roots }: VectorCase, file: string): readonly Uint8Array[] {
  const pem = roots.get(file);
  return pem === undefined ? [] : parsePemCertificates(pem).map(({ der }) => der);
}

/** The first certificate of a file, PEM or DER by its name. */
export function certificateOf(vectorCase: VectorCase, file: string): Certificate {
  const bytes = fileOf(vectorCase, file);
  const [certificate] = file.endsWith(".pem") ? parsePemCertificates(bytes) : [parseCertificate(bytes)];
  if (certificate === undefined) throw new TypeError(`${vectorCase.family}/${vectorCase.name}: ${file} is empty`);
  return certificate;
}

export const hexInteger = (value: bigint | number): string => `0x${value.toString(16)}`;
