import type { Findings } from "./diagnostic.ts";
import { type FieldReader, shortText } from "./manifest-reader.ts";
import { findNearest } from "./nearest.ts";

export type ManifestKind = "genservice" | "mesh";

const BUILD_KINDS = /^(?:python|java.*|sconify_image)$/;

/** Checks `apiVersion` (MF-3) and `kind` (MF-4). Returns the kind. */
export function readHeader(fields: FieldReader, findings: Findings): ManifestKind | undefined {
  const version = fields.text("apiVersion", { required: "apiVersion: scone/5.8" });
  if (version !== undefined && version.text !== "vouchsafe/v1") {
    const match = /^scone\/(\d{1,6})\.(\d{1,6})(?:\.\d{1,6})?$/.exec(version.text);
    const expected = "scone/<numbers>, at least scone/5.8";
    if (match === null) findings.add(version.at, "E-API-VERSION", `${shortText(version.text)} is no version of a manifest`, { expected });
    else if (Number(match[1]) < 5 || (Number(match[1]) === 5 && Number(match[2]) < 8)) {
      findings.add(version.at, "E-API-VERSION", `${version.text} is too old`, { expected: "at least 5.8" });
    }
  }
  const kind = fields.text("kind", { required: "kind: genservice or kind: mesh" });
  if (kind === undefined) return undefined;
  if (kind.text === "genservice" || kind.text === "mesh") return kind.text;
  if (kind.text === "genImage" || kind.text === "genAppImage") {
    findings.add(kind.at, "W-FIELD-SYNONYM", `the kind ${kind.text} is an old name`, { expected: "genservice" });
    return "genservice";
  }
  const near = findNearest(kind.text, ["genservice", "mesh"]);
  const hint = BUILD_KINDS.test(kind.text)
    ? { hint: `${kind.text} is a value of build.kind; the kind of the manifest is genservice` }
    : near === undefined
      ? {}
      : { hint: `did you mean ${near}?` };
  findings.add(kind.at, "E-KIND-UNKNOWN", `${shortText(kind.text)} is no kind of manifest`, { expected: "genservice or mesh", ...hint });
  return undefined;
}
