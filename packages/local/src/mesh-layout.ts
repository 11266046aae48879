import type { MeshRecord, ServiceRecord } from "@vouchsafe/mesh";
import type { Zone } from "./dns-message.ts";

/** Addresses inside a mesh. Meshes are separate networks, so all of them use the same ones. */
export const MESH_NETWORK = { prefix: "10.244", gateway: "10.244.0.1", bits: 16, nameServer: "10.96.0.10" } as const;
/** What the CAS is reached at inside a mesh: relays at the gateway. */
export const CAS_PORTS = { service: 18_765, client: 8081 } as const;
const FIRST_INSTANCE = 10;
const INSTANCES_MAX = 200;

/**
 * Hardware address of whoever has this IPv4 address in a mesh: locally administered, and the same at each start. A bridge without one of its own takes
 * that of one of its members, and changes it when that member goes; an instance that starts again would get a new one. Neighbours that remember the old
 * one would talk to nobody for half a minute.
 */
export function hardwareAddressOf(address: string): string {
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  return ["02", "00", ...bytes].join(":");
}

/** One container to run. */
export interface Instance {
  /** `SERVICE`, or `SERVICE-N` for the second replica on. Unique; a plain file name. */
  readonly name: string;
  readonly service: string;
  readonly address: string;
  /** Counts all instances of the mesh from 0. */
  readonly index: number;
}

export interface MeshLayout {
  readonly instances: readonly Instance[];
  readonly zone: Zone;
  readonly nameServer: string;
  /** For `/etc/resolv.conf`. */
  readonly searchDomains: readonly string[];
}

/** The name by which other services know a service: with the release in front unless the record has it there already (MF-116). */
export function hostNameOf({ hostName }: Pick<ServiceRecord, "hostName">, record: Pick<MeshRecord, "release">, release: string): string {
  return record.release === null ? `${release}-${hostName}` : hostName;
}

/** Everything about addresses and names, decided before anything is started. */
export function layOutMesh(record: MeshRecord, release: string): MeshLayout {
  const namespace = record.nameService.namespace;
  const instances: Instance[] = [];
  const addresses = new Map<string, readonly string[]>();
  for (const service of record.services) {
    const own: string[] = [];
    for (let replica = 0; replica < service.replicas; replica++) {
      const index = instances.length;
      if (index >= INSTANCES_MAX) throw new RangeError(`more than ${INSTANCES_MAX} instances`);
      const address = `${MESH_NETWORK.prefix}.0.${FIRST_INSTANCE + index}`;
      instances.push({ name: replica === 0 ? service.name : `${service.name}-${replica + 1}`, service: service.name, address, index });
      own.push(address);
    }
    for (const name of namesOf(hostNameOf(service, record, release), namespace)) addresses.set(name, own);
  }
  for (const name of namesOfCas(record.cas.host)) addresses.set(name, [MESH_NETWORK.gateway]);
  return {
    instances,
    zone: { addresses },
    nameServer: record.nameService.address ?? MESH_NETWORK.nameServer,
    searchDomains: [...new Set([namespace, "default"])]
      .filter((one) => one !== "")
      .map((one) => `${one}.svc.cluster.local`)
      .concat("svc.cluster.local", "cluster.local"),
  };
}

/** A service is found under its name alone, and as in a cluster: in the namespace of the manifests, and in the default one. */
function namesOf(hostName: string, namespace: string): string[] {
  const host = hostName.toLowerCase();
  const namespaces = [...new Set([namespace.toLowerCase(), "default"])].filter((one) => one !== "");
  return [
    host,
    `${host}.svc.cluster.local`,
    ...namespaces.flatMap((one) => [`${host}.${one}`, `${host}.${one}.svc`, `${host}.${one}.svc.cluster.local`]),
  ];
}

const namesOfCas = (host: string): string[] => {
  const name = host.toLowerCase();
  return [name, `${name}.svc`, `${name}.svc.cluster.local`];
};
