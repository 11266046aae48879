import { ImageError, type ImageMetadata, type StableVersion } from "@vouchsafe/image";
import { Findings, type ServiceManifest } from "@vouchsafe/mesh";
import { findCodeKey, type ImageSources, obtainImageMetadata } from "./mesh-images.ts";

/** The image of `build.stable`, and the key that the new version must share with it, where its program is encrypted. */
export interface StableImage {
  readonly version: StableVersion;
  readonly codeKey: string | undefined;
}

/**
 * Looks up the version that must keep running during a rollout (MF-55). One policy gives one code key to both versions, so the new one is encrypted
 * with the key of the old one. Problems are reported as E-STABLE at the field; the result is then undefined.
 */
export async function obtainStableImage({ build }: ServiceManifest, sources: ImageSources): Promise<StableImage | undefined> {
  const { stable } = build;
  if (stable === undefined) return undefined;
  const findings = new Findings();
  const refuse = (message: string, expected: string, hint?: string): undefined => {
    findings.add(stable.at, "E-STABLE", message, { expected, ...(hint === undefined ? {} : { hint }) });
    sources.context.report.add(findings.list());
  };
  let metadata: ImageMetadata;
  try {
    metadata = await obtainImageMetadata(stable.text, sources);
  } catch (error) {
    if (!(error instanceof ImageError)) throw error;
    return refuse(
      `the image ${stable.text} has no metadata that can be used: ${error.message}`,
      "an earlier image of this service",
      error.remedy,
    );
  }
  const { service, digest } = metadata;
  if (service.name !== build.name.text)
    return refuse(`the image ${stable.text} is of the service ${service.name}`, `an earlier image of ${build.name.text}`);
  const isEncrypted = service.fileSystem !== undefined;
  if (isEncrypted !== build.encrypt) {
    return refuse(
      `the image ${stable.text} was built with encrypt: ${isEncrypted}, this one has encrypt: ${build.encrypt}`,
      "the same setting in both, because one policy serves both",
    );
  }
  if (service.fileSystem === undefined) return { version: { digest }, codeKey: undefined };
  const codeKey = await findCodeKey(metadata, sources);
  if (codeKey === undefined) {
    return refuse(
      `the code key of ${stable.text} is not available`,
      "an image that was built in this target directory or by this client",
      "take over target/services or the client configuration from where it was built",
    );
  }
  return { version: { digest, fileSystemTag: service.fileSystem.tag }, codeKey };
}
