import { Cluster, installPlatform, loadKubeconfig, type PlatformSettings, planPlatform, uninstallPlatform } from "@vouchsafe/kubernetes";
import { stringify } from "yaml";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import { ExitCode, type Shell } from "../../shell.ts";
import { VERSION } from "../../version.ts";
import { pinPlatform } from "./pin-platform.ts";

/** Longest wait in which nothing moves. */
const TIMEOUT_MS = 180_000;
/** Longest wait in all: on a busy machine images and agents take their time. */
const LIMIT_MS = 15 * 60_000;

/** `sconectl init`: installs the cluster side, updates it where the images behind its tags changed, or removes it; repeating each is harmless. */
export async function init(options: ParsedOptions, shell: Shell): Promise<number> {
  if (hasFlag(options, "uninstall")) return uninstall(options, shell);
  for (const option of ["with-cas", "with-volumes"])
    if (hasFlag(options, option)) throw new CliError("E-OPTION-VALUE", `--${option} is for --uninstall only`, { isUsage: true });
  const settings = platformSettings(options, shell);
  if (hasFlag(options, "dry-run")) {
    shell.out(
      planPlatform(settings)
        .map((object) => stringify(object, { aliasDuplicateObjects: false }))
        .join("---\n")
        .trimEnd(),
    );
    return ExitCode.ok;
  }
  const cluster = new Cluster(loadKubeconfig(shell.environment));
  await installPlatform(cluster, await pinPlatform(settings, cluster, shell), {
    isWaiting: !hasFlag(options, "no-wait"),
    timeoutMs: TIMEOUT_MS,
    limitMs: LIMIT_MS,
    log: shell.note,
    signal: shell.signal,
  });
  shell.out(`The platform is installed in the namespace ${settings.namespace}. Next: kubectl provision cas cas -n ${settings.namespace}`);
  return ExitCode.ok;
}

async function uninstall(options: ParsedOptions, shell: Shell): Promise<number> {
  // Which images there were does not matter to what is removed.
  const settings = platformSettings(options, { ...shell, environment: { SCONECTL_REPO: "unused", ...shell.environment } });
  const removesVolumes = hasFlag(options, "with-volumes");
  const removesCas = hasFlag(options, "with-cas");
  if (removesVolumes && !removesCas) throw new CliError("E-OPTION-VALUE", "--with-volumes is for --with-cas only", { isUsage: true });
  if (hasFlag(options, "dry-run"))
    throw new CliError("E-OPTION-VALUE", "--dry-run and --uninstall cannot be given together", { isUsage: true });
  await uninstallPlatform(new Cluster(loadKubeconfig(shell.environment)), settings, {
    removesCas,
    removesVolumes,
    timeoutMs: TIMEOUT_MS,
    log: shell.note,
    signal: shell.signal,
  });
  const volumes = removesVolumes ? "" : " and the volumes of every CAS";
  shell.out(
    `The platform is removed. What stays: the namespace ${settings.namespace}${volumes}; on nodes: the agent's key, the seccomp profile.`,
  );
  return ExitCode.ok;
}

function platformSettings(options: ParsedOptions, { environment }: Pick<Shell, "environment">): PlatformSettings {
  const registry = givenValue(options, "image-registry") ?? environment["SCONECTL_REPO"];
  if (registry === undefined || registry === "") {
    throw new CliError("E-OPTION-VALUE", "no repository of the platform images is named", {
      remedy: "Publish them (vouchsafe publish REPOSITORY), and set SCONECTL_REPO or give --image-registry.",
    });
  }
  const version = givenValue(options, "set-version") ?? environment["VERSION"] ?? VERSION;
  const image = (name: string): string => `${registry}/${name}:${version === "" ? VERSION : version}`;
  return {
    namespace: givenValue(options, "namespace") ?? "scone-system",
    images: { operator: image("operator"), cas: image("cas"), las: image("las") },
    imagePullSecrets: [givenValue(options, "image-pull-secret") ?? "sconeapps"],
    imagePullPolicy: "Always",
    containerRuntime: givenValue(options, "container-runtime") ?? "/run/containerd/containerd.sock",
    kubeletRoot: givenValue(options, "kubelet-root") ?? "/var/lib/kubelet",
    withSgxPlugin: !hasFlag(options, "no-sgxplugin"),
  };
}
