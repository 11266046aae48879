import { amdSource } from "./amd-source.ts";
import type { CollateralSource } from "./collateral-source.ts";
import { type IntelSourceOptions, intelSource } from "./intel-source.ts";

/** Where Intel and AMD publish what they say about platforms. */
export const INTEL_SERVICE = "https://api.trustedservices.intel.com";
export const AMD_SERVICE = "https://kdsintf.amd.com";

/** Both of them: for whoever was told of no other place. */
export const vendorSources = (options: Pick<IntelSourceOptions, "subscriptionKey"> = {}): readonly CollateralSource[] => [
  intelSource(new URL(INTEL_SERVICE), options),
  amdSource(new URL(AMD_SERVICE)),
];
