import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { CliError } from "../cli-error.ts";

/** Plain objects of a chart, one file for each kind and name (`-o yaml`), rendered by Helm itself. */
export async function renderManifests(chart: string, release: string): Promise<ReadonlyMap<string, string>> {
  const output = await promisify(execFile)("helm", ["template", release, chart], { maxBuffer: 64 * 1024 * 1024 }).catch(
    (cause: unknown) => {
      throw new CliError("E-CHART", "the chart could not be rendered by helm", { cause, remedy: "-o yaml needs Helm 3 on the PATH." });
    },
  );
  const files = new Map<string, string>();
  for (const document of output.stdout.split(/^---$/m)) {
    const kind = /^kind: (\S+)/m.exec(document)?.[1];
    const name = /^ {2}name: "?([^"\s]+)"?/m.exec(document)?.[1];
    if (kind !== undefined && name !== undefined) files.set(`${kind.toLowerCase()}-${name}.yaml`, document.trimStart());
  }
  return files;
}
