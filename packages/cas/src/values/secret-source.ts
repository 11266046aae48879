import {
  type JsonValue,
  type PlaceholderMeaning,
  type PlaceholderValues,
  PolicyError,
  renderFile,
  renderText,
  type SectionLookup,
  scanPlaceholders,
} from "@vouchsafe/policy";
import { formatSecret, SecretError, systemRandomness } from "@vouchsafe/secrets";
import type { ResolvedSecrets } from "./resolve-secrets.ts";

/** Where the values of placeholders come from. */
export interface SecretSource extends ResolvedSecrets {
  /** Values made for this delivery: tokens, and `self::…` (SL-110, SL-111). */
  readonly made: ReadonlyMap<string, string>;
}

/** Why a value cannot be had: names the secret, never its value. */
export class ValueError extends Error {
  constructor(message: string) {
    super(message);
    this.name = new.target.name;
  }
}

/** Argument or variable with its placeholders replaced. Throws ValueError. */
export function fillText(text: string, source: SecretSource, where: string): string {
  return explain(where, () => renderText(text, placeholderValues(source)));
}

/** Injection file with its placeholders replaced. Throws ValueError. */
export function fillFile(template: string, source: SecretSource, where: string): Uint8Array {
  return explain(where, () => renderFile(template, placeholderValues(source)));
}

/** One secret in one format. Throws ValueError. */
export function secretValue({ secret, format }: PlaceholderMeaning, source: SecretSource): string | Uint8Array {
  const made = source.made.get(secret);
  if (made !== undefined) return made;
  const stored = source.values.get(secret);
  if (stored === undefined && source.empty?.has(secret)) return "";
  if (stored === undefined) throw new ValueError(`secret ${secret}: ${source.problems.get(secret) ?? "it has no value"}`);
  try {
    const value = formatSecret(stored, format, { name: secret, random: systemRandomness });
    return value.kind === "text" ? value.text : value.bytes;
  } catch (error) {
    if (error instanceof SecretError) throw new ValueError(error.message);
    throw error;
  }
}

/** What a placeholder in a section (attestation, security, access policy) stands for; undefined when it cannot be had. */
export function sectionLookup(source: SecretSource): SectionLookup {
  return (secret, text): JsonValue | undefined => {
    const stored = source.values.get(secret);
    if (stored?.kind === "config-fragment") return stored.value;
    const [placeholder] = scanPlaceholders(text);
    if (placeholder?.kind !== "placeholder") return undefined;
    try {
      const value = secretValue({ secret, format: placeholder.format }, source);
      return typeof value === "string" ? value : value.toHex();
    } catch (error) {
      if (error instanceof ValueError) return undefined;
      throw error;
    }
  };
}

function placeholderValues(source: SecretSource): PlaceholderValues {
  return {
    exists: (secret) =>
      source.made.has(secret) || source.values.has(secret) || source.empty?.has(secret) === true || source.problems.has(secret),
    value: (meaning) => secretValue(meaning, source),
  };
}

function explain<T>(where: string, render: () => T): T {
  try {
    return render();
  } catch (error) {
    if (error instanceof ValueError || error instanceof PolicyError) throw new ValueError(`${where}: ${error.message}`);
    throw error;
  }
}
