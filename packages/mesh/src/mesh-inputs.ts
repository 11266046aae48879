import type { SimulatedKind, Workload } from "@vouchsafe/attestation";
import type { ServiceMetadata } from "@vouchsafe/image";
import type { CasInstance } from "./cas-section.ts";
import type { EvidenceChoice } from "./evidence-choice.ts";
import type { MeshManifest } from "./mesh-manifest.ts";
import type { EvidenceKindName } from "./mesh-record.ts";
import type { BuiltIns } from "./mesh-variables.ts";

/** An image of the mesh with its metadata, and the files of the mesh that replace parts of them. */
export interface MeshImage {
  readonly reference: string;
  readonly digest: string;
  readonly layoutDir?: string;
  readonly service: ServiceMetadata;
  /** Other files of the metadata directory, by relative path. */
  readonly files: ReadonlyMap<string, string>;
  /** Key of the encrypted code, 64 hex digits. */
  readonly codeKey?: string;
  readonly overrides: {
    readonly secrets?: string;
    readonly policy?: string;
    readonly environment?: string;
    /** Files of a chart directory, by relative path. */
    readonly chart?: ReadonlyMap<string, string>;
  };
}

/** Everything a plan depends on beside the manifest. */
export interface MeshInputs {
  /** By service name. */
  readonly images: ReadonlyMap<string, MeshImage>;
  /** `codeIdentity` of the platform version, undefined for a kind whose launch measurement is not known. */
  readonly codeIdentity: (kind: EvidenceKindName, workload: Workload, simulates: SimulatedKind | undefined) => string | undefined;
  /** Kinds from `--evidence` or `VOUCHSAFE_EVIDENCE`; they win over the mesh. */
  readonly evidence: EvidenceChoice | undefined;
  readonly mode: "production" | "debug";
  readonly release: string | undefined;
  readonly releaseVersion: number;
  readonly platformVersion: string;
  /** Image of init containers. */
  readonly platformImage: string;
  /** The client: hash of its connection key, its signing key as PEM, and a secret 16-byte salt for each policy (MF-100). */
  readonly client: { readonly keyHash: string; readonly signer: string; readonly salt: (policy: string) => string };
  /** Texts of `extra_policies`, by path. */
  readonly extraPolicies: ReadonlyMap<string, string>;
}

/** What every step of the planning shares. */
export interface MeshContext {
  readonly mesh: MeshManifest;
  readonly inputs: MeshInputs;
  readonly namespace: string;
  readonly cas: CasInstance;
  readonly casNames: BuiltIns;
  readonly evidence: EvidenceChoice;
  /** The kinds were named, not left to the default: each must be possible. */
  readonly isEvidenceNamed: boolean;
}
