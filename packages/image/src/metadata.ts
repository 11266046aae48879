import { z } from "zod";
import { JAVA_KINDS } from "./java-base.ts";

/** Directory of an image's metadata (MF-64). */
export const METADATA_DIRECTORY = "/vouchsafe/mesh";
/** Label that holds the SHA-256 of `service.json` (MF-64). */
export const METADATA_LABEL = "io.vouchsafe.mesh";
/** Where images keep the protection file of their code; the policy's `fspf_path`. */
export const CODE_PROTECTION_FILE = "/vouchsafe/code.fspf";
/** The container's entry point and what stands at the usual path of the program (MF-68). */
export const LAUNCHER_PATH = "/vouchsafe/bin/launcher";

const Hex32 = z.string().regex(/^[0-9a-f]{32}$/);
const Hex64 = z.string().regex(/^[0-9a-f]{64}$/);
const AbsolutePath = z
  .string()
  .max(4096)
  .regex(/^\/[^\0]*$/);
const Text = z.string().max(65_536);

/** `service.json`: what an image says about itself (MF-65). */
export const ServiceMetadata = z.strictObject({
  format: z.literal(1),
  platformVersion: z.string().max(64),
  /** `build.name`. */
  name: z.string().max(63),
  kind: z.enum(["python", ...JAVA_KINDS, "curated", "sconify_image"]),
  mode: z.enum(["production", "debug"]),
  command: z.array(Text).min(1).max(4096),
  workingDirectory: AbsolutePath,
  /** Who runs the program; the launcher starts with more rights and drops them. */
  user: z.strictObject({ uid: z.int().min(0).max(4_294_967_294), gid: z.int().min(0).max(4_294_967_294) }),
  /** Variables that the image's kind gives to the program (MF-57). */
  environment: z.record(z.string(), Text),
  /** Where `PATH` is not part of the environment: directories in which the command's first word is searched. */
  searchPath: z.array(AbsolutePath),
  /** Executables that were moved away so that the launcher stands at their path (MF-68). In the program's own view `original` is at `path` again. */
  diversions: z.array(z.strictObject({ path: AbsolutePath, original: AbsolutePath })),
  runtimeSettings: z.record(z.string(), Text),
  /** Enclave measurement and signer, where the image has them. */
  enclave: z.strictObject({ mrEnclave: Hex64, mrSigner: Hex64 }).optional(),
  /** Protected files: the protection file's path and the tag of its state. Absent where nothing is encrypted. */
  fileSystem: z.strictObject({ path: AbsolutePath, tag: Hex32 }).optional(),
  /** Longest prefix decides. `digest`: SHA-256 over the region's list of files. */
  regions: z.array(
    z.strictObject({ path: AbsolutePath, protection: z.enum(["encrypted", "authenticated", "not-protected"]), digest: Hex64.optional() }),
  ),
  /** Where the program sees what the container has mounted there, without protection (`build.host_paths`). */
  hostPaths: z.array(AbsolutePath).optional(),
  /** The code key, wrapped for the builder's identity. */
  wrappedCodeKey: z.string().max(8192).optional(),
  volumes: z.array(
    z.strictObject({
      name: z.string().max(128),
      path: AbsolutePath,
      updatePolicy: z.enum(["ephemeral", "rollback_protected", "no_rollback_protection"]),
      files: z.enum(["encrypted", "authenticated-only"]),
    }),
  ),
  /** The version that must keep running during a rollout: a policy accepts its code identity too (MF-94). */
  stable: z.strictObject({ digest: z.string().regex(/^sha256:[0-9a-f]{64}$/), fileSystemTag: Hex32.optional() }).optional(),
  /** Names under which `helm_extra_values` finds the chart (MF-108). */
  aliases: z.array(z.string().max(63)),
  /** Debian packages of the base. */
  packages: z.array(z.strictObject({ name: z.string(), version: z.string(), sha256: Hex64 })),
  /** `requirements.lock`, line by line (MF-60). */
  lock: z.array(z.string()),
  /** SHA-256 of every other file of the directory but the signature, by relative path. */
  files: z.record(z.string(), Hex64),
});
export type ServiceMetadata = z.infer<typeof ServiceMetadata>;

/** An image's metadata after signature and hashes were checked (MF-66). */
export interface ImageMetadata {
  /** Reference as asked for. */
  readonly reference: string;
  /** `sha256:…` of the image manifest. */
  readonly digest: string;
  readonly service: ServiceMetadata;
  /** The other files by path relative to the directory, e.g. `policy.yaml.template`, `chart/Chart.yaml`. */
  readonly files: ReadonlyMap<string, string>;
  /** SHA-256 (hex) of the signer's SPKI. */
  readonly signer: string;
}
