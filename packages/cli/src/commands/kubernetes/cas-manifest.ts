import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { CasName } from "@vouchsafe/kubernetes";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { CliError } from "../../cli-error.ts";
import { givenValue, hasFlag, type ParsedOptions } from "../../command-spec.ts";
import type { Shell } from "../../shell.ts";
import { signedImage } from "./signed-image.ts";

/** What the options say that a CAS resource shall be. */
export interface CasManifest {
  readonly spec: object;
  /** A manifest was named: it counts for a CAS that exists, too. */
  readonly isExplicit: boolean;
  /** An image was named, or its signature verified: a CAS that exists gets it. */
  readonly image: string | undefined;
}

const DEFAULT_FILE = "cas.yaml";
const DOWNLOAD_TIMEOUT_MS = 30_000;
const MANIFEST_MAX_CHARACTERS = 1024 * 1024;
const Manifest = z.object({
  apiVersion: z.literal("services.scone.cloud/v1beta1"),
  kind: z.literal("CAS"),
  metadata: z.object({ name: z.string().optional(), namespace: z.string().optional() }).default({}),
  spec: z.record(z.string(), z.unknown()).default({}),
});

/**
 * The manifest given with -f, or `cas.yaml` below --manifests-dir, else what the other options say: a CAS that makes snapshots and has its
 * nodes registered as backups, unless --no-backup.
 * Throws E-OPTION-VALUE, E-FILE-MISSING, and what `signedImage` throws.
 */
export async function readCasManifest(cas: CasName, options: ParsedOptions, shell: Shell): Promise<CasManifest> {
  const isImageNamed = givenValue(options, "image-overwrite") !== undefined;
  const decides = isImageNamed || givenValue(options, "verify-image-signatures") !== undefined;
  const file = givenValue(options, "filename");
  const directory = givenValue(options, "manifests-dir");
  const source = file ?? (directory === undefined ? undefined : `${directory.replace(/\/$/, "")}/${DEFAULT_FILE}`);
  if (source === undefined) {
    const image = await signedImage(casImage(options, shell), options, shell);
    const backup = { databaseSnapshots: { enabled: true }, "backup-controller": { enabled: true } };
    const spec = {
      imagePullSecrets: [{ name: "sconeapps" }],
      ...(hasFlag(options, "no-backup") ? {} : backup),
      ...(image === undefined ? {} : { image }),
    };
    return { spec, isExplicit: false, image: decides ? image : undefined };
  }
  const { metadata, spec } = readManifest(await readText(source, shell), source);
  for (const [what, found, wanted] of [
    ["name", metadata.name, cas.name],
    ["namespace", metadata.namespace, cas.namespace],
  ] as const) {
    if (found === undefined || found === wanted) continue;
    throw new CliError("E-OPTION-VALUE", `${source} has the ${what} ${found}, and ${wanted} was asked for`, {
      remedy: `Run: kubectl provision cas ${metadata.name ?? cas.name} -n ${metadata.namespace ?? cas.namespace}`,
    });
  }
  const named = isImageNamed ? casImage(options, shell) : spec["image"];
  const image = await signedImage(typeof named === "string" ? named : undefined, options, shell);
  return { spec: image === undefined ? spec : { ...spec, image }, isExplicit: true, image: decides ? image : undefined };
}

/** Image of the version that is asked for; undefined: what the operator was installed with. */
export function casImage(options: ParsedOptions, { environment }: Shell, wanted?: string): string | undefined {
  const named = givenValue(options, "image-overwrite");
  if (named !== undefined) return named;
  const registry = givenValue(options, "image-registry") ?? environment["IMAGE_REPO"] ?? environment["SCONECTL_REPO"];
  if (registry === undefined || registry === "") return undefined;
  return `${registry}/cas:${wanted ?? givenValue(options, "set-version") ?? (environment["VERSION"] || "latest")}`;
}

async function readText(source: string, { directory }: Shell): Promise<string> {
  if (!/^[a-z]+:\/\//.test(source)) {
    return readFile(resolve(directory, source), "utf8").catch((cause: unknown) => {
      throw new CliError("E-FILE-MISSING", `${join(source)} cannot be read`, { cause, remedy: "Name a manifest of a CAS." });
    });
  }
  if (!source.startsWith("https://")) throw new CliError("E-OPTION-VALUE", `${source} is no https address`, { isUsage: true });
  try {
    const answer = await fetch(source, { signal: AbortSignal.timeout(DOWNLOAD_TIMEOUT_MS), redirect: "error" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    return await answer.text();
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CliError("E-FILE-MISSING", `${source} cannot be fetched: ${reason}`, { cause });
  }
}

function readManifest(text: string, source: string): z.infer<typeof Manifest> {
  const wrong = (what: string) =>
    new CliError("E-OPTION-VALUE", `${source} is no manifest of a CAS: ${what}`, {
      remedy: "It holds one document with apiVersion services.scone.cloud/v1beta1, kind CAS, metadata and spec.",
    });
  if (text.length > MANIFEST_MAX_CHARACTERS) throw wrong(`it has more than ${MANIFEST_MAX_CHARACTERS} characters`);
  const documents = parseAllDocuments(text);
  const [document, ...more] = "empty" in documents ? [] : documents;
  if (document === undefined || more.length > 0) throw wrong(`it has ${document === undefined ? "no" : more.length + 1} documents`);
  const [error] = document.errors;
  if (error !== undefined) throw wrong(error.message);
  const parsed = Manifest.safeParse(document.toJS({ maxAliasCount: 100 }));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw wrong(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
}
