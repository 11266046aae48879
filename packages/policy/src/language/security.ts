import { mapping } from "../mapping.ts";
import { decodeBase32 } from "../one-time-password.ts";
import { encodePem, parsePem } from "../pem.ts";
import {
  boolean,
  type Context,
  child,
  hex,
  integer,
  list,
  literal,
  oneOf,
  orPlaceholder,
  type Place,
  quote,
  type Reader,
} from "../reader.ts";
import {
  DEFAULT_EVIDENCE_KINDS,
  EVIDENCE_KINDS,
  type Placeholder,
  type PlatformRules,
  type Security,
  TOLERABLE,
  type Tolerable,
} from "../session.ts";
import { platformExceptions } from "./platform-exceptions.ts";

const MIN_OTP_BYTES = 16;
const MIN_TOKEN_CHARACTERS = 16;
export const DEFAULT_MIN_RSA_BITS = 2048;

/** SL-96; the text keeps its case-insensitive value in upper case, without padding. */
export const otpSecret: Reader<string | Placeholder> = orPlaceholder(
  literal("SL-96", "base32 of at least 128 bits (26 characters)", (text, place, context) => {
    const fail = (message: string) =>
      context.error(place, { rule: "SL-96", message, expected: "base32 of at least 128 bits (26 characters)" });
    const bytes = decodeBase32(text);
    if (bytes === undefined) return fail(`${text.length} characters that are no base32`);
    if (bytes.length < MIN_OTP_BYTES) return fail(`${bytes.length * 8} bits`);
    return text.toUpperCase().replace(/=+$/, "");
  }),
  "otp",
);

const TOLERATE_WORDS = [...TOLERABLE, "debug"] as const;

const tolerateWord: Reader<Tolerable> = literal(
  "SL-91",
  TOLERABLE.map((word) => `\`${word}\``).join(", "),
  (text, place, context) => {
    if (text !== "debug") return oneOf("SL-91", TOLERABLE).read(place, context);
    context.error(place, { severity: "warning", rule: "SL-91", message: "`debug`", expected: "`debug-mode`" });
    return "debug-mode";
  },
  { enum: TOLERATE_WORDS },
);

const advisory: Reader<string> = literal(
  "SL-89",
  "`INTEL-SA-` and five digits",
  (text, place, context) => {
    if (/^INTEL-SA-[0-9]{5}$/.test(text)) return text;
    if (text === "*")
      return context.error(place, { rule: "SL-90", message: "`*` as an item of a list", expected: 'the text `"*"`, not a list' });
    return context.error(place, { rule: "SL-89", message: quote(text), expected: "`INTEL-SA-` and five digits" });
  },
  { type: "string", pattern: "^INTEL-SA-[0-9]{5}$" },
);

const advisoryList = list(orPlaceholder(advisory), { rule: "SL-89", expected: "a list of advisories" });

const advisories: Reader<readonly (string | Placeholder)[] | "*" | Placeholder> = orPlaceholder({
  read(place, context) {
    if (place.node.kind === "scalar" && place.node.text === "*") return "*";
    return advisoryList.read(place, context);
  },
  schema: () => ({ anyOf: [{ const: "*" }, advisoryList.schema()] }),
});

/** A list, or one placeholder that stands for it and is spliced in later. */
function listOrPlaceholder<T>(item: Reader<T>, rule: string, expected: string, nonEmpty = false): Reader<readonly (T | Placeholder)[]> {
  const make = (single: boolean) =>
    list(orPlaceholder(item), { rule, expected, single, ...(nonEmpty ? { nonEmpty: { rule, expected: "at least one item" } } : {}) });
  const [plain, spliced] = [make(false), make(true)];
  return {
    read: (place, context) => {
      const isPlaceholder = place.node.kind === "scalar" && place.node.text.startsWith("$$SCONE:");
      return (isPlaceholder ? spliced : plain).read(place, context);
    },
    schema: spliced.schema,
  };
}

const certificatePem: Reader<string> = literal("SL-88", "a PEM certificate", (text, place, context) => {
  const blocks = parsePem(text);
  if (blocks === undefined || blocks.length !== 1 || blocks[0]?.label !== "CERTIFICATE") {
    return context.error(place, { rule: "SL-88", message: "not one PEM certificate", expected: "PEM certificates as a list" });
  }
  return encodePem("CERTIFICATE", blocks[0].der);
});

const attestUrl: Reader<string> = literal("SL-88", "an attestation service address", (text, place, context) => {
  if (/^https:\/\/[A-Za-z0-9-]{1,63}\.[A-Za-z0-9-]{1,63}\.attest\.azure\.net\/?$/.test(text)) return text.replace(/\/$/, "");
  return context.error(place, { rule: "SL-88", message: quote(text), expected: "`https://<tenant>.<region>.attest.azure.net`" });
});

const platformFields = {
  mode: { reader: orPlaceholder(oneOf("SL-88", ["hardware", "none", "maa"])), doc: "How programs are attested.", since: 1 },
  tolerate: { reader: listOrPlaceholder(tolerateWord, "SL-91", "a list"), doc: "Weaknesses of the platform that are accepted.", since: 1 },
  ignore_advisories: { reader: advisories, doc: 'Advisories that are ignored, or `"*"`.', since: 1 },
  exceptions: {
    reader: platformExceptions,
    doc: "Extension: weaknesses and advisories that are accepted until a day, each with its reason.",
  },
  must_be_sgx_local: { reader: orPlaceholder(boolean), doc: "Only programs on the machine of the CAS.", since: 11 },
  one_time_password_shared_secret: { reader: otpSecret, doc: "Second factor for all services (RFC 6238).", since: 8, sensitive: true },
  url: { reader: orPlaceholder(attestUrl), doc: "Address of the external attestation service.", since: 7 },
  certificates: {
    reader: list(orPlaceholder(certificatePem), { rule: "SL-88", expected: "a PEM certificate or a list of them", single: true }),
    doc: "Trust anchors of the external attestation service.",
    since: 7,
  },
  min_rsa_signing_key_size: { reader: orPlaceholder(integer("SL-88", 0, 65_536)), doc: "No effect any more.", since: 7 },
  trusted_scone_qe_pubkeys: { reader: listOrPlaceholder(hex(32), "SL-88", "a list"), doc: "No effect any more.", since: 1 },
  evidence: {
    reader: listOrPlaceholder(oneOf("SL-86", EVIDENCE_KINDS), "SL-86", "a list of evidence kinds", true),
    doc: "Kinds of evidence that are accepted.",
  },
  services_may_relax: { reader: orPlaceholder(boolean), doc: "A service's own section may ask for less than this one." },
} as const;

/** A service's own section that names no evidence accepts what its session does. */
const platformRulesWith = (defaultEvidence: PlatformRules["evidence"]): Reader<PlatformRules> =>
  mapping(platformFields, { rule: "SL-88", expected: "a mapping with `mode`, `tolerate`, …" }, (raw, place, context) => {
    const rules: PlatformRules = {
      mode: raw.mode ?? "hardware",
      tolerate: unique(raw.tolerate ?? []),
      ignoreAdvisories: raw.ignore_advisories ?? [],
      exceptions: raw.exceptions ?? [],
      mustBeSgxLocal: raw.must_be_sgx_local ?? false,
      oneTimePasswordSecret: raw.one_time_password_shared_secret,
      url: raw.url,
      certificates: raw.certificates ?? [],
      minRsaSigningKeySize: raw.min_rsa_signing_key_size ?? DEFAULT_MIN_RSA_BITS,
      trustedQeKeys: raw.trusted_scone_qe_pubkeys ?? [],
      evidence: raw.evidence ?? defaultEvidence,
      servicesMayRelax: raw.services_may_relax ?? false,
    };
    if (!checkModes(rules, raw.tolerate ?? [], place, context)) return undefined;
    return rules;
  });

function unique<T>(items: readonly T[]): readonly T[] {
  return items.filter((item, index) => typeof item !== "string" || items.indexOf(item) === index);
}

function checkModes(rules: PlatformRules, tolerate: readonly unknown[], place: Place, context: Context): boolean {
  const has = (key: string) => place.node.kind === "map" && place.node.entries.has(key);
  const { mode } = rules;
  const errorsBefore = context.reporter.errorCount;
  const mayHold = (word: Tolerable) => tolerate.some((item) => item === word || typeof item === "object");
  tolerate.forEach((item, index) => {
    if (typeof item !== "string" || tolerate.indexOf(item) === index) return;
    const at = child(child(place, "tolerate"), index);
    context.error(at, { severity: "warning", rule: "SL-91", message: `\`${item}\` is repeated`, expected: "each value once" });
  });
  if (mode === "maa") {
    if (!mayHold("maa-managed-tcb")) {
      const issue = {
        rule: "SL-88",
        message: "`maa-managed-tcb` is not tolerated",
        expected: "it in `tolerate`, required with mode `maa`",
      };
      if (has("tolerate")) context.errorAtKey(place, "tolerate", issue);
      else context.errorAtKey(place, "mode", issue);
    }
    if (rules.url === undefined)
      context.errorAtKey(place, "mode", { rule: "SL-88", message: "`url` is missing", expected: "`url` with mode `maa`" });
  } else if (typeof mode === "string") {
    for (const key of ["url", "certificates"]) {
      if (has(key)) context.errorAtKey(place, key, { rule: "SL-88", message: `\`${key}\` with mode \`${mode}\``, expected: "mode `maa`" });
    }
  }
  if (mode === "none") {
    const message = "no program is authenticated: whoever reaches the CAS gets the configuration";
    context.error(child(place, "mode"), { severity: "warning", rule: "SL-88", message, expected: "`hardware`" });
  }
  if (rules.mustBeSgxLocal === true) {
    const at = (message: string, expected: string) => context.errorAtKey(place, "must_be_sgx_local", { rule: "SL-92", message, expected });
    if (!mayHold("local-attestation-trust-cas-tcb")) at("needs `local-attestation-trust-cas-tcb` in `tolerate`", "it in `tolerate`");
    else if (mode === "none" || mode === "maa") at(`\`must_be_sgx_local\` with mode \`${mode}\``, "mode `hardware`");
  }
  warnOfPlatforms(rules, place, context, mayHold("debug-mode"));
  return context.reporter.errorCount === errorsBefore;
}

function warnOfPlatforms(rules: PlatformRules, place: Place, context: Context, toleratesDebug: boolean): void {
  const warnAt = (key: string, rule: string, message: string, expected: string) =>
    context.error(child(place, key), { severity: "warning", rule, message, expected });
  if (rules.ignoreAdvisories === "*" && !toleratesDebug) {
    warnAt("ignore_advisories", "SL-90", "`*` without `debug-mode` hides future advisories", "a list, e.g. `[INTEL-SA-00161]`");
  }
  for (const key of ["min_rsa_signing_key_size", "trusted_scone_qe_pubkeys"]) {
    if (place.node.kind !== "map" || !place.node.entries.has(key)) continue;
    context.errorAtKey(place, key, {
      severity: "warning",
      rule: "SL-88",
      message: `\`${key}\` has no effect any more`,
      expected: "the key left out",
    });
  }
  rules.evidence.forEach((kind, index) => {
    if (kind !== "simulated") return;
    const message = "simulated evidence proves nothing about hardware";
    context.error(child(child(place, "evidence"), index), {
      severity: "warning",
      rule: "SL-86",
      message,
      expected: "a real kind outside development",
    });
  });
}

const token: Reader<string> = literal("SL-95", "a non-empty token", (text, place, context) => {
  if (text === "") return context.error(place, { rule: "SL-95", message: "empty", expected: "a non-empty token" });
  if ([...text].length < MIN_TOKEN_CHARACTERS) {
    const message = `a token of ${[...text].length} characters`;
    context.error(place, { severity: "warning", rule: "SL-95", message, expected: `at least ${MIN_TOKEN_CHARACTERS} characters` });
  }
  return text;
});

export const DEFAULT_PLATFORM_RULES: PlatformRules<never> = {
  mode: "hardware",
  tolerate: [],
  ignoreAdvisories: [],
  exceptions: [],
  mustBeSgxLocal: false,
  oneTimePasswordSecret: undefined,
  url: undefined,
  certificates: [],
  minRsaSigningKeySize: DEFAULT_MIN_RSA_BITS,
  trustedQeKeys: [],
  evidence: DEFAULT_EVIDENCE_KINDS,
  servicesMayRelax: false,
};

export const DEFAULT_SECURITY: Security<never> = {
  singletonEnclaves: false,
  serviceAccessToken: undefined,
  attestation: DEFAULT_PLATFORM_RULES,
};

const securityWith = (attestation: Reader<PlatformRules>, none: PlatformRules): Reader<Security> =>
  mapping(
    {
      singleton_enclaves: { reader: orPlaceholder(boolean), doc: "Each instance is attested once only.", since: 9 },
      service_access_token: { reader: orPlaceholder(token), doc: "Shared token that both sides prove to hold.", since: 9, sensitive: true },
      attestation: { reader: orPlaceholder(attestation), doc: "What is asked of the platform.", since: 1 },
    } as const,
    { rule: "SL-88", expected: "a mapping with `attestation`, …" },
    (raw) => ({
      singletonEnclaves: raw.singleton_enclaves ?? false,
      serviceAccessToken: raw.service_access_token,
      attestation: raw.attestation ?? none,
    }),
  );

export const security = securityWith(platformRulesWith(DEFAULT_EVIDENCE_KINDS), DEFAULT_PLATFORM_RULES);
/** Inside a service: an empty list of evidence kinds stands for those of the session. */
export const serviceSecurity = securityWith(platformRulesWith([]), { ...DEFAULT_PLATFORM_RULES, evidence: [] });
