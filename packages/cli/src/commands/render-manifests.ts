import { execFile } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { CliError } from "../cli-error.ts";

const OUTPUT_MAX_BYTES = 64 * 1024 * 1024;

/** Plain objects of a chart, one file for each kind and name (`-o yaml`), rendered by Helm itself. Throws E-CHART. */
export async function renderManifests(chart: ReadonlyMap<string, string>, release: string): Promise<ReadonlyMap<string, string>> {
  const directory = await mkdtemp(join(tmpdir(), "vouchsafe-chart-"));
  try {
    for (const [name, text] of chart) {
      await mkdir(dirname(join(directory, name)), { recursive: true });
      await writeFile(join(directory, name), text, { mode: 0o600 });
    }
    const { stdout } = await promisify(execFile)("helm", ["template", release, directory], { maxBuffer: OUTPUT_MAX_BYTES });
    return objectsOf(stdout);
  } catch (cause) {
    const isMissing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
    const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : "";
    throw new CliError("E-CHART", `the chart could not be rendered by helm${isMissing ? ", which is not there" : `: ${said}`}`, {
      cause,
      remedy: "-o yaml needs Helm 3 on the PATH; -o helm_chart writes the same chart without it.",
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function objectsOf(rendered: string): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const document of rendered.split(/^---$/m)) {
    const kind = /^kind: (\S+)/m.exec(document)?.[1];
    const name = /^ {2}name: "?([^"\s]+)"?/m.exec(document)?.[1];
    if (kind !== undefined && name !== undefined) files.set(`${kind.toLowerCase()}-${name}.yaml`, document.trimStart());
  }
  return files;
}
