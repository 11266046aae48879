import { z } from "zod";

/*
 * The parts of the OCI image specification (v1.1) that we read and write. What others may add is kept out of the way (`looseObject`), what we
 * rely on is checked.
 */
export const MEDIA_TYPES = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  layerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
} as const;

const Digest = z.string().regex(/^sha256:[0-9a-f]{64}$/);
const Annotations = z.record(z.string(), z.string());

export const Descriptor = z.looseObject({
  mediaType: z.string().max(255),
  digest: Digest,
  size: z.int().min(0),
  annotations: Annotations.optional(),
});
export type Descriptor = z.infer<typeof Descriptor>;

export const ImageManifest = z.looseObject({
  schemaVersion: z.literal(2),
  mediaType: z.string().optional(),
  config: Descriptor,
  layers: z.array(Descriptor).max(512),
  annotations: Annotations.optional(),
});
export type ImageManifest = z.infer<typeof ImageManifest>;

export const ImageIndex = z.looseObject({
  schemaVersion: z.literal(2),
  manifests: z
    .array(
      Descriptor.extend({
        platform: z.looseObject({ architecture: z.string(), os: z.string(), variant: z.string().optional() }).optional(),
      }),
    )
    .max(4096),
});
export type ImageIndex = z.infer<typeof ImageIndex>;

export const ImageConfig = z.looseObject({
  architecture: z.string(),
  os: z.string(),
  config: z
    .looseObject({
      Env: z.array(z.string()).nullish(),
      Entrypoint: z.array(z.string()).nullish(),
      Cmd: z.array(z.string()).nullish(),
      WorkingDir: z.string().nullish(),
      User: z.string().nullish(),
      Labels: Annotations.nullish(),
    })
    .optional(),
  rootfs: z.looseObject({ type: z.literal("layers"), diff_ids: z.array(Digest).max(512) }),
});
export type ImageConfig = z.infer<typeof ImageConfig>;

/** Architecture in OCI's words for the machine that builds. */
export const HOST_ARCHITECTURE = process.arch === "x64" ? "amd64" : process.arch;
