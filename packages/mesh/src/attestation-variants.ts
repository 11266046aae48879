import { createHash } from "node:crypto";
import { encodeWorkload, extendRegister, type Workload, zeroRegister } from "@vouchsafe/attestation";
import type { EvidenceChoice } from "./evidence-choice.ts";
import type { MeshInputs } from "./mesh-inputs.ts";
import type { EvidenceKindName } from "./mesh-record.ts";
import { isPlainMapping, type PlainMapping, type PlainValue } from "./plain-value.ts";
import { REFERENCE_KINDS, type ReferenceKind, type ReferenceValues } from "./reference-values.ts";

/** How a policy recognises one image: variants of `attestation` (MF-94), and what stands in them for each kind of evidence. */
export interface Attested {
  readonly variants: readonly PlainMapping[];
  /** By kind: a code identity, or the digest by which the platform binds the image. */
  readonly identities: ReadonlyMap<EvidenceKindName, string>;
}

/** Where each platform has room for the digest of the workload, and the digest there. */
const BINDINGS: Readonly<
  Record<Exclude<ReferenceKind, "sgx">, (workload: Uint8Array) => { readonly fact: PlainMapping; readonly digest: string }>
> = {
  tdx: (workload) => bound("mrconfigid", digestOf("sha384", workload).toHex()),
  snp: (workload) => bound("host_data", digestOf("sha256", workload).toHex()),
  nitro: (workload) => register(16, "sha384", workload),
  tpm: (workload) => register(15, "sha256", workload),
};

/**
 * Variants for every accepted kind: one list of code identities for the kinds whose launch this release knows, and one variant for each kind that
 * the mesh gives reference values for. Kinds without either get none.
 */
export function attestedAs(
  workload: Workload,
  { kinds, simulates }: EvidenceChoice,
  references: ReferenceValues,
  codeIdentity: MeshInputs["codeIdentity"],
): Attested {
  const identities = new Map<EvidenceKindName, string>();
  const hardware: PlainMapping[] = [];
  for (const kind of kinds) {
    const identity = codeIdentity(kind, workload, simulates);
    if (identity !== undefined) identities.set(kind, identity);
  }
  const variants = identities.size === 0 ? [] : [{ mrenclave: [...identities.values()] }];
  for (const kind of REFERENCE_KINDS) {
    const given = kinds.includes(kind) ? references[kind] : undefined;
    if (given === undefined) continue;
    if (kind === "sgx") {
      const [first] = [given["mrenclave"]].flat();
      identities.set(kind, String(first));
      hardware.push({ mrenclave: [given["mrenclave"] ?? []].flat() });
      continue;
    }
    const { fact, digest } = BINDINGS[kind](encodeWorkload(workload));
    identities.set(kind, digest);
    hardware.push({ [kind]: merged(given, fact) });
  }
  return { variants: [...variants, ...hardware], identities };
}

const bound = (name: string, digest: string) => ({ fact: { [name]: digest }, digest });

function register(index: number, algorithm: "sha256" | "sha384", workload: Uint8Array) {
  const digest = extendRegister(algorithm, zeroRegister(algorithm), digestOf(algorithm, workload)).toHex();
  return { fact: { pcrs: { [index]: digest } }, digest };
}

function merged(given: PlainMapping, fact: PlainMapping): PlainMapping {
  const pcrs: PlainValue = { ...mappingOf(given["pcrs"]), ...mappingOf(fact["pcrs"]) };
  return { ...given, ...fact, ...(Object.keys(pcrs).length === 0 ? {} : { pcrs }) };
}

const mappingOf = (value: PlainValue | undefined): PlainMapping => (isPlainMapping(value) ? value : {});
const digestOf = (algorithm: string, bytes: Uint8Array): Uint8Array => createHash(algorithm).update(bytes).digest();
