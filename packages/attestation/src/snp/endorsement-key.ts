import { decodeAscii } from "../core/bytes.ts";
import { EvidenceError } from "../core/errors.ts";
import type { Certificate } from "../x509/certificate.ts";
import { DER, DerReader } from "../x509/der-reader.ts";
import { findCommonName } from "../x509/distinguished-name.ts";
import type { SnpProduct, SnpTcb } from "./snp-report.ts";

/** What AMD certifies about the key that signs reports (VCEK and VLEK certificate specification, §3.1). */
export interface SnpEndorsementKey {
  readonly kind: "VCEK" | "VLEK";
  readonly product: SnpProduct;
  /** The key exists only at exactly these security versions. */
  readonly tcb: SnpTcb;
  /** Chip that has the key; a VLEK belongs to a cloud provider instead. */
  readonly hardwareId: Uint8Array | undefined;
}

const AMD = "1.3.6.1.4.1.3704.1.";
const PRODUCT_NAME = `${AMD}2`;
const BOOT_LOADER = `${AMD}3.1`;
const TEE = `${AMD}3.2`;
const SNP = `${AMD}3.3`;
const MICROCODE = `${AMD}3.8`;
const FMC = `${AMD}3.9`;
const HARDWARE_ID = `${AMD}4`;
const PROVIDER_ID = `${AMD}5`;
const PRODUCTS: readonly SnpProduct[] = ["Milan", "Genoa", "Turin"];
/** Siena and Bergamo are certified under Genoa's root but carry their own names. */
const GENOA_FAMILY = ["Siena", "Bergamo"];
const HARDWARE_ID_BYTES: Record<SnpProduct, number> = { Milan: 64, Genoa: 64, Turin: 8 };

const malformed = (detail: string) => new EvidenceError("EVIDENCE_MALFORMED", `SNP endorsement key: ${detail}`, { reason: "parse-error" });

/** Reads AMD's extensions of a VCEK or VLEK certificate; the certificate itself is verified elsewhere. Throws EVIDENCE_MALFORMED. */
export function readSnpEndorsementKey(certificate: Certificate): SnpEndorsementKey {
  const commonName = findCommonName(certificate.subject);
  if (commonName !== "SEV-VCEK" && commonName !== "SEV-VLEK") throw malformed("the subject is neither SEV-VCEK nor SEV-VLEK");
  const kind = commonName === "SEV-VCEK" ? "VCEK" : "VLEK";
  const product = readProduct(certificate);
  const spl = (oid: string) => readSpl(certificate, oid);
  const tcb = { bootLoader: spl(BOOT_LOADER), tee: spl(TEE), snp: spl(SNP), microcode: spl(MICROCODE) };
  const hardwareId = readHardwareId(certificate, product);
  if (kind === "VCEK" && hardwareId === undefined) throw malformed("a VCEK names its chip, this one does not");
  if (kind === "VLEK" && (hardwareId !== undefined || !certificate.extensions.has(PROVIDER_ID))) {
    throw malformed("a VLEK names its cloud provider and no chip");
  }
  return { kind, product, tcb: product === "Turin" ? { fmc: spl(FMC), ...tcb } : tcb, hardwareId };
}

/** `Milan-B0`, `Genoa`: the stepping behind the dash does not matter. */
function readProduct(certificate: Certificate): SnpProduct {
  const reader = extensionReader(certificate, PRODUCT_NAME, "product name");
  const name = decodeAscii(reader.value(DER.ia5String, "product name").content).split("-")[0] ?? "";
  reader.finish();
  const product = GENOA_FAMILY.includes(name) ? "Genoa" : PRODUCTS.find((known) => known === name);
  if (product !== undefined) return product;
  throw new EvidenceError("EVIDENCE_MALFORMED", "SNP endorsement key: the product is none of Milan, Genoa, Turin", {
    reason: "unsupported-tee",
  });
}

function readSpl(certificate: Certificate, oid: string): number {
  const reader = extensionReader(certificate, oid, "security version");
  const value = reader.smallInteger("security version");
  reader.finish();
  if (value > 0xff) throw malformed(`security version ${value} is larger than a byte`);
  return value;
}

/** The extension holds the bare bytes; some certificates wrap them in an OCTET STRING. */
function readHardwareId(certificate: Certificate, product: SnpProduct): Uint8Array | undefined {
  const value = certificate.extensions.get(HARDWARE_ID)?.value;
  if (value === undefined) return undefined;
  const expected = HARDWARE_ID_BYTES[product];
  if (value.length === expected) return value;
  const reader = new DerReader(value, "hardware id", malformed);
  const inner = reader.octetString("hardware id");
  reader.finish();
  if (inner.length !== expected) throw malformed(`hardware id of ${inner.length} bytes; a ${product} has ${expected}`);
  return inner;
}

function extensionReader(certificate: Certificate, oid: string, field: string): DerReader {
  const extension = certificate.extensions.get(oid);
  if (extension === undefined) throw malformed(`extension ${oid} (${field}) is missing`);
  return new DerReader(extension.value, field, malformed);
}
