/** What this CAS calls itself in answers, Evidence and the log. */
export const CAS_VERSION = "0.1.0";
/** Set by the build; a source tree has neither commit nor time. */
export const CAS_COMMIT = process.env["VOUCHSAFE_COMMIT"] ?? "source";
export const CAS_BUILT = process.env["VOUCHSAFE_BUILT"] ?? "unbuilt";
export const LANGUAGE_VERSIONS = ["0.3.12"] as const;

/** A revision of the software of a CAS. */
export interface Software {
  readonly version: string;
  /** One more with each release that closes a hole: software with a lower one never gets what was sealed for a higher one (C-79). */
  readonly securityVersion: number;
}

export const CAS_SOFTWARE: Software = { version: CAS_VERSION, securityVersion: 1 };
