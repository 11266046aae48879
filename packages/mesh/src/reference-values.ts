import type { Findings } from "./diagnostic.ts";
import { shortText } from "./manifest-reader.ts";
import type { ManifestNode } from "./manifest-yaml.ts";
import { findNearest } from "./nearest.ts";
import { isPlainMapping, type PlainMapping, plainMapping } from "./plain-value.ts";

/** Kinds whose launch depends on a guest or an enclave that this release did not build. */
export const REFERENCE_KINDS = ["sgx", "tdx", "snp", "nitro", "tpm"] as const;
export type ReferenceKind = (typeof REFERENCE_KINDS)[number];

/** `policy.references` of a mesh: what must have been launched, by kind, in the words of the policy language (SL-85). */
export type ReferenceValues = Readonly<Partial<Record<ReferenceKind, PlainMapping>>>;

/** What has to be said of each kind, and what the mesh computes from the image itself. */
const RULES: Readonly<Record<ReferenceKind, { readonly needed: string; readonly computed: string | undefined }>> = {
  sgx: { needed: "mrenclave", computed: undefined },
  tdx: { needed: "mrtd", computed: "mrconfigid" },
  snp: { needed: "measurement", computed: "host_data" },
  nitro: { needed: "pcrs 0, 1 and 2", computed: "pcrs.16" },
  tpm: { needed: "pcrs, at least one of 0 to 14", computed: "pcrs.15" },
};

/** For messages: the reference values that a mesh has to bring for a kind. */
export const neededReference = (kind: ReferenceKind): string => `policy.references.${kind} with ${RULES[kind].needed}`;

export function readReferenceValues(node: ManifestNode | undefined, findings: Findings): ReferenceValues {
  if (node === undefined) return {};
  if (node.kind !== "mapping") {
    findings.add(node.at, "E-FIELD-TYPE", "policy.references is no mapping", { expected: `a mapping with ${REFERENCE_KINDS.join(", ")}` });
    return {};
  }
  const values: Partial<Record<ReferenceKind, PlainMapping>> = {};
  for (const { key, keyAt, value } of node.entries) {
    const kind = REFERENCE_KINDS.find((each) => each === key);
    if (kind === undefined) {
      const near = findNearest(key, REFERENCE_KINDS);
      findings.add(keyAt, "E-FIELD-UNKNOWN", `reference values of the kind ${shortText(key)} are unknown`, {
        expected: REFERENCE_KINDS.join(", "),
        ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
      });
      continue;
    }
    const facts = value.kind === "mapping" ? plainMapping(value) : {};
    const { needed, computed } = RULES[kind];
    if (!hasNeeded(kind, facts))
      findings.add(value.at, "E-EVIDENCE", `the reference values of ${kind} do not say what was launched`, { expected: needed });
    if (computed !== undefined && valueAt(facts, computed) !== undefined)
      findings.add(value.at, "E-EVIDENCE", `${computed} of ${kind} is given, but it follows from the image`, {
        expected: `no ${computed}: it is computed`,
      });
    values[kind] = facts;
  }
  return values;
}

function hasNeeded(kind: ReferenceKind, facts: PlainMapping): boolean {
  const has = (path: string) => valueAt(facts, path) !== undefined;
  if (kind === "nitro") return has("pcrs.0") && has("pcrs.1") && has("pcrs.2");
  if (kind === "tpm") return Array.from({ length: 15 }, (_, index) => `pcrs.${index}`).some(has);
  return has(RULES[kind].needed);
}

function valueAt(facts: PlainMapping, path: string): unknown {
  const [first = "", second] = path.split(".");
  const value = facts[first];
  if (second === undefined) return value ?? undefined;
  return isPlainMapping(value) ? (value[second] ?? undefined) : undefined;
}
