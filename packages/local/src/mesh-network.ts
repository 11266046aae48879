import { hardwareAddressOf, type Instance, MESH_NETWORK } from "./mesh-layout.ts";
import { runTool } from "./run-command.ts";

const BRIDGE = "mesh0";

/** Run in the network namespace of the mesh host: a bridge that is gateway, name server and CAS to all containers. */
export async function createBridge(nameServer: string): Promise<void> {
  await runTool(
    "ip",
    ["-batch", "-"],
    `link set lo up
link add ${BRIDGE} address ${hardwareAddressOf(MESH_NETWORK.gateway)} type bridge
addr add ${MESH_NETWORK.gateway}/${MESH_NETWORK.bits} dev ${BRIDGE}
addr add ${nameServer}/32 dev ${BRIDGE}
link set ${BRIDGE} up
`,
  );
}

/**
 * Gives the network namespace of process `pid` its interface on the bridge. Low ports are open to every program, as in a container engine: the
 * program has no capability to open them with.
 */
export async function connectContainer(pid: number, { index, address }: Instance): Promise<void> {
  const name = `veth${index}`;
  await runTool(
    "ip",
    ["-batch", "-"],
    `link add ${name} type veth peer name eth0 address ${hardwareAddressOf(address)} netns ${pid}
link set ${name} master ${BRIDGE} up
`,
  );
  await runTool(
    "nsenter",
    [`--net=/proc/${pid}/ns/net`, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start && exec ip -batch -"],
    `link set lo up
addr add ${address}/${MESH_NETWORK.bits} dev eth0
link set eth0 up
route add default via ${MESH_NETWORK.gateway}
`,
  );
}
