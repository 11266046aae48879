import { parseKeyHash } from "../key-hash.ts";
import { mapping } from "../mapping.ts";
import { type Context, hex, integer, type JsonSchema, list, literal, orPlaceholder, type Place, quote, type Reader } from "../reader.ts";
import type { AttestationVariant, Placeholder, SignerFactor } from "../session.ts";
import { HARDWARE_FACTORS } from "./hardware-facts.ts";

const version16 = (rule: string) => orPlaceholder(integer(rule, 0, 65_535));

const signerFields = {
  mrsigner: {
    reader: orPlaceholder(hex(32)),
    doc: "SHA-256 of the signer's key.",
    required: { rule: "SL-74", message: "`mrsigner` is missing", expected: "`mrsigner` and `isvprodid`" },
  },
  isvprodid: {
    reader: version16("SL-74"),
    doc: "Product id of the program.",
    required: { rule: "SL-74", message: "`isvprodid` is missing", expected: "`mrsigner` and `isvprodid`" },
  },
  isvsvn: { reader: version16("SL-75"), doc: "Exact security version." },
  isvsvn_min: { reader: version16("SL-75"), doc: "Least security version." },
  isvsvn_max: { reader: version16("SL-75"), doc: "Greatest security version." },
} as const;

const signer: Reader<SignerFactor> = mapping(
  signerFields,
  { rule: "SL-74", expected: "a mapping with `mrsigner` and `isvprodid`" },
  (raw, place, context) => {
    const { mrsigner, isvprodid, isvsvn, isvsvn_min: isvsvnMin, isvsvn_max: isvsvnMax } = raw;
    if (mrsigner === undefined || isvprodid === undefined) return undefined;
    const bound = isvsvnMin !== undefined ? "isvsvn_min" : isvsvnMax !== undefined ? "isvsvn_max" : undefined;
    if (isvsvn !== undefined && bound !== undefined) {
      return context.errorAtKey(place, bound, {
        rule: "SL-75",
        message: `\`${bound}\` with \`isvsvn\``,
        expected: "an exact version or bounds",
      });
    }
    if (typeof isvsvnMin === "number" && typeof isvsvnMax === "number" && isvsvnMin > isvsvnMax) {
      const at = { node: valueNode(place, "isvsvn_min"), parent: place, key: "isvsvn_min" };
      const message = `isvsvn_min ${isvsvnMin} is greater than isvsvn_max ${isvsvnMax}`;
      return context.error(at, { rule: "SL-75", message, expected: "isvsvn_min ≤ isvsvn_max" });
    }
    return { mrsigner, isvprodid, isvsvn, isvsvnMin, isvsvnMax };
  },
);

function valueNode(place: Place, key: string) {
  return (place.node.kind === "map" ? place.node.entries.get(key)?.value : undefined) ?? place.node;
}

const measurements: Reader<readonly (string | Placeholder)[]> = list(orPlaceholder(hex(32)), {
  rule: "SL-73",
  expected: "a measurement (64 hexadecimal digits) or a list of them",
  nonEmpty: { rule: "SL-73", expected: "at least one measurement" },
  single: true,
});

const IMAGE_DIGEST = /^sha256:[0-9a-f]{64}$/;
const imageDigest = literal(
  "SL-85",
  "`sha256:` and 64 hexadecimal digits",
  (text, place, context) =>
    IMAGE_DIGEST.test(text)
      ? text
      : context.error(place, { rule: "SL-85", message: quote(text), expected: "`sha256:` and 64 hexadecimal digits in lower case" }),
  { type: "string", pattern: "^sha256:[0-9a-f]{64}$" },
);
const images: Reader<readonly (string | Placeholder)[]> = list(orPlaceholder(imageDigest), {
  rule: "SL-85",
  expected: "the digest of an image or a list of them",
  nonEmpty: { rule: "SL-85", expected: "at least one image" },
  single: true,
});

/** One variant: all its factors must hold (SL-73). */
const variant: Reader<AttestationVariant> = mapping(
  {
    mrenclave: { reader: measurements, doc: "The code measurement must be one of these." },
    signer: { reader: orPlaceholder(signer), doc: "The signature of the program must match all fields." },
    image: { reader: images, doc: "The image that was measured must be one of these." },
    ...HARDWARE_FACTORS,
  } as const,
  { rule: "SL-73", expected: "a mapping with `mrenclave`, `signer` or both" },
  ({ mrenclave, signer: factor, image, sgx, tdx, snp, nitro, tpm }, place, context) => {
    const [hardware, second] = [sgx, tdx, snp, nitro, tpm].filter((facts) => facts !== undefined);
    if (second !== undefined) {
      const message = `facts of ${hardware?.kind} and ${second.kind} evidence in one variant, which no evidence has`;
      return context.errorAtKey(place, second.kind, { rule: "SL-85", message, expected: "one list item for each kind" });
    }
    if (mrenclave === undefined && factor === undefined && image === undefined && hardware === undefined) {
      return context.error(place, { rule: "SL-73", message: "empty variant", expected: "`mrenclave`, `signer` or both" });
    }
    return { mrenclave, signer: factor, ...(image === undefined ? {} : { image }), ...(hardware === undefined ? {} : { hardware }) };
  },
);

/** `attestation` of a service: one variant, a list of them, or a placeholder for either (SL-76, SL-77). */
export const attestation: Reader<readonly (AttestationVariant | Placeholder)[]> = list(orPlaceholder(variant), {
  rule: "SL-73",
  expected: "a variant or a list of variants",
  nonEmpty: { rule: "SL-73", expected: "at least one variant" },
  single: true,
});

/** The deprecated list of measurements (SL-79). */
export const mrenclaves: Reader<readonly (string | Placeholder)[]> = list(orPlaceholder(hex(32)), {
  rule: "SL-79",
  expected: "a list of measurements",
  nonEmpty: { rule: "SL-79", expected: "at least one measurement" },
});

/** Platform items by prefix: number of hexadecimal digits (SL-82, SL-87). */
const PLATFORM_DIGITS = new Map([
  ["INTEL_QE_ID", 32],
  ["SNP_CHIP_ID", 128],
  ["TDX_QE_ID", 32],
  ["TPM_EK", 64],
]);

const platformSchema: JsonSchema = {
  type: "string",
  pattern: "^((INTEL_QE_ID|TDX_QE_ID):[0-9A-Fa-f]{32}|SNP_CHIP_ID:[0-9A-Fa-f]{128}|TPM_EK:[0-9A-Fa-f]{64}|NODE_KEY:[1-9A-Za-z]{50})$",
};

function platformItem(text: string, place: Place, context: Context): string | undefined {
  if (/^[0-9a-fA-F]{64}$/.test(text)) {
    const message = "platform keys of this form no longer exist";
    return context.error(place, { rule: "SL-83", message, expected: "`INTEL_QE_ID:` and 32 hexadecimal digits" });
  }
  const colon = text.indexOf(":");
  const prefix = text.slice(0, Math.max(colon, 0));
  const rest = text.slice(colon + 1);
  if (prefix === "NODE_KEY") {
    if (parseKeyHash(rest).kind === "ok") return text;
    return context.error(place, { rule: "SL-87", message: "no valid key hash after `NODE_KEY:`", expected: "a key hash of 50 characters" });
  }
  const digits = PLATFORM_DIGITS.get(prefix);
  const rule = prefix === "INTEL_QE_ID" || digits === undefined ? "SL-82" : "SL-87";
  if (digits === undefined) {
    const expected = `${[...PLATFORM_DIGITS.keys(), "NODE_KEY"].map((known) => `\`${known}:…\``).join(", ")}`;
    return context.error(place, { rule, message: quote(text), expected });
  }
  if (rest.length !== digits) {
    return context.error(place, { rule, message: `${rest.length} digits after \`${prefix}:\``, expected: `${digits} hexadecimal digits` });
  }
  if (!/^[0-9a-fA-F]*$/.test(rest))
    return context.error(place, { rule: "SL-17", message: quote(text), expected: `${digits} hexadecimal digits` });
  return `${prefix}:${rest.toLowerCase()}`;
}

export const platforms: Reader<readonly (string | Placeholder)[]> = {
  read(place, context) {
    // A lone placeholder stands for a list; any other scalar is no list.
    const isPlaceholder = place.node.kind === "scalar" && place.node.text.startsWith("$$SCONE:");
    return platformList(isPlaceholder).read(place, context);
  },
  schema: () => platformList(true).schema(),
};

function platformList(single: boolean): Reader<readonly (string | Placeholder)[]> {
  return list(orPlaceholder(literal("SL-82", "a platform", platformItem, platformSchema)), {
    rule: "SL-82",
    expected: "a list of platforms",
    nonEmpty: { rule: "SL-82", expected: "at least one platform" },
    single,
  });
}
