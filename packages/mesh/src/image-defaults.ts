import { Findings } from "./diagnostic.ts";
import { parseManifestYaml } from "./manifest-yaml.ts";
import type { MeshImage } from "./mesh-inputs.ts";
import type { PlainMapping } from "./plain-value.ts";
import { expandConditions } from "./render-template.ts";
import { readDeclarations } from "./service-manifest.ts";
import { child } from "./service-policy.ts";

/** What an image wants of a mesh: variables without and with default, imported secrets (CL-24). */
export function imageDefaults(image: MeshImage | undefined): PlainMapping {
  const findings = new Findings();
  const list = (text: string | undefined) => {
    const node = text === undefined ? undefined : parseManifestYaml(text, "", findings, "any");
    return node?.kind === "list" ? node.items : [];
  };
  const declarations = readDeclarations(list(image?.overrides.environment ?? image?.files.get("env.yaml")), new Map(), {}, findings);
  // All that may be wanted: what stands under a condition as well.
  const secrets = list(expandConditions(image?.overrides.secrets ?? image?.files.get("secrets.yaml.template") ?? "[]", () => true));
  return {
    required: declarations.filter(({ value }) => value === undefined).map(({ name }) => name),
    defaults: Object.fromEntries(declarations.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value.text]]))),
    imports: secrets.flatMap((item) => {
      const name = child(item, "import") === undefined ? undefined : child(item, "name");
      return name?.kind === "scalar" ? [name.text] : [];
    }),
  };
}
