import { createHash, type KeyObject } from "node:crypto";
import type { LayerEntry } from "./layer.ts";
import { METADATA_DIRECTORY, type ServiceMetadata } from "./metadata.ts";
import type { MetadataFiles } from "./plan.ts";
import { signMetadata } from "./signing.ts";

export const SERVICE_FILE = "service.json";
export const SIGNATURE_FILE = "signature.json";
/** Annotation by which the layer with the metadata is found without fetching the others. */
export const METADATA_ANNOTATION = { "io.vouchsafe.layer": "mesh" } as const;

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** The text files of the metadata directory but `service.json`, by relative path. */
export function metadataFiles(files: MetadataFiles): Map<string, string> {
  const all = new Map([
    ["policy.yaml.template", files.policyTemplate],
    ["secrets.yaml.template", files.secretsTemplate],
    ["env.yaml", files.environment],
  ]);
  for (const [path, text] of files.chart) all.set(`chart/${path}`, text);
  return all;
}

/** `service.json` with the hashes of the other files filled in; canonical: keys in the schema's order, maps sorted. */
export function renderServiceJson(service: Omit<ServiceMetadata, "files">, files: ReadonlyMap<string, string>): string {
  const hashes = Object.fromEntries(
    [...files].map(([path, text]) => [path, sha256(text)]).sort(([one = ""], [other = ""]) => (one < other ? -1 : 1)),
  );
  return `${JSON.stringify({ ...service, files: hashes } satisfies ServiceMetadata, null, 2)}\n`;
}

/** The signed metadata directory as layer entries (MF-64, MF-66). */
export function metadataEntries(serviceJson: string, files: ReadonlyMap<string, string>, signingKey: KeyObject): LayerEntry[] {
  const signature = `${JSON.stringify(signMetadata(serviceJson, signingKey))}\n`;
  const texts = new Map([...files, [SERVICE_FILE, serviceJson], [SIGNATURE_FILE, signature]]);
  const directories = new Set(["/vouchsafe", METADATA_DIRECTORY]);
  for (const path of texts.keys()) {
    for (let at = path.indexOf("/"); at >= 0; at = path.indexOf("/", at + 1)) directories.add(`${METADATA_DIRECTORY}/${path.slice(0, at)}`);
  }
  return [
    ...[...directories].map((path): LayerEntry => ({ kind: "directory", path, mode: 0o755 })),
    ...[...texts].map(
      ([path, text]): LayerEntry => ({
        kind: "file",
        path: `${METADATA_DIRECTORY}/${path}`,
        mode: 0o644,
        content: new TextEncoder().encode(text),
      }),
    ),
  ];
}
