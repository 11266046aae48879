import { readFileSync } from "node:fs";
import { amdSource, bundleFileSource, type HttpSourceOptions, intelSource } from "@vouchsafe/collateral";
import { z } from "zod";
import { CasError } from "../cas-error.ts";
import type { CollateralOptions } from "../collateral/cas-collateral.ts";

const Address = z.url({ protocol: /^https?$/ }).max(2048);
const FilePath = z.string().min(1).max(4095);

/** Section `[collateral]` of the availability configuration. Whom to ask is no matter of trust: every document proves itself. */
export const CollateralText = z.strictObject({
  /** Files of documents, asked first. */
  bundles: z.array(FilePath).max(16).default([]),
  /** Intel's service, or a PCCS. */
  intel: z.array(Address).max(16).default([]),
  /** AMD's service, or a cache of it. */
  amd: z.array(Address).max(16).default([]),
  /** PEM of the authority that certifies these servers; the public ones unless given. */
  ca_certificate_file: FilePath.optional(),
  cache_directory: FilePath.optional(),
  /** Ask nobody: bundles and cache only. */
  offline: z.boolean().default(false),
  update: z.enum(["standard", "early"]).default("standard"),
  max_age_days: z.int().min(1).max(366).default(30),
  refresh_hours: z.int().min(1).max(720).default(24),
  timeout_seconds: z.int().min(1).max(120).default(10),
});

/** Throws CONFIGURATION. */
export function readCollateralConfig(text: z.infer<typeof CollateralText>, file: string): CollateralOptions {
  const http: HttpSourceOptions = {
    timeoutMs: text.timeout_seconds * 1000,
    ...(text.ca_certificate_file === undefined ? {} : { ca: readAuthority(text.ca_certificate_file, file) }),
  };
  const online = [...text.intel.map((url) => intelSource(new URL(url), http)), ...text.amd.map((url) => amdSource(new URL(url), http))];
  return {
    sources: [...text.bundles.map(bundleFileSource), ...(text.offline ? [] : online)],
    isOffline: text.offline,
    cacheDirectory: text.cache_directory,
    update: text.update,
    maxAgeDays: text.max_age_days,
    refreshIntervalMs: text.refresh_hours * 3_600_000,
  };
}

function readAuthority(path: string, file: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new CasError("CONFIGURATION", `${file}: collateral.ca_certificate_file: ${path} cannot be read`, { cause });
  }
}
