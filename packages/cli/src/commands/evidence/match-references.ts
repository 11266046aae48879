import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { type Claims, type CorimReference, parseCorim } from "@vouchsafe/attestation";
import { CliError } from "../../cli-error.ts";
import { givenValues, type ParsedOptions } from "../../command-spec.ts";
import type { Shell } from "../../shell.ts";

/** Which reference values the claims reach, and what was compared. */
export interface ReferenceMatch {
  readonly matched: readonly string[];
  readonly compared: number;
  /** Measurements found in the evidence, hex by name. */
  readonly found: Readonly<Record<string, string>>;
}

/** Reference values of all `--reference` files; undefined when none was given. Throws EVIDENCE_MALFORMED, E-FILE-MISSING. */
export async function readReferences(options: ParsedOptions, shell: Shell): Promise<readonly CorimReference[] | undefined> {
  const files = givenValues(options, "reference");
  if (files.length === 0) return undefined;
  const corims = await Promise.all(
    files.map(async (file) => {
      const bytes = await readFile(resolve(shell.directory, file)).catch((cause: unknown) => {
        throw new CliError("E-FILE-MISSING", `${file} cannot be read`, { cause, remedy: "Name a CoRIM file that you may read." });
      });
      return parseCorim(Uint8Array.from(bytes));
    }),
  );
  return corims.flatMap(({ references }) => references);
}

/** Facts that are digests of what was measured; addresses and versions are not. */
const MEASUREMENT = /^(?:mrEnclave|mrTd|mrSeam|rtmr\d|pcr\d{1,2})$/;

/**
 * A reference value matches when one of its digests, or its raw value, is a measurement of the evidence, and its SVN, where it names one, is
 * reached. A value that names neither digest nor raw value says nothing about code and matches nothing.
 */
export function matchReferences(claims: Claims, references: readonly CorimReference[]): ReferenceMatch {
  const found = measurements(claims);
  const values = new Set(Object.values(found));
  const matched = references.filter((reference) => {
    const wanted = [
      ...reference.digests.map(({ value }) => value.toHex()),
      ...(reference.rawValue === undefined ? [] : [reference.rawValue.toHex()]),
    ];
    return wanted.some((value) => values.has(value)) && reachesSvn(claims, reference);
  });
  return { matched: matched.map(describe), compared: references.length, found };
}

function measurements({ codeIdentity, launchMeasurement, signer, details }: Claims): Readonly<Record<string, string>> {
  const facts = Object.entries(details).filter(([name, value]) => MEASUREMENT.test(name) && typeof value === "string");
  return {
    codeIdentity,
    launchMeasurement: launchMeasurement.toHex(),
    ...(signer === undefined ? {} : { mrSigner: signer.mrSigner }),
    ...Object.fromEntries(facts.map(([name, value]) => [name, String(value)])),
  };
}

/** Only SGX evidence names a security version of the program. */
function reachesSvn({ signer }: Claims, { svn, minSvn }: CorimReference): boolean {
  if (svn === undefined && minSvn === undefined) return true;
  if (signer === undefined) return false;
  return (svn === undefined || signer.isvSvn === svn) && (minSvn === undefined || signer.isvSvn >= minSvn);
}

const describe = ({ environment: { vendor, model, classId }, key }: CorimReference): string =>
  [vendor, model, classId, key].filter((part) => part !== undefined).join(" ") || "a reference value without a name";

export function matchLines({ matched, compared, found }: ReferenceMatch): readonly string[] {
  if (matched.length > 0) return matched.map((name) => `matches the reference value ${JSON.stringify(name)}`);
  return [`matches none of ${compared} reference values; found`, ...Object.entries(found).map(([name, value]) => `  ${name}: ${value}`)];
}
