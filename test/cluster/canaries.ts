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

/** Everything that the cluster's API shows of the namespace and of the platform: all objects of all kinds, releases, logs of all containers. */
export async function readEverything({ run, shell, namespace }: TestCluster): Promise<ReadonlyMap<string, string>> {
  const places = new Map<string, string>();
  const kinds = (await run("kubectl", "api-resources", "--verbs=list", "-o", "name")).trim().split("\n");
  for (const kind of kinds) places.set(kind, await run("kubectl", "get", kind, "--all-namespaces", "-o", "json").catch(() => "")); // kinds that cannot be listed
  // Secrets and releases hold their content encoded, the release's packed as well.
  places.set(
    "secrets, decoded",
    await shell(`kubectl get secrets -A -o json | jq -r '.items[].data // {} | .[] | @base64d' | while IFS= read -r line; do
      printf '%s\\n' "$line"; printf '%s' "$line" | base64 -d 2>/dev/null | gunzip 2>/dev/null | tr -d '\\0' || true; done`),
  );
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
