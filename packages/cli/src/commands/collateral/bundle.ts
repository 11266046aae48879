import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { encodeBundle } from "@vouchsafe/collateral";
import { givenValue, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { collateralTools, gatherCollateral, readEvidenceOperands } from "./collateral-input.ts";

/** `collateral bundle EVIDENCE...`: one file with everything. Written beside and renamed: a reader sees the old bundle or the new one. */
export async function collateralBundle(options: ParsedOptions, shell: Shell): Promise<number> {
  const tools = await collateralTools(options, shell);
  for (const evidence of await readEvidenceOperands(options, shell)) await gatherCollateral(evidence, tools);
  const documents = tools.provider.status().flatMap(({ document }) => (document === undefined ? [] : [document]));
  const file = resolve(shell.directory, givenValue(options, "output") ?? "collateral.json");
  const fresh = `${file}.${randomUUID()}.new`;
  try {
    const handle = await open(fresh, "wx", 0o644);
    await handle.writeFile(encodeBundle({ createdAt: tools.now, documents }));
    await handle.sync();
    await handle.close();
    await rename(fresh, file);
  } finally {
    await rm(fresh, { force: true });
  }
  const [first] = documents.toSorted((a, b) => a.goodUntil.getTime() - b.goodUntil.getTime());
  shell.out(`${file}: ${documents.length} documents, the first ends on ${first?.goodUntil.toISOString() ?? "-"}`);
  return ExitCode.ok;
}
