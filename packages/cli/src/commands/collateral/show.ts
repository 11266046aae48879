import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { type CollateralDocument, CollateralError, DiskCache, readBundleFile, requestKey, verifyDocument } from "@vouchsafe/collateral";
import { hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { type CollateralTools, collateralTrust } from "./collateral-input.ts";
import { type DocumentRow, documentLine, documentRow } from "./document-lines.ts";

/** `collateral show FILE|DIR`: verifies each document by itself. Exits 3 when one is not acceptable. */
export async function collateralShow(options: ParsedOptions, shell: Shell): Promise<number> {
  const trust = await collateralTrust(options, shell);
  const place = resolve(shell.directory, options.operands[0] ?? "");
  const isDirectory = (await stat(place).catch(() => undefined))?.isDirectory() === true;
  const documents = isDirectory ? await (await DiskCache.open(place)).list() : (await readBundleFile(place)).documents;
  const rows = documents.map((document) => judged(document, trust)).toSorted((a, b) => (a.document < b.document ? -1 : 1));
  if (hasFlag(options, "json")) shell.out(JSON.stringify({ documents: rows }));
  else for (const row of rows) shell.out(documentLine(row));
  return rows.every(({ problem }) => problem === null) ? ExitCode.ok : ExitCode.refused;
}

function judged(document: CollateralDocument, trust: Pick<CollateralTools, "anchors" | "now">): DocumentRow {
  try {
    return documentRow(requestKey(document.request), verifyDocument(document, trust), undefined);
  } catch (error) {
    if (!(error instanceof CollateralError)) throw error;
    return documentRow(requestKey(document.request), undefined, error.message);
  }
}
