import { type Claims, describeLag, EvidenceError, verifyEvidence } from "@vouchsafe/attestation";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { linesOfCheck, verdictLine } from "./check-lines.ts";
import { describeRefusal, linesOfRefusal } from "./describe-refusal.ts";
import { readEvidenceInput } from "./evidence-input.ts";
import { linesOf } from "./inspect.ts";
import { matchLines, matchReferences, readReferences } from "./match-references.ts";
import { appraiseByPolicy, readServicePolicy } from "./policy-appraisal.ts";

/** `evidence verify FILE`: says what the evidence proves. Exits 3 when it proves nothing; whether a policy accepts it is another question, which `--policy` asks too. */
export async function verifyFile(options: ParsedOptions, shell: Shell): Promise<number> {
  const policy = await readServicePolicy(options, shell);
  try {
    const { evidence, context } = await readEvidenceInput(options, shell);
    const claims = verifyEvidence(evidence, context);
    const references = await readReferences(options, shell);
    const match = references === undefined ? undefined : matchReferences(claims, references);
    const result = policy === undefined ? undefined : appraiseByPolicy(claims, policy, { userData: undefined, now: context.now });
    if (hasFlag(options, "json")) {
      const compared = { ...(match === undefined ? {} : { references: match }), ...(result === undefined ? {} : { policy: result }) };
      shell.out(JSON.stringify({ verified: true, claims: describeClaims(claims), ...compared }));
    } else {
      shell.out(`verified: ${claims.kind} evidence${claims.debug ? ", DEBUG" : ""}, at ${context.now.toISOString()}`);
      for (const line of linesOf(describeClaims(claims), "")) shell.out(line);
      if (match !== undefined) for (const line of matchLines(match)) shell.out(line);
      if (result !== undefined)
        for (const line of [...result.checks.flatMap((check) => linesOfCheck(check)), verdictLine(result.accepted, result.checks)])
          shell.out(line);
    }
    warn(claims, shell);
    const isMatched = match === undefined || match.matched.length > 0;
    return isMatched && result?.accepted !== false ? ExitCode.ok : ExitCode.refused;
  } catch (error) {
    if (!(error instanceof EvidenceError)) throw error;
    if (hasFlag(options, "json")) shell.out(JSON.stringify({ verified: false, ...describeRefusal(error) }));
    else {
      shell.out(`not verified: ${error.code}, ${error.reason}`);
      for (const line of linesOfRefusal(error)) shell.out(line);
      if (error.remedy !== undefined) shell.note(`help: ${error.remedy}`);
    }
    return ExitCode.refused;
  }
}

/** Evidence of these kinds, or in these states, must never pass unnoticed. */
function warn({ kind, debug, tcb }: Claims, shell: Shell): void {
  if (kind === "simulated") shell.note("warning: simulated evidence proves nothing about hardware");
  if (kind === "node") shell.note("warning: node evidence proves nothing about hardware; it is worth what the agent's machine is worth");
  if (debug) shell.note("warning: debug mode: whoever owns the machine can read and change everything inside");
  if (tcb.status !== "UpToDate")
    shell.note(`warning: the platform's TCB status is ${tcb.status}${tcb.advisories.length > 0 ? `: ${tcb.advisories.join(", ")}` : ""}`);
  const lag = describeLag(tcb);
  if (lag !== undefined) shell.note(`  to be brought up: ${lag}`);
}

export function describeClaims(claims: Claims) {
  const { userData, launchMeasurement, tcb, platform: _, workload, signer, ...rest } = claims; // the platform's facts are among the details
  return {
    ...rest,
    userData: userData.toHex(),
    launchMeasurement: launchMeasurement.toHex(),
    tcb: {
      status: tcb.status,
      advisories: tcb.advisories,
      ...(tcb.date === undefined ? {} : { date: tcb.date.toISOString() }),
      ...(tcb.shortfalls === undefined ? {} : { shortfalls: tcb.shortfalls.map((part) => ({ ...part })) }),
    },
    ...(workload === undefined ? {} : { workload: { ...workload } }),
    ...(signer === undefined ? {} : { signer: { ...signer } }),
  };
}
