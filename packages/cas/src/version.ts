/** What this CAS calls itself in answers, Evidence and the log. */
export const CAS_VERSION = "0.1.0";
/** Set by the build; a source tree has neither commit nor time. */
export const CAS_COMMIT = process.env["VOUCHSAFE_COMMIT"] ?? "source";
export const CAS_BUILT = process.env["VOUCHSAFE_BUILT"] ?? "unbuilt";
export const LANGUAGE_VERSIONS = ["0.3.12"] as const;
