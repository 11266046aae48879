import {
  appraise,
  type Claims,
  type ClaimValue,
  EvidenceError,
  earSubmodule,
  type ReferenceValues,
  type TcbStatus,
  verifyEvidence,
} from "@vouchsafe/attestation";
import { CliError } from "../../cli-error.ts";
import { givenValue, givenValues, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { linesOfCheck, verdictLine } from "./check-lines.ts";
import { describeRefusal, linesOfRefusal } from "./describe-refusal.ts";
import { readEvidenceInput } from "./evidence-input.ts";
import { appraiseByPolicy, type LocatedCheck, readServicePolicy, type ServicePolicy } from "./policy-appraisal.ts";
import { REFERENCE_OPTIONS } from "./verify-options.ts";

/** `evidence explain FILE`: verifies, compares with what is expected, and says of every check what was expected, what was found and what would make it pass. */
export async function explain(options: ParsedOptions, shell: Shell): Promise<number> {
  const policy = await readServicePolicy(options, shell);
  assertOneExpectation(policy, options);
  const { evidence, context } = await readEvidenceInput(options, shell);
  const isJson = hasFlag(options, "json");
  let claims: Claims;
  try {
    claims = verifyEvidence(evidence, context);
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    if (isJson) shell.out(JSON.stringify({ accepted: false, verification: describeRefusal(error), checks: [] }));
    else {
      shell.out(`refused: the evidence proves nothing (${error.code}, ${error.reason})`);
      for (const line of linesOfRefusal(error)) shell.out(line);
      if (error.remedy !== undefined) shell.out(`  to pass: ${error.remedy}`);
    }
    return ExitCode.refused;
  }
  const { accepted, checks } = judge(claims, policy, options, context.now);
  const optionsFor = (check: LocatedCheck) => (policy === undefined && check.outcome === "failed" ? findOptions(check, claims) : undefined);
  if (isJson) {
    const described = checks.map((check) => ({ ...check, ...(optionsFor(check) === undefined ? {} : { options: optionsFor(check) }) }));
    const policyId = policy === undefined ? "command line" : `${policy.session.name}/${policy.service.name}`;
    shell.out(JSON.stringify({ accepted, checks: described, ear: earSubmodule(claims, { accepted, checks }, policyId) }));
  } else {
    shell.out(`verified: ${claims.kind} evidence, signatures, certificates and dates hold at ${context.now.toISOString()}`);
    for (const line of checks.flatMap((check) => linesOfCheck(check, optionsFor(check)))) shell.out(line);
    shell.out(verdictLine(accepted, checks));
  }
  return accepted ? ExitCode.ok : ExitCode.refused;
}

function judge(
  claims: Claims,
  policy: ServicePolicy | undefined,
  options: ParsedOptions,
  now: Date,
): { readonly accepted: boolean; readonly checks: readonly LocatedCheck[] } {
  if (policy === undefined) return appraise(claims, readReferences(options));
  const userData = givenValue(options, "user-data");
  return appraiseByPolicy(claims, policy, { userData: userData === undefined ? undefined : parseHex(userData), now });
}

/** A policy says all that is expected but the user data, which is new on each connection. */
function assertOneExpectation(policy: ServicePolicy | undefined, options: ParsedOptions): void {
  if (policy === undefined) return;
  const others = REFERENCE_OPTIONS.flatMap(({ long = "" }) => (long === "user-data" ? [] : [long]));
  const other = others.find((name) => givenValues(options, name).length > 0 || hasFlag(options, name));
  if (other === undefined) return;
  throw new CliError("E-USAGE", `--${other} beside --policy`, {
    isUsage: true,
    remedy: "Give a policy, or expectations one by one.",
  });
}

/** Options of this command that would accept what was found; undefined where none may (a revoked platform, other user data). */
function findOptions({ name }: LocatedCheck, { kind, codeIdentity, platformId, tcb, details }: Claims): string | undefined {
  switch (name) {
    case "evidence kind":
      return `--accept ${kind}`;
    case "code identity":
      return `--code-identity ${codeIdentity}`;
    case "platform":
      return `--platform ${platformId}`;
    case "debug":
      return "--allow-debug";
    case "TCB status":
      return tcb.status === "Revoked" || tcb.status === "Unknown" ? undefined : `--tolerate ${tcb.status}`;
    case "advisories":
      return tcb.advisories.map((advisory) => `--ignore-advisory ${advisory}`).join(" ");
    default:
      return Object.hasOwn(details, name) ? `--fact ${name}=${String(details[name])}` : undefined;
  }
}

/** Expectations from the command line. What is not given is not expected, except that some code must be: nothing admits nothing. */
function readReferences(options: ParsedOptions): ReferenceValues {
  const userData = givenValue(options, "user-data");
  const list = (name: string, option: string) =>
    givenValues(options, option).length === 0 ? {} : { [name]: givenValues(options, option) };
  return {
    kinds: givenValues(options, "accept") as ReferenceValues["kinds"], // the words of the option are the kinds
    userData: userData === undefined ? "any" : parseHex(userData),
    ...list("codeIdentities", "code-identity"),
    ...list("launchMeasurements", "launch-measurement"),
    ...list("platforms", "platform"),
    isDebugAccepted: hasFlag(options, "allow-debug"),
    toleratedTcbStatuses: givenValues(options, "tolerate") as readonly TcbStatus[], // the words of the option are the statuses
    ignoredAdvisories: givenValues(options, "ignore-advisory"),
    details: readFacts(givenValues(options, "fact")),
  };
}

/** `NAME=VALUE`, several for one name mean one of them. Numbers and true or false are taken as such. */
function readFacts(pairs: readonly string[]): Readonly<Record<string, readonly ClaimValue[]>> {
  const facts = new Map<string, ClaimValue[]>();
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 1) throw new CliError("E-USAGE", `--fact ${pair} is not NAME=VALUE`, { isUsage: true, remedy: "For example --fact vmpl=0." });
    const text = pair.slice(at + 1);
    const value = /^(?:0|[1-9][0-9]{0,14})$/.test(text) ? Number(text) : text === "true" || text === "false" ? text === "true" : text;
    facts.set(pair.slice(0, at), [...(facts.get(pair.slice(0, at)) ?? []), value]);
  }
  return Object.fromEntries(facts);
}

function parseHex(text: string): Uint8Array {
  if (/^(?:[0-9a-fA-F]{2})*$/.test(text)) return Uint8Array.fromHex(text);
  throw new CliError("E-USAGE", `--user-data ${JSON.stringify(text)} is not hex`, {
    isUsage: true,
    remedy: "Give the bytes as pairs of hexadecimal digits.",
  });
}
