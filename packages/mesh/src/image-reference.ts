import type { Findings } from "./diagnostic.ts";
import { type PlacedText, shortText } from "./manifest-reader.ts";
import { refuseShellVariables } from "./placeholder.ts";

const HOST = /^(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::\d{1,5})?$/;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*$/;
const TAG = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/;

/** An image reference; without tag it gets `latest`. A digest is refused where `digest` is false. Findings: `E-IMAGE-REF`, `E-VAR-SHELL`. */
export function checkImageReference(text: PlacedText, findings: Findings, digest: boolean): string | undefined {
  if (refuseShellVariables(text, findings)) return undefined;
  const refuse = (message: string, expected: string, hint?: string): undefined => {
    findings.add(text.at, "E-IMAGE-REF", `${shortText(text.text)} ${message}`, { expected, ...(hint === undefined ? {} : { hint }) });
    return undefined;
  };
  const [name = "", hash] = text.text.split("@");
  if (hash !== undefined && !digest) return refuse("has a digest", "a reference with a tag and no digest");
  if (hash !== undefined && !/^sha256:[0-9a-f]{64}$/.test(hash)) return refuse("has a bad digest", "sha256: and 64 hex digits");
  const slash = name.lastIndexOf("/");
  const colon = name.indexOf(":", slash + 1);
  const repository = colon === -1 ? name : name.slice(0, colon);
  const tag = colon === -1 ? undefined : name.slice(colon + 1);
  if (tag === "") return refuse("has an empty tag", "a tag after the colon", "a shell variable of the template was likely empty");
  if (tag !== undefined && !TAG.test(tag)) return refuse("has a bad tag", "letters, digits, '.', '_' and '-'");
  const parts = repository.split("/");
  const first = parts[0] ?? "";
  const hasHost = parts.length > 1 && HOST.test(first) && (/[.:]/.test(first) || first === "localhost");
  const path = hasHost ? parts.slice(1) : parts;
  const bad = path.find((part) => !COMPONENT.test(part));
  if (bad === undefined) return tag === undefined && hash === undefined ? `${text.text}:latest` : text.text;
  if (COMPONENT.test(bad.toLowerCase())) return refuse("has capital letters in its repository", "lower case");
  return refuse(
    "is no image reference",
    "[host[:port]/]path[:tag]",
    bad === "" ? "a shell variable of the template was likely empty" : undefined,
  );
}
