export { bundleFileSource, readBundleFile } from "./bundle/bundle-file.ts";
export { bundleSource, type CollateralBundle, encodeBundle, parseBundle } from "./bundle/collateral-bundle.ts";
export { DiskCache } from "./cache/disk-cache.ts";
export type { DocumentStore } from "./cache/document-store.ts";
export type { CollateralDocument } from "./collateral-document.ts";
export { CollateralError } from "./collateral-error.ts";
export { type CollateralForOptions, collateralFor } from "./collateral-for.ts";
export { CollateralRequest, intelRequests, requestKey, type TcbUpdate, vcekRequest } from "./collateral-request.ts";
export { describeForecast, type ForecastRow, type ForecastState } from "./forecast/describe-forecast.ts";
export { type ForecastOutcome, type ForecastSettings, forecastFromProvider } from "./forecast/forecast-from-provider.ts";
export {
  type ForecastCause,
  forecastPlatform,
  isFallen,
  type PlatformForecast,
  STANDARD_DELAY_DAYS,
} from "./forecast/forecast-platform.ts";
export { type CollateralEvent, CollateralProvider, type DocumentStatus, type ProviderOptions } from "./provider/collateral-provider.ts";
export { type EvaluationFloors, memoryFloors } from "./provider/evaluation-floors.ts";
export { forwardClock } from "./provider/forward-clock.ts";
export { amdSource } from "./sources/amd-source.ts";
export type { CollateralSource } from "./sources/collateral-source.ts";
export { type HttpSourceOptions, type IntelSourceOptions, intelSource } from "./sources/intel-source.ts";
export { AMD_SERVICE, INTEL_SERVICE, vendorSources } from "./sources/vendor-services.ts";
export { type VerifiedDocument, verifyDocument } from "./verify-document.ts";
