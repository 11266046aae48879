import type { SnpProduct, SnpTcb } from "@vouchsafe/attestation";
import { z } from "zod";

/**
 * Which state of Intel's knowledge is asked for: `early` follows a TCB recovery event at once, `standard` some weeks later, when operators have
 * had time to update.
 */
export type TcbUpdate = "early" | "standard";

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
const Update = z.enum(["early", "standard"]);
const Tee = z.enum(["sgx", "tdx"]);
const Product = z.enum(["Milan", "Genoa", "Turin"]);
const Spl = z.int().min(0).max(255);

/** One document that a vendor publishes. Says what is wanted, never where it is. */
export const CollateralRequest = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("tcb-info"), tee: Tee, fmspc: hex(6), update: Update }),
  z.strictObject({ kind: z.literal("qe-identity"), tee: Tee, update: Update }),
  z.strictObject({ kind: z.literal("pck-crl"), authority: z.enum(["processor", "platform"]) }),
  z.strictObject({ kind: z.literal("root-ca-crl") }),
  z.strictObject({
    kind: z.literal("vcek"),
    product: Product,
    /** 64 bytes, Turin 8. */
    chipId: z.string().regex(/^(?:[0-9a-f]{16}|[0-9a-f]{128})$/),
    tcb: z.strictObject({ fmc: Spl.optional(), bootLoader: Spl, tee: Spl, snp: Spl, microcode: Spl }),
  }),
  z.strictObject({ kind: z.literal("amd-chain"), product: Product, signingKey: z.enum(["vcek", "vlek"]) }),
  z.strictObject({ kind: z.literal("amd-crl"), product: Product, signingKey: z.enum(["vcek", "vlek"]) }),
]);
export type CollateralRequest = z.infer<typeof CollateralRequest>;
export type VcekRequest = Extract<CollateralRequest, { kind: "vcek" }>;

/** One name for each request: key of every store, and what people read in messages. Letters, digits, `/`, `-` and `.` only. */
export function requestKey(request: CollateralRequest): string {
  switch (request.kind) {
    case "tcb-info":
      return `intel/${request.tee}/tcb-info/${request.fmspc}/${request.update}`;
    case "qe-identity":
      return `intel/${request.tee}/qe-identity/${request.update}`;
    case "pck-crl":
      return `intel/pck-crl/${request.authority}`;
    case "root-ca-crl":
      return "intel/root-ca-crl";
    case "vcek":
      return `amd/vcek/${request.product}/${request.chipId}/${tcbText(request.tcb)}`;
    case "amd-chain":
      return `amd/${request.signingKey}/${request.product}/chain`;
    case "amd-crl":
      return `amd/${request.signingKey}/${request.product}/crl`;
  }
}

/** The four documents that judge a quote. */
export function intelRequests(
  { tee, fmspc, authority }: { readonly tee: "sgx" | "tdx"; readonly fmspc: string; readonly authority: "processor" | "platform" },
  update: TcbUpdate,
): readonly CollateralRequest[] {
  return [
    { kind: "tcb-info", tee, fmspc, update },
    { kind: "qe-identity", tee, update },
    { kind: "pck-crl", authority },
    { kind: "root-ca-crl" },
  ];
}

/** A Turin has a chip id of 8 bytes; the report pads it. */
export function vcekRequest(product: SnpProduct, chipId: Uint8Array, tcb: SnpTcb): VcekRequest {
  const { fmc, ...spls } = tcb;
  const id = product === "Turin" ? chipId.subarray(0, 8) : chipId;
  return { kind: "vcek", product, chipId: id.toHex(), tcb: fmc === undefined ? spls : { fmc, ...spls } };
}

const tcbText = ({ fmc, bootLoader, tee, snp, microcode }: VcekRequest["tcb"]): string =>
  [...(fmc === undefined ? [] : [fmc]), bootLoader, tee, snp, microcode].join(".");
