import { existsSync, readFileSync, realpathSync, statSync } from "node:fs";
import { join, resolve, sep } from "node:path";
import type { CopySource } from "@vouchsafe/image";
import type { BuildSection } from "./build-section.ts";
import { Findings } from "./diagnostic.ts";
import type { PlacedText } from "./manifest-reader.ts";
import { shortText } from "./manifest-reader.ts";
import type { BuildFiles } from "./plan-service.ts";
import type { ReadResult } from "./service-manifest.ts";

/** Looks up the files that a service manifest names, relative to `directory` (CL-30, CL-31). Reads the small ones. */
export function readBuildFiles(build: BuildSection, directory: string): ReadResult<BuildFiles> {
  const findings = new Findings();
  const workingDirectory = build.pwd?.text ?? "/";
  const copy = build.copy.map((path): CopySource | undefined => {
    if (/[*?[\]]/.test(path.text) && !existsSync(join(directory, path.text))) {
      findings.add(path.at, "E-COPY-MISSING", `${shortText(path.text)} is no file of ${directory}`, {
        expected: "names of files and directories; copy takes no patterns",
      });
      return undefined;
    }
    const source = locate(path, directory, "E-COPY-MISSING", findings);
    return source === undefined ? undefined : { source, target: join(workingDirectory, path.text) };
  });
  const requirements = build.requirements === undefined ? undefined : readText(build.requirements, directory, findings);
  const policyTemplate = build.policyTemplate === undefined ? undefined : readText(build.policyTemplate, directory, findings);
  if (build.signatureKey !== undefined) locate(build.signatureKey, directory, "E-FILE-MISSING", findings, true);
  const files: BuildFiles = {
    copy: copy.filter((source) => source !== undefined),
    ...(requirements === undefined ? {} : { requirements: { text: requirements } }),
    ...(policyTemplate === undefined ? {} : { policyTemplate }),
  };
  return { manifest: findings.hasErrors ? undefined : files, diagnostics: findings.list() };
}

/** Text of a file named in a manifest. Findings: `E-FILE-MISSING`, `E-FILE-TYPE`, `E-PATH-OUTSIDE`. */
export function readNamedFile(path: PlacedText, directory: string): ReadResult<string> {
  const findings = new Findings();
  const text = readText(path, directory, findings);
  return { manifest: text, diagnostics: findings.list() };
}

function readText(path: PlacedText, directory: string, findings: Findings): string | undefined {
  const file = locate(path, directory, "E-FILE-MISSING", findings);
  if (file === undefined) return undefined;
  if (!statSync(file).isFile()) {
    findings.add(path.at, "E-FILE-TYPE", `${shortText(path.text)} is no file`, { expected: "a file" });
    return undefined;
  }
  return readFileSync(file, "utf8");
}

/** Absolute path of a named file, which must lie inside the directory after links are resolved. */
function locate(
  path: PlacedText,
  directory: string,
  missing: "E-COPY-MISSING" | "E-FILE-MISSING",
  findings: Findings,
  mayBeAbsent = false,
): string | undefined {
  const root = realpathSync(directory);
  const isInside = (file: string) => file === root || file.startsWith(root.endsWith(sep) ? root : root + sep);
  const outside = (): undefined => {
    findings.add(path.at, "E-PATH-OUTSIDE", `${shortText(path.text)} lies outside of the current directory`, {
      expected: `a path in ${root}`,
    });
    return undefined;
  };
  const wanted = resolve(root, path.text);
  if (!isInside(wanted)) return outside();
  if (!existsSync(wanted)) {
    if (!mayBeAbsent)
      findings.add(path.at, missing, `${shortText(path.text)} is not in the current directory ${root}`, {
        expected: "an existing file or directory",
      });
    return undefined;
  }
  return isInside(realpathSync(wanted)) ? wanted : outside();
}
