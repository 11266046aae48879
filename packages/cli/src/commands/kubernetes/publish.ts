import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { defaultCacheDir, defaultRepositoryDir } from "@vouchsafe/image";
import { CliError } from "../../cli-error.ts";
import { countOf, givenValue, type ParsedOptions } from "../../command-spec.ts";
import { Progress } from "../../progress.ts";
import { obtainRuntimeBundle } from "../../runtime-bundle.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { VERSION } from "../../version.ts";
import { PUBLISHED_IMAGES, publishImages } from "./platform-images.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..", "..", "..");

/** `vouchsafe publish REPOSITORY [IMAGE...]`: builds and pushes the platform's images under `latest` and the version. */
export async function publish(options: ParsedOptions, shell: Shell): Promise<number> {
  const [repository = "", ...chosen] = options.operands;
  const unknown = chosen.find((name) => !PUBLISHED_IMAGES.includes(name));
  if (unknown !== undefined) {
    throw new CliError("E-ARGUMENT", `no platform image is called ${JSON.stringify(unknown)}`, {
      isUsage: true,
      remedy: `There are: ${PUBLISHED_IMAGES.join(", ")}.`,
    });
  }
  const version = givenValue(options, "version") ?? shell.environment["VERSION"] ?? VERSION;
  const repositoryDir = defaultRepositoryDir(shell.environment);
  const progress = new Progress(shell, countOf(options, "verbose"));
  const programs = await progress.run("bundling the platform's programs", () => obtainPrograms(shell));
  const published = await publishImages(chosen.length === 0 ? PUBLISHED_IMAGES : chosen, {
    programs,
    runtimeBundle: await obtainRuntimeBundle(shell.environment),
    repository: repository.replace(/\/+$/, ""),
    tags: [...new Set([version === "" ? VERSION : version, "latest"])],
    cacheDir: defaultCacheDir(shell.environment),
    repositoryDir,
    // The key that meshes of this user accept for curated images (MF-66).
    signingKeyFile: join(dirname(repositoryDir), "platform-images.pem"),
    platformVersion: VERSION,
    log: (line) => progress.detail(1, line),
    signal: shell.signal,
  });
  for (const { reference, digest } of published) shell.out(`${reference}@${digest}`);
  return ExitCode.ok;
}

/** Directory with the bundled programs; in a clone of the sources they are bundled anew. */
async function obtainPrograms({ environment }: Shell): Promise<string> {
  const given = environment["VOUCHSAFE_PLATFORM_PROGRAMS"];
  if (given !== undefined && given !== "") return given;
  const script = join(ROOT, "scripts", "bundle-platform.ts");
  const directory = join(ROOT, ".cache", "platform");
  if (!existsSync(script)) return directory;
  try {
    await promisify(execFile)(process.execPath, [script, directory], { cwd: ROOT });
  } catch (cause) {
    throw new CliError("E-RUNTIME-BUNDLE", "the platform's programs could not be bundled", { cause, remedy: `Run ${script} to see why.` });
  }
  return directory;
}
