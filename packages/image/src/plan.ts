import type { JavaKind } from "./java-base.ts";
import type { ProtectionRule } from "./protection.ts";

/** One file or directory of the user, and where it lies in the program's view. */
export interface CopySource {
  /** Absolute path on this machine; already known to lie inside the manifest's directory. */
  readonly source: string;
  /** Absolute path in the image, below the working directory. */
  readonly target: string;
}

export interface VolumePlan {
  readonly name: string;
  readonly path: string;
  readonly updatePolicy: "ephemeral" | "rollback_protected" | "no_rollback_protection";
  readonly files: "encrypted" | "authenticated-only";
}

/** Where the root file system comes from. */
export type BasePlan =
  /** Assembled from Debian packages that the machine's apt has verified. */
  | {
      readonly kind: "debian";
      readonly packages: readonly string[];
      /** Code name of the Debian release that all packages come from; without it the release of the machine. */
      readonly suite?: string;
    }
  /** Pulled from a registry, or taken from the local repository. */
  | { readonly kind: "image"; readonly reference: string };

/** The text files of `/vouchsafe/mesh`, except `service.json`, which the build writes (MF-64). */
export interface MetadataFiles {
  /** `policy.yaml.template`. */
  readonly policyTemplate: string;
  /** `secrets.yaml.template`. */
  readonly secretsTemplate: string;
  /** `env.yaml`. */
  readonly environment: string;
  /** Files of `chart/`, by path relative to it. */
  readonly chart: ReadonlyMap<string, string>;
}

/** What a policy must know of an earlier image to accept it too (MF-55, MF-94). */
export interface StableVersion {
  /** `sha256:…` of the image manifest. */
  readonly digest: string;
  /** State of its encrypted files, 32 hex digits; absent where it has none. */
  readonly fileSystemTag?: string;
}

/** Everything that decides an image. A plain value: it can be printed, compared, and built twice with the same result (MF-61). */
export interface BuildPlan {
  /** `build.name`. */
  readonly name: string;
  readonly kind: "python" | JavaKind | "curated" | "sconify_image";
  /** Image reference with a tag (`build.to`). */
  readonly reference: string;
  readonly mode: "production" | "debug";
  readonly base: BasePlan;
  /** Program and arguments, with `{{…}}` and `$$SCONE::…$$` as written. */
  readonly command: readonly string[];
  readonly workingDirectory: string;
  readonly copy: readonly CopySource[];
  /** Directory in which links among the copied files must stay; by default the current directory. */
  readonly copyRoot?: string;
  /** Text of the requirements file; `lock` is a `requirements.lock` of an earlier build, used if it belongs to the same text. */
  readonly requirements?: { readonly text: string; readonly lock?: string };
  readonly run: readonly string[];
  /** Whether `copy` is encrypted (MF-59). */
  readonly encrypt: boolean;
  /** `SCONE_…` settings of `environment.local` (MF-37). */
  readonly runtimeSettings: Readonly<Record<string, string>>;
  readonly volumes: readonly VolumePlan[];
  /** `dirs`, `fs_dirs`, `fs_files`, `plains`, `plain_files`, `host_paths`; the longest prefix decides (MF-51). */
  readonly protection?: readonly ProtectionRule[];
  /** The version that must keep running during a rollout (`build.stable`). */
  readonly stable?: StableVersion;
  /** Names under which `helm_extra_values` finds the chart (MF-108). */
  readonly aliases: readonly string[];
  readonly metadata: MetadataFiles;
  /** What a container starts, instead of the launcher: for images of tools, which hold no secret. */
  readonly startsWith?: { readonly entrypoint: readonly string[]; readonly command: readonly string[] };
}

/** What a build needs beside the plan. */
export interface BuildSettings {
  /** Caches and intermediate roots; safe to delete at any time. */
  readonly cacheDir: string;
  /** State directory of the local repository (see `openLocalRepository`). */
  readonly repositoryDir: string;
  /** Bundled runtime (`main.js`), the same for all images. */
  readonly runtimeBundle: string;
  /** Node binary of the runtime; by default the one that runs this program. */
  readonly nodeBinary?: string;
  /** PEM file of the image signing key: RSA 3072, e = 3; created with mode 0600 if absent (MF-66). */
  readonly signingKeyFile: string;
  readonly platformVersion: string;
  /** Key of the encrypted code, 64 hex digits. Without it a random one, unless nothing changed since the last build. */
  readonly codeKey?: string;
  /** Wraps the code key for the builder's identity (MF-59). Must be deterministic for MF-61 to hold; `recipient` names the identity. */
  readonly codeKeyWrap?: { readonly recipient: string; readonly wrap: (codeKey: Uint8Array) => string };
  /** Called when a step starts and when it ends; `cached` steps did no work. */
  readonly progress?: (event: BuildProgress) => void;
  readonly signal?: AbortSignal;
}

export interface BuildProgress {
  readonly step: "base" | "runtime" | "requirements" | "compile" | "run" | "code" | "metadata" | "image";
  readonly state: "started" | "done" | "cached";
  readonly detail?: string;
}

export interface BuiltImage {
  /** Reference with tag, as planned. */
  readonly reference: string;
  /** `sha256:…` of the image manifest. */
  readonly digest: string;
  /** Directory of the OCI layout that holds the image. */
  readonly layoutDir: string;
  /** 64 hex digits, undefined where nothing is encrypted. */
  readonly codeKey: string | undefined;
  /** 32 hex digits: state of the protected files. */
  readonly tag: string | undefined;
  /** Text of `/vouchsafe/mesh/service.json`. */
  readonly serviceJson: string;
  /** `requirements.lock`, undefined without requirements. */
  readonly lock: string | undefined;
  /** Whether the build found everything as it was. */
  readonly unchanged: boolean;
  /** Compressed size of all layers. */
  readonly bytes: number;
}
