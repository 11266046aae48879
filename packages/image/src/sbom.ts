import { createHash } from "node:crypto";
import type { DebianPackage } from "./debian-packages.ts";

/** File of the metadata directory that lists what is in the image. */
export const SBOM_FILE = "sbom.spdx.json";

interface Component {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** Package URL (purl-spec). */
  readonly purl: string;
}

const debianComponent = ({ name, version, sha256 }: Pick<DebianPackage, "name" | "version" | "sha256">): Component => ({
  ...{ name, version, sha256 },
  purl: `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}`,
});

function pythonComponent(line: string): Component[] {
  const match = /^([A-Za-z0-9._-]+)==(\S+) --hash=sha256:([0-9a-f]{64})$/.exec(line);
  if (match === null) return []; // the header of the lock
  const [, name = "", version = "", sha256 = ""] = match;
  return [{ name, version, sha256, purl: `pkg:pypi/${name}@${encodeURIComponent(version)}` }];
}

/** Identifiers of SPDX consist of letters, digits, `.` and `-`. */
const identifier = (purl: string): string => `SPDXRef-${purl.replaceAll(/[^A-Za-z0-9.]+/g, "-")}`;

/**
 * What an image consists of beside the user's own files, as an SPDX 2.3 document in JSON. Deterministic: the date is fixed, and the namespace, which
 * must differ from document to document, is derived from the content.
 */
export function renderSbom(
  image: { readonly name: string; readonly platformVersion: string },
  packages: readonly Pick<DebianPackage, "name" | "version" | "sha256">[],
  lock: string | undefined,
): string {
  const node: Component = { name: "node", version: process.versions.node, sha256: "", purl: `pkg:npm/node@${process.versions.node}` };
  const components = [node, ...packages.map(debianComponent), ...(lock ?? "").split("\n").flatMap(pythonComponent)];
  const described = "SPDXRef-Image";
  const content = {
    packages: [
      { SPDXID: described, name: image.name, downloadLocation: "NOASSERTION", filesAnalyzed: false, primaryPackagePurpose: "CONTAINER" },
      ...components.map(({ name, version, sha256, purl }) => ({
        ...{ SPDXID: identifier(purl), name, versionInfo: version, downloadLocation: "NOASSERTION", filesAnalyzed: false },
        ...(sha256 === "" ? {} : { checksums: [{ algorithm: "SHA256", checksumValue: sha256 }] }),
        externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: purl }],
      })),
    ],
    relationships: components.map(({ purl }) => ({
      ...{ spdxElementId: described, relationshipType: "CONTAINS", relatedSpdxElement: identifier(purl) },
    })),
  };
  const digest = createHash("sha256").update(JSON.stringify(content)).digest("hex");
  const document = {
    ...{ spdxVersion: "SPDX-2.3", dataLicense: "CC0-1.0", SPDXID: "SPDXRef-DOCUMENT", name: image.name },
    documentNamespace: `https://vouchsafe.dev/spdx/${encodeURIComponent(image.name)}-${digest}`,
    creationInfo: { created: "2020-01-01T00:00:00Z", creators: [`Tool: vouchsafe-${image.platformVersion}`] },
    documentDescribes: [described],
    ...content,
  };
  return `${JSON.stringify(document, null, 1)}\n`;
}
