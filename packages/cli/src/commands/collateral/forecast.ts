import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { refusalReasons } from "@vouchsafe/cas";
import { describeForecast, type ForecastOutcome, forecastFromProvider } from "@vouchsafe/collateral";
import { readSessionFile, resolveAttestation, resolveSecurity, type Session } from "@vouchsafe/policy";
import { withCasSession } from "../../cas-config/cas-session.ts";
import { CliError } from "../../cli-error.ts";
import { givenValue, givenValues, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { collateralTools, platformOf, readEvidenceOperands } from "./collateral-input.ts";
import { forecastLines, type ServiceRefusal, type ShownForecast } from "./forecast-lines.ts";

/** `collateral forecast [EVIDENCE...]`: for the platforms of evidence files, or for every platform that the CAS has seen. */
export async function collateralForecast(options: ParsedOptions, shell: Shell): Promise<number> {
  const limit = failLimit(options);
  if (options.operands.length > 0) return show(await forecastFiles(options, shell), limit, options, shell);
  return withCasSession(options, shell, "the CAS gave no forecast", async ({ client, retry }) => {
    const { platforms } = await retry(() => client.collateralForecast());
    return show(platforms, limit, options, shell);
  });
}

async function forecastFiles(options: ParsedOptions, shell: Shell): Promise<readonly ShownForecast[]> {
  const tools = await collateralTools(options, shell);
  const policies = await Promise.all(givenValues(options, "policy").map((file) => readPolicy(resolve(shell.directory, file))));
  const rows: ShownForecast[] = [];
  for (const evidence of await readEvidenceOperands(options, shell)) {
    const outcome = await forecastFromProvider(await platformOf(evidence, tools), { ...tools, update: "standard" });
    rows.push({ ...describeForecast(outcome), refusedBy: policies.flatMap((session) => refusals(session, outcome)) });
  }
  return rows;
}

function show(rows: readonly ShownForecast[], limit: number | undefined, options: ParsedOptions, shell: Shell): number {
  if (hasFlag(options, "json")) shell.out(JSON.stringify({ platforms: rows }));
  else if (rows.length === 0) shell.note("no platform with hardware evidence has been seen yet");
  else for (const line of rows.flatMap(forecastLines)) shell.out(line);
  const isFailing = limit !== undefined && rows.some(({ daysLeft }) => daysLeft === null || daysLeft <= limit);
  return isFailing ? ExitCode.refused : ExitCode.ok;
}

function failLimit(options: ParsedOptions): number | undefined {
  const text = givenValue(options, "fail-within");
  if (text === undefined || /^\d{1,4}$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new CliError("E-USAGE", `--fail-within ${JSON.stringify(text)} is no number of days`, {
    isUsage: true,
    remedy: "For example --fail-within 30.",
  });
}

async function readPolicy(file: string): Promise<Session> {
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new CliError("E-FILE-MISSING", `${file} cannot be read`, { cause });
  });
  const { session, diagnostics } = readSessionFile(text, { file });
  if (session !== undefined) return session;
  throw new CliError("E-POLICY", `${file}: ${diagnostics[0]?.message ?? "not a session"}`, {
    remedy: `See vouchsafe session check ${file}.`,
  });
}

/** Services of a policy that would refuse the platform under the newest collateral, by the appraisal of the CAS. */
function refusals(session: Session, outcome: ForecastOutcome): readonly ServiceRefusal[] {
  if ("problem" in outcome) return [];
  return session.services.flatMap((service) => {
    const name = `${session.name}/${service.name}`;
    const security = resolveSecurity(session, service, () => undefined);
    if (security.kind === "unresolved")
      return [{ service: name, reasons: [`its security section depends on secrets: ${security.reason}`] }];
    const variants = resolveAttestation(service, () => undefined);
    const reasons = refusalReasons(outcome.forecast, { security: security.value, variants });
    return reasons.length === 0 ? [] : [{ service: name, reasons }];
  });
}
