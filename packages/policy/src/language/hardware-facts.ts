import { tcbPart } from "../hardware-words.ts";
import { mapping, type Raw } from "../mapping.ts";
import { type Context, hex, integer, list, mapNode, oneOf, orPlaceholder, type Place, quote, type Reader } from "../reader.ts";
import { type HardwareFacts, type HardwareKind, type Placeholder, SNP_GUEST_POLICIES, SNP_PLATFORM_PROPERTIES } from "../session.ts";

/** Rule of the language for evidence other than SGX's own factors. */
const RULE = "SL-85";

type Values = readonly (string | Placeholder)[];

const accepted = (bytes: number): Reader<Values> =>
  list(orPlaceholder(hex(bytes, RULE)), {
    rule: RULE,
    expected: `a value of ${bytes} bytes in hexadecimal, or a list of them`,
    nonEmpty: { rule: RULE, expected: "at least one value" },
    single: true,
  });

const fact = (bytes: number, doc: string) => ({ reader: accepted(bytes), doc });

/** Values of registers by their number. */
function registers(last: number, bytes: number): Reader<ReadonlyMap<number, Values>> {
  const value = accepted(bytes);
  const expected = `a mapping from register numbers 0…${last} to values`;
  return {
    read(place, context) {
      const node = mapNode(place, context, RULE, expected);
      if (node === undefined) return undefined;
      if (node.entries.size === 0) return context.error(place, { rule: RULE, message: "no register", expected: "at least one register" });
      const found = new Map<number, Values>();
      for (const [name, entry] of node.entries) {
        const read = readRegister(name, { node: entry.value, parent: place, key: name }, context);
        if (read !== undefined) found.set(Number(name), read);
      }
      return found.size === node.entries.size ? found : undefined;
    },
    schema: () => ({
      type: "object",
      patternProperties: { "^[0-9]{1,2}$": value.schema() },
      additionalProperties: false,
      minProperties: 1,
    }),
  };

  function readRegister(name: string, place: Place, context: Context): Values | undefined {
    if (/^(?:0|[1-9][0-9]?)$/.test(name) && Number(name) <= last) return value.read(place, context);
    const message = `register ${quote(name)}`;
    if (place.parent === undefined) return undefined;
    return context.errorAtKey(place.parent, name, { rule: RULE, message, expected: `0…${last}` });
  }
}

const anyOf = <T>(item: Reader<T>, what: string): Reader<readonly T[]> =>
  list(item, {
    rule: RULE,
    expected: `${what}, or a list of them`,
    nonEmpty: { rule: RULE, expected: "at least one" },
    single: true,
  });

/** Least versions of a platform's parts, by the part's name in the session: `boot_loader` is `bootLoader`. */
function minimumTcb(docs: Readonly<Record<string, string>>): Reader<Readonly<Record<string, number>>> {
  const fields = Object.fromEntries(Object.entries(docs).map(([word, doc]) => [word, { reader: integer(RULE, 0, 255), doc }]));
  const words = Object.keys(docs).map((word) => `\`${word}\``);
  return mapping(fields, { rule: RULE, expected: `a mapping with ${words.join(", ")}` }, (raw, place, context) => {
    const versions = Object.entries(raw).flatMap(([word, least]) => (least === undefined ? [] : [[tcbPart(word), least] as const]));
    if (versions.length > 0) return Object.fromEntries(versions);
    return context.error(place, { rule: RULE, message: "no security version", expected: "at least one" });
  });
}

const LEAST = "Least security version.";
const snpMinimum = minimumTcb({ boot_loader: LEAST, tee: LEAST, snp: LEAST, microcode: LEAST, fmc: LEAST });
const tdxMinimum = minimumTcb({
  module_version: "Least version of the TDX module (TEE_TCB_SVN, byte 1): 3 is the one that Intel calls TDX_03.",
  module_svn:
    "Least security version of the TDX module (byte 0); where `module_version` is given too, only a module of just that version is asked for it.",
  microcode: "Least security version of the microcode loaded with the module (byte 2).",
});

const FIELDS = {
  sgx: {
    config_id: fact(64, "Configuration id of the enclave."),
    config_svn_min: { reader: integer(RULE, 0, 65_535), doc: "Least security version of the configuration." },
    isvextprodid: fact(16, "Extended product id of the program."),
    isvfamilyid: fact(16, "Family id of the program."),
  },
  tdx: {
    mrtd: fact(48, "Measurement of the guest's initial memory: its firmware."),
    rtmr0: fact(48, "Register 0: configuration of the firmware."),
    rtmr1: fact(48, "Register 1: boot loader and kernel."),
    rtmr2: fact(48, "Register 2: command line and initial file system."),
    rtmr3: fact(48, "Register 3: what the guest's own software measures."),
    mrconfigid: fact(48, "What the host bound to the guest at launch: SHA-384 of the workload descriptor."),
    mrowner: fact(48, "Owner of the guest."),
    mrownerconfig: fact(48, "Configuration by the owner."),
    mrseam: fact(48, "Measurement of the TDX module."),
    mrservicetd: fact(48, "Measurement of the service TDs that are bound to the guest."),
    td_attributes: fact(8, "Attributes of the guest, all 64 bits as they lie in the quote."),
    xfam: fact(8, "Processor features that the guest may use, all 64 bits as they lie in the quote."),
    minimum_tcb: { reader: tdxMinimum, doc: "Least security versions of the TDX module and of the microcode with it." },
  },
  snp: {
    measurement: fact(48, "Launch digest of the guest."),
    host_data: fact(32, "What the host bound to the guest at launch: SHA-256 of the workload descriptor."),
    family_id: fact(16, "Family of the guest, from its identity block."),
    image_id: fact(16, "Image of the guest, from its identity block."),
    id_key_digest: fact(48, "Digest of the key that signed the identity block."),
    author_key_digest: fact(48, "Digest of the key that certified the identity key."),
    vmpl: {
      reader: anyOf(integer(RULE, 0, 3), "a privilege level 0…3"),
      doc: "Privilege level within the guest that asked for the report.",
    },
    product: {
      reader: anyOf(oneOf(RULE, ["Milan", "Genoa", "Turin"]), "a product line"),
      doc: "Product line of the processor (Siena and Bergamo are `Genoa`).",
    },
    signing_key: {
      reader: anyOf(oneOf(RULE, ["VCEK", "VLEK"]), "a kind of key"),
      doc: "Who vouches: the key of the chip (`VCEK`) or that of the cloud provider (`VLEK`).",
    },
    platform: {
      reader: anyOf(oneOf(RULE, SNP_PLATFORM_PROPERTIES), "a property of the platform"),
      doc: "What the platform must have, all of it: `alias-check` (no memory module lies about its size), `smt-off`, `ecc`, `ciphertext-hiding`, `rapl-off`.",
    },
    guest_policy: {
      reader: anyOf(oneOf(RULE, SNP_GUEST_POLICIES), "a demand of the guest's policy"),
      doc: "What the policy that the guest was started with must demand of its machine, all of it: `smt-off`, `single-socket`, `cxl-off`, `aes-256-xts`, `rapl-off`, `ciphertext-hiding`, `page-swap-off`.",
    },
    guest_svn_min: { reader: integer(RULE, 0, 0xffff_ffff), doc: "Least security version of the guest, from its identity block." },
    minimum_tcb: { reader: snpMinimum, doc: "Least security versions of the platform's firmware." },
  },
  nitro: { pcrs: { reader: registers(31, 48), doc: "Platform configuration registers by number." } },
  tpm: {
    pcrs: { reader: registers(23, 32), doc: "Platform configuration registers of the SHA-256 bank by number." },
    firmware_version: fact(8, "Version of the TPM's firmware, as its maker counts."),
  },
} as const;

/** What the readers of FIELDS make, where it is not a list of values. */
interface SpecialFacts {
  readonly pcrs?: ReadonlyMap<number, Values>;
  readonly vmpl?: readonly number[];
  readonly platform?: HardwareFacts["platform"];
  readonly guest_policy?: HardwareFacts["guestPolicy"];
  readonly minimum_tcb?: Readonly<Record<string, number>>;
  readonly guest_svn_min?: number;
  readonly config_svn_min?: number;
}

/** `pcrs: {7: …}` are the facts `pcr7` and so on; every other key is a fact of its name. */
function readFacts(kind: HardwareKind, raw: Readonly<Record<string, unknown>>, place: Place, context: Context): HardwareFacts | undefined {
  const {
    pcrs,
    vmpl,
    platform,
    guest_policy: guestPolicy,
    minimum_tcb: minimumTcb = {},
    guest_svn_min: guestSvnMin,
    config_svn_min: configSvnMin,
    ...facts
  } = raw as Readonly<Record<string, Values>> & SpecialFacts;
  const registers = [...(pcrs ?? [])].map(([index, value]) => [`pcr${index}`, value] as const);
  const levels = vmpl === undefined ? [] : [["vmpl", vmpl.map(String)] as const];
  const values = Object.fromEntries([...Object.entries(facts).filter(([, value]) => value !== undefined), ...levels, ...registers]);
  if (Object.values(raw).every((value) => value === undefined)) {
    return context.error(place, {
      rule: RULE,
      message: "no fact",
      expected: `one of ${Object.keys(FIELDS[kind])
        .map((name) => `\`${name}\``)
        .join(", ")}`,
    });
  }
  const minimumSvn = guestSvnMin ?? configSvnMin;
  return {
    ...{ kind, values, minimumTcb },
    ...(platform === undefined ? {} : { platform }),
    ...(guestPolicy === undefined ? {} : { guestPolicy }),
    ...(minimumSvn === undefined ? {} : { minimumSvn }),
  };
}

const reader = <K extends HardwareKind>(kind: K): Reader<HardwareFacts> =>
  mapping<(typeof FIELDS)[K], HardwareFacts>(
    FIELDS[kind],
    { rule: RULE, expected: `a mapping of facts of ${kind} evidence` },
    (raw: Raw<(typeof FIELDS)[K]>, place, context) => readFacts(kind, raw, place, context),
  );

/** Factors of a variant that only evidence of one kind can have (cas.md §9.1). */
export const HARDWARE_FACTORS = {
  sgx: { reader: reader("sgx"), doc: "Facts of SGX evidence that must hold." },
  tdx: { reader: reader("tdx"), doc: "Facts of TDX evidence that must hold." },
  snp: { reader: reader("snp"), doc: "Facts of SEV-SNP evidence that must hold." },
  nitro: { reader: reader("nitro"), doc: "Facts of Nitro evidence that must hold." },
  tpm: { reader: reader("tpm"), doc: "Facts of TPM evidence that must hold." },
} as const;
