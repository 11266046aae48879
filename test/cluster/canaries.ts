import { gunzipSync } from "node:zlib";
import type { TestCluster } from "./cluster.ts";

/** How a text looks in other clothes: raw, hex, base64 at each alignment. */
export function disguises(text: string): readonly string[] {
  const bytes = Buffer.from(text);
  const base64 = [0, 1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString("base64");
    // The first and last characters depend on what stands beside.
    return encoded.slice(shift === 0 ? 0 : 4, -4);
  });
  return [text, bytes.toString("hex"), ...base64];
}

/** Where a text is found, by name of the place. */
export function findIn(places: ReadonlyMap<string, string>, text: string): readonly string[] {
  const wanted = disguises(text);
  return [...places].filter(([, content]) => wanted.some((form) => content.includes(form))).map(([name]) => name);
}

interface SecretList {
  readonly items: readonly {
    readonly metadata: { readonly namespace: string; readonly name: string };
    readonly data?: Readonly<Record<string, string>>;
  }[];
}

/** The value of a secret, and what it holds where it is a release: that is encoded once more, and packed. */
function unpack(value: Buffer): string {
  const text = value.toString("latin1");
  const packed = Buffer.from(text, "base64");
  return packed[0] === 0x1f && packed[1] === 0x8b ? `${text}\n${gunzipSync(packed).toString("latin1")}` : text;
}

/** Everything that the cluster's API shows of the namespace and of the platform: all objects of all kinds, releases, logs of all containers. */
export async function readEverything({ run, namespace }: TestCluster): Promise<ReadonlyMap<string, string>> {
  const places = new Map<string, string>();
  const kinds = (await run("kubectl", "api-resources", "--verbs=list", "-o", "name")).trim().split("\n");
  for (const kind of kinds) places.set(kind, await run("kubectl", "get", kind, "--all-namespaces", "-o", "json").catch(() => "")); // kinds that cannot be listed
  const secrets: SecretList = JSON.parse(await run("kubectl", "get", "secrets", "--all-namespaces", "-o", "json"));
  for (const { metadata, data } of secrets.items) {
    for (const [key, value] of Object.entries(data ?? {}))
      places.set(`secret ${metadata.namespace}/${metadata.name} ${key}`, unpack(Buffer.from(value, "base64")));
  }
  for (const what of ["values", "manifest", "notes"])
    places.set(`helm get ${what}`, await run("helm", "get", what, "clinic", "-n", namespace));
  for (const space of [namespace, "scone-system"]) {
    const pods = (await run("kubectl", "-n", space, "get", "pods", "-o", "name")).trim().split("\n").filter(Boolean);
    for (const pod of pods) {
      for (const previous of [[], ["--previous"]]) {
        const log = await run("kubectl", "-n", space, "logs", pod, "--all-containers", ...previous).catch(() => ""); // no container before this one
        places.set(`log of ${space}/${pod}${previous.join("")}`, log);
      }
    }
  }
  return places;
}
