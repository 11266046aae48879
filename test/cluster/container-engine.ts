import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestCluster } from "./cluster.ts";

/*
 * `docker` for scripts that call it: podman under that name, with its own storage, so that nothing is left on the machine. The limits and the
 * runtime are those that work where the machine itself is a container; elsewhere they do no harm. Without a network, which none of the containers
 * needs: podman's leaves a bridge and chains of firewall rules on the machine.
 */
const CONTAINERS = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
netns = "none"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`;

/** Puts `docker` into a directory of its own; returns that directory, for the PATH. The engine's sample image is there from the start. */
export async function provideDocker(cluster: TestCluster): Promise<string> {
  const home = join(cluster.directory, "engine");
  const bin = join(home, "bin");
  await mkdir(bin, { recursive: true });
  const registry = (cluster.environment["SCONECTL_REPO"] ?? "").split("/")[0];
  const files = {
    "containers.conf": CONTAINERS,
    // The test cluster's registry listens on loopback only and has no TLS.
    "registries.conf": `[[registry]]\nlocation = "${registry}"\ninsecure = true\n`,
    "storage.conf": `[storage]\ndriver = "overlay"\ngraphroot = "${home}/images"\nrunroot = "${home}/run"\n`,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(home, name), text);
  const script = `#!/bin/sh
export CONTAINERS_CONF=${home}/containers.conf CONTAINERS_REGISTRIES_CONF=${home}/registries.conf CONTAINERS_STORAGE_CONF=${home}/storage.conf
export REGISTRY_AUTH_FILE=${cluster.environment["DOCKER_CONFIG"]}/config.json
exec podman "$@"
`;
  await writeFile(join(bin, "docker"), script);
  await chmod(join(bin, "docker"), 0o755);
  const docker = join(bin, "docker");
  const sample = `${cluster.environment["SCONECTL_REPO"]}/check_cpufeatures:${cluster.environment["VERSION"]}`;
  await cluster.run(docker, "pull", "--quiet", sample);
  await cluster.run(docker, "tag", sample, "hello-world"); // no registry has it here, and any small image does
  cluster.atEnd(() => cluster.run(docker, "rmi", "--all", "--force")); // its files go with the test's directory
  return bin;
}
