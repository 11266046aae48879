import { lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";

/**
 * Addresses that lead back to the machine or to what only the machine may ask, such as a cloud's metadata service: a document of a stranger shall
 * not make the CAS connect to them (hazard J6).
 */
const LOCAL_NETWORKS = [
  "0.0.0.0/8",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "192.0.0.0/24",
  "100.100.100.200/32",
  "224.0.0.0/4",
  "240.0.0.0/4",
  "::/127",
  "fe80::/10",
  "ff00::/8",
  "fd00:ec2::254/128",
  "64:ff9b::/96",
];

/** Where imports from other CAS may connect to. */
export class ImportNetworks {
  readonly #listed: BlockList;
  readonly #isListed: boolean;

  /** `networks`: exactly these (CIDR); undefined: all but local ones. */
  constructor(networks: readonly string[] | undefined) {
    this.#isListed = networks !== undefined;
    this.#listed = blockListOf(networks ?? LOCAL_NETWORKS);
  }

  /** `address` is an IPv4 or IPv6 address. IPv4 in IPv6 counts as IPv4. */
  admits(address: string): boolean {
    const family = isIP(address);
    if (family === 0) return false;
    return this.#listed.check(address, family === 4 ? "ipv4" : "ipv6") === this.#isListed;
  }

  /** Resolves a name to its admitted addresses, so that what was checked is what is connected to. */
  readonly lookup: LookupFunction = (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      if (error !== null) return callback(error, "");
      const admitted = addresses.filter(({ address }) => this.admits(address));
      const [first] = admitted;
      if (first === undefined) return callback(new Error(`${hostname} has no address that imports may connect to`), "");
      if (options.all === true) return callback(null, admitted);
      callback(null, first.address, first.family);
    });
  };
}

/** Is this `ADDRESS/BITS`? */
export function isNetwork(text: string): boolean {
  const { address, bits } = splitNetwork(text);
  const family = isIP(address);
  return family !== 0 && /^[0-9]{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128);
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const { address, bits } = splitNetwork(network);
    list.addSubnet(address, Number(bits), isIP(address) === 4 ? "ipv4" : "ipv6");
  }
  return list;
}

function splitNetwork(text: string): { readonly address: string; readonly bits: string } {
  const slash = text.lastIndexOf("/");
  return slash < 0 ? { address: text, bits: "" } : { address: text.slice(0, slash), bits: text.slice(slash + 1) };
}
