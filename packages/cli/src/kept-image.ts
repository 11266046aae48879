import {
  DEFAULT_ENGINE,
  type EngineAddress,
  formatEngineAddress,
  isEngineThere,
  loadIntoEngine,
  openLocalRepository,
  parseEngineAddress,
} from "@vouchsafe/image";
import type { ManifestReport } from "./manifest-report.ts";
import type { Progress } from "./progress.ts";
import type { Shell } from "./shell.ts";
import type { TargetDirectory } from "./target-directory.ts";

/** The container engine that images are exported to, and whether the user named it. */
export interface ChosenEngine {
  readonly address: EngineAddress;
  readonly isNamed: boolean;
}

/** `DOCKER_HOST`, else the default socket, with a warning where the variable is no address that can be used (cli.md section 6). */
export function chooseEngine({ environment }: Shell, report: ManifestReport): ChosenEngine {
  const given = environment["DOCKER_HOST"] ?? "";
  if (given === "") return { address: DEFAULT_ENGINE, isNamed: false };
  const address = parseEngineAddress(given);
  if (address !== undefined) return { address, isNamed: true };
  const expected = "unix://PATH, tcp://HOST:PORT or an IPv4 address";
  report.warn(
    "W-DOCKER-HOST",
    `DOCKER_HOST is ${JSON.stringify(given)}; expected ${expected}: ${formatEngineAddress(DEFAULT_ENGINE)} is taken`,
  );
  return { address: DEFAULT_ENGINE, isNamed: false };
}

/** An image that is not pushed: where it is, under which name and directory of `target/images`. */
export interface KeptImage {
  readonly layoutDir: string;
  readonly reference: string;
  /** Name of its directory (MF-130). */
  readonly key: string;
}

/**
 * Keeps an image that is not pushed (`--no-push`): as an OCI layout in `target/images/<key>`, and in the store of a container engine where one answers.
 * No engine is no failure; one that was named and is silent is a warning. Throws E-ENGINE when an engine refuses the image.
 */
export async function keepImage(
  { layoutDir, reference, key }: KeptImage,
  { address, isNamed }: ChosenEngine,
  { target, progress, report, signal }: { target: TargetDirectory; progress: Progress; report: ManifestReport; signal: AbortSignal },
): Promise<void> {
  const repository = openLocalRepository(layoutDir);
  await target.remove(`images/${key}`);
  await repository.exportTo(reference, openLocalRepository(target.file("images", key)));
  const place = formatEngineAddress(address);
  if (await isEngineThere(address, signal)) {
    await progress.run(`Export to the container engine at ${place}`, () => loadIntoEngine(repository, reference, address, signal));
  } else if (isNamed)
    report.warn("W-ENGINE", `no container engine answers at ${place} (DOCKER_HOST): the image is in the local store only`);
  else progress.detail(1, `no container engine answers at ${place}`);
}
