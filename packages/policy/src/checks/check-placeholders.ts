import type { Context, Issue, PlaceholderSite } from "../reader.ts";
import { type PlaceholderMeaning, placeholderMeaning } from "../render-placeholders.ts";
import { formatNames, formatOfAnyKind, SECRET_FORMATS } from "../secret-formats.ts";
import { IDENTITY_KINDS, scopeOf } from "../secret-scope.ts";
import type { Secret, SecretKind, Session } from "../session.ts";
import { didYouMean } from "../spelling.ts";
import { hasPrivateKey } from "./secret-facts.ts";

/** Values of the service a token is made for (SL-111). */
const SELF_NAMES = ["self::software_identity", "self::session", "self::session_hash", "self::service", "self::signer", "self::evidence"];
const KEY_BYTES = 32;
const MIN_OTP_BYTES = 16;

/** SL-114…SL-122: every placeholder names a secret and a format that may stand where it stands. */
export function checkPlaceholders(session: Session, context: Context): void {
  const secrets = new Map(session.secrets.map((secret) => [secret.name, secret]));
  for (const site of context.sites) checkSite(site, secrets, context);
}

/** What is known of a secret that is not defined here: which ones are. */
export function undefinedSecret(name: string, secrets: ReadonlyMap<string, Secret>, rule: string): Issue {
  const names = [...secrets.keys()];
  const shown = names.length === 0 ? "none defined" : names.slice(0, 12).join(", ");
  return { rule, message: `secret \`${name}\` is not defined`, expected: `one of \`secrets\` (${shown})`, hint: didYouMean(name, names) };
}

function checkSite(site: PlaceholderSite, secrets: ReadonlyMap<string, Secret>, context: Context): undefined {
  const { placeholder } = site;
  const report = (issue: Issue): undefined => context.errorInText(site.place, placeholder.offset, placeholder.text, issue);
  if (placeholder.name.startsWith("self::")) {
    const issue = selfProblem(site);
    return issue && report(issue);
  }
  const meaning = placeholderMeaning(placeholder, (name) => secrets.has(name));
  const secret = meaning && secrets.get(meaning.secret);
  if (meaning === undefined || secret === undefined) return report(undefinedSecret(placeholder.name, secrets, "SL-120"));
  if (meaning.format?.startsWith(".") === true) {
    const message = `the suffix \`${meaning.format}\` is deprecated`;
    report({ severity: "warning", rule: "SL-116", message, expected: `\`$$SCONE::${meaning.secret}${replacementOf(meaning.format)}$$\`` });
  }
  const issue = problemOf(site, meaning, secret) ?? scopeProblem(site, secret, secrets);
  if (issue !== undefined) return report(issue);
  const since = secret.kind && SECRET_FORMATS[secret.kind].get(meaning.format ?? "")?.since;
  if (since !== undefined && since > context.patch) context.needs(since, `format \`${meaning.format ?? secret.kind}\``, site.place);
  return undefined;
}

/** Sections and keys are read before it is known which instance asks (extension `scope`). */
function scopeProblem({ target }: PlaceholderSite, secret: Secret, secrets: ReadonlyMap<string, Secret>): Issue | undefined {
  const scope = scopeOf(secret, secrets);
  if (scope === "session" || target === "text" || target === "file" || target === "payload") return undefined;
  return {
    rule: "SL-104",
    message: `secret \`${secret.name}\` has another value for each ${scope}`,
    expected: "a secret with `scope: session`",
  };
}

/** `self::…`: facts in payloads of tokens (SL-111), the predefined identity in texts and files (extension). */
function selfProblem({ placeholder: { name, format }, target }: PlaceholderSite): Issue | undefined {
  if (target === "payload" && (SELF_NAMES.includes(name) || name === "self::instance_id") && format === undefined) return undefined;
  const kind = IDENTITY_KINDS.get(name);
  const isDelivered = target === "text" || target === "file";
  if (!isDelivered || kind === undefined) {
    const names = target === "payload" ? [...SELF_NAMES, "self::instance_id"] : isDelivered ? [...IDENTITY_KINDS.keys()] : [];
    const expected = names.length === 0 ? "the name of a secret" : names.map((known) => `\`${known}\``).join(", ");
    return { rule: "SL-111", message: `\`${name}\``, expected };
  }
  if (kind === "text") return format === undefined ? undefined : { rule: "SL-115", message: `format \`${format}\``, expected: "no format" };
  const wantsKey = format?.startsWith("privatekey") === true || format === "pkcs12-with-private-key";
  if (name === "self::ca" && wantsKey)
    return { rule: "SL-122", message: "the private key of the session's CA stays in the CAS", expected: "`:crt` or no format" };
  const known = SECRET_FORMATS[kind].get(format ?? "");
  if (known === undefined || format?.startsWith("previous") === true)
    return { rule: "SL-115", message: `format \`${format ?? ""}\` does not exist for \`${name}\``, expected: formatNames(kind).join(", ") };
  if (known.output === "bytes" && target === "text")
    return { rule: "SL-119", message: "raw bytes in an argument or a variable", expected: formatNames(kind, "text").join(", ") };
  return undefined;
}

function replacementOf(suffix: string): string {
  if (suffix === ".key") return ":privatekey";
  return suffix === ".chain" ? ":chain (without the certificate itself)" : suffix.replace(".", ":");
}

function problemOf({ target, place }: PlaceholderSite, meaning: PlaceholderMeaning, secret: Secret): Issue | undefined {
  switch (target) {
    case "key":
      return keyProblem(secret);
    case "otp":
      return otpProblem(meaning, secret);
    case "token":
      return place.key === "decryption_key" ? keyProblem(secret, "SL-151") : kindProblem(secret, ["aad-token"], "SL-151");
    case "section":
      return sectionProblem(meaning, secret);
    case "text":
    case "payload":
    case "file":
      return formatProblem(meaning, secret, target === "file");
    default:
      return target satisfies never;
  }
}

function kindProblem(secret: Secret, kinds: readonly SecretKind[], rule: string): Issue | undefined {
  if (secret.kind === undefined || kinds.includes(secret.kind)) return undefined;
  return { rule, message: `secret \`${secret.name}\` is \`${secret.kind}\``, expected: kinds.map((kind) => `\`${kind}\``).join(", ") };
}

/** SL-65: a binary secret of 32 bytes. */
function keyProblem(secret: Secret, rule = "SL-65"): Issue | undefined {
  const wrongKind = kindProblem(secret, ["binary"], rule);
  if (wrongKind !== undefined) return { ...wrongKind, expected: `a binary secret with \`size: ${KEY_BYTES}\`` };
  const size = binarySize(secret);
  if (size === undefined || size === KEY_BYTES) return undefined;
  return { rule, message: `secret \`${secret.name}\` has ${size} bytes`, expected: `a binary secret with \`size: ${KEY_BYTES}\`` };
}

function binarySize(secret: Secret): number | undefined {
  if (secret.kind !== "binary") return undefined;
  if (secret.origin === "generated") return secret.size;
  return secret.origin === "explicit" ? secret.value.length / 2 : undefined;
}

/** SL-96. */
function otpProblem({ format }: PlaceholderMeaning, secret: Secret): Issue | undefined {
  const expected = `an \`ascii\` secret that holds base32, or a \`binary\` one of at least ${MIN_OTP_BYTES} bytes with \`:base32nopad\``;
  const wrongKind = kindProblem(secret, ["ascii", "binary"], "SL-96");
  if (wrongKind !== undefined) return { ...wrongKind, expected };
  if (secret.kind === "binary" && format !== "base32nopad" && format !== "base32")
    return { rule: "SL-96", message: `format \`${format ?? "none"}\``, expected };
  const size = binarySize(secret);
  if (size !== undefined && size < MIN_OTP_BYTES) return { rule: "SL-96", message: `${size * 8} bits`, expected };
  if (secret.kind === "ascii" && secret.origin === "generated")
    return { rule: "SL-96", message: "a generated `ascii` secret is no base32", expected };
  return undefined;
}

/** SL-114: fragments, texts, and certificates where access is decided. */
function sectionProblem(meaning: PlaceholderMeaning, secret: Secret): Issue | undefined {
  const { kind } = secret;
  if (kind === undefined || kind === "config-fragment") return undefined;
  const wrongKind = kindProblem(secret, ["ascii", "binary", "x509", "x509-ca"], "SL-114");
  if (wrongKind !== undefined)
    return { ...wrongKind, expected: "a `config-fragment`, an `ascii` secret, or a `binary` one in a text format" };
  return formatProblem(meaning, secret, false);
}

function formatProblem({ format }: PlaceholderMeaning, secret: Secret, bytesAllowed: boolean): Issue | undefined {
  const { kind } = secret;
  if (kind === undefined) return anyKindProblem(format ?? "", bytesAllowed);
  if (kind === "config-fragment") {
    return {
      rule: "SL-117",
      message: `\`${secret.name}\` is a \`config-fragment\``,
      expected: "it in `attestation`, `platforms`, `security` or `access_policy`",
    };
  }
  const known = SECRET_FORMATS[kind].get(format ?? "");
  if (known === undefined) {
    const names = formatNames(kind);
    if (format === undefined) return { rule: "SL-117", message: `\`${kind}\` has no default format`, expected: names.join(", ") };
    const message = `format \`${format.slice(0, 40)}\` does not exist for \`${kind}\``;
    return {
      rule: "SL-115",
      message,
      expected: names.length === 0 ? "no format" : names.join(", "),
      hint: didYouMean(
        format,
        names.map((name) => name.slice(2, -1)),
      ),
    };
  }
  if (known.output === "bytes" && !bytesAllowed) {
    return {
      rule: "SL-119",
      message: "raw bytes in an argument or a variable",
      expected: formatNames(kind, "text").join(", ") || "a file",
    };
  }
  if (format?.startsWith("previous") === true && secret.origin !== "imported" && !keepsPrevious(secret)) {
    return { rule: "SL-115", message: `\`${secret.name}\` keeps no previous value`, expected: "`rotate` with `keep: 1` or more" };
  }
  const wantsKey = format?.startsWith("privatekey") === true || format === ".key" || format === "pkcs12-with-private-key";
  if (wantsKey && !hasPrivateKey(secret)) {
    return {
      rule: "SL-122",
      message: `the private key of \`${secret.name}\` is not known`,
      expected: "`private_key` beside the certificate's `value`",
    };
  }
  return undefined;
}

const keepsPrevious = (secret: Secret): boolean => secret.origin === "generated" && "rotate" in secret && (secret.rotate?.keep ?? 0) > 0;

function anyKindProblem(format: string, bytesAllowed: boolean): Issue | undefined {
  const output = formatOfAnyKind(format);
  if (output === undefined)
    return {
      rule: "SL-115",
      message: `format \`${format.slice(0, 40)}\` does not exist`,
      expected: "a format of the imported secret's kind",
    };
  if (output === "bytes" && !bytesAllowed)
    return { rule: "SL-119", message: "raw bytes in an argument or a variable", expected: "a text format" };
  return undefined;
}
