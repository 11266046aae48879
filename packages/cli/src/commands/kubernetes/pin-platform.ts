import { ImageError, pinImage } from "@vouchsafe/image";
import { type Cluster, findInstalledImages, type PlatformSettings } from "@vouchsafe/kubernetes";
import type { Shell } from "../../shell.ts";

/**
 * Names the images of operator and node agents by their digests, so that another image behind the same tag is another wish, and the same one is none:
 * pods are replaced when, and only when, there is something new. Where the registry does not answer this machine (it may answer the nodes all the same)
 * the tag stays, or the digest that is installed under it. The image of a CAS keeps its tag: its owner upgrades it (`kubectl provision --upgrade`).
 */
export async function pinPlatform(settings: PlatformSettings, cluster: Cluster, { note }: Pick<Shell, "note">): Promise<PlatformSettings> {
  let installed: Promise<readonly string[]> | undefined;
  const pin = async (image: string): Promise<string> => {
    try {
      return await pinImage(image);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      installed ??= findInstalledImages(cluster, settings.namespace);
      const present = (await installed).find((each) => each.startsWith(`${image}@`));
      note(
        `warning: ${error.message}; ${present === undefined ? `the nodes are given the tag ${image}` : `what is installed stays: ${present}`}`,
      );
      return present ?? image;
    }
  };
  const { operator, las, cas } = settings.images;
  return { ...settings, images: { operator: await pin(operator), las: await pin(las), cas } };
}
