import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { verifyImageSignature } from "@vouchsafe/image";
import { CliError } from "../../cli-error.ts";
import { givenValue, type ParsedOptions } from "../../command-spec.ts";
import type { Shell } from "../../shell.ts";

/**
 * With --verify-image-signatures the image must be signed by the key in that file, and is pinned to what was signed: nobody can put another one under the
 * same tag afterwards. Without the option the image comes back as it is. Throws E-FILE-MISSING, E-OPTION-VALUE, E-IMAGE-SIGNATURE, E-IMAGE-PULL.
 */
export async function signedImage(
  image: string | undefined,
  options: ParsedOptions,
  { directory, note }: Shell,
): Promise<string | undefined> {
  const file = givenValue(options, "verify-image-signatures");
  if (file === undefined) return image;
  if (image === undefined) {
    throw new CliError("E-OPTION-VALUE", "--verify-image-signatures: no image is named whose signature could be verified", {
      remedy: "Set SCONECTL_REPO, give --image-registry or --image-overwrite, or name the image in the manifest.",
    });
  }
  const key = await readFile(resolve(directory, file), "utf8").catch((cause: unknown) => {
    throw new CliError("E-FILE-MISSING", `${file} cannot be read`, { cause, remedy: "Name the public key of whoever signs the images." });
  });
  const pinned = await verifyImageSignature(image, key);
  note(`${pinned} is signed by the key in ${file}`);
  return pinned;
}
