import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { collateralTools, gatherCollateral, readEvidenceOperands } from "./collateral-input.ts";
import { documentLine, statusRows } from "./document-lines.ts";

/** `collateral fetch EVIDENCE...`: fills the cache and lists what is there for these platforms. */
export async function collateralFetch(options: ParsedOptions, shell: Shell): Promise<number> {
  const tools = await collateralTools(options, shell);
  for (const evidence of await readEvidenceOperands(options, shell)) await gatherCollateral(evidence, tools);
  const rows = statusRows(tools.provider.status());
  if (hasFlag(options, "json")) shell.out(JSON.stringify({ documents: rows }));
  else for (const row of rows) shell.out(documentLine(row));
  return ExitCode.ok;
}
