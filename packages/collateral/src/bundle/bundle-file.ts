import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { CollateralError } from "../collateral-error.ts";
import type { CollateralSource } from "../sources/collateral-source.ts";
import { BUNDLE_MAX_BYTES, bundleSource, type CollateralBundle, parseBundle } from "./collateral-bundle.ts";

/** Throws CollateralError COLLATERAL_BUNDLE. */
export async function readBundleFile(file: string): Promise<CollateralBundle> {
  const unreadable = (cause: unknown): never => {
    throw new CollateralError("COLLATERAL_BUNDLE", `${file} cannot be read`, {
      cause,
      remedy: "Name a bundle that exists and that you may read.",
    });
  };
  const { size } = await stat(file).catch(unreadable);
  if (size > BUNDLE_MAX_BYTES)
    throw new CollateralError("COLLATERAL_BUNDLE", `${file} has ${size} bytes, at most ${BUNDLE_MAX_BYTES} allowed`);
  return parseBundle(await readFile(file, "utf8").catch(unreadable), file);
}

/** A bundle as source; read again when the file is replaced. */
export function bundleFileSource(file: string): CollateralSource {
  let known: { readonly stamp: string; readonly bundle: CollateralBundle } | undefined;
  return bundleSource(basename(file), async () => {
    const stamp = await stat(file).then(
      ({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`,
      () => "absent", // readBundleFile says it properly
    );
    if (known?.stamp !== stamp) known = { stamp, bundle: await readBundleFile(file) };
    return known.bundle;
  });
}
