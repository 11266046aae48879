import { MESH_OPTIONS, SERVICE_OPTIONS } from "./apply-options.ts";
import type { CommandFunction, CommandSpec } from "./command-spec.ts";

const load = (restricted?: "genservice" | "mesh") => async (): Promise<CommandFunction> => {
  const { apply } = await import("./commands/apply.ts");
  return ({ operands }, shell) => apply(operands, shell, restricted);
};

/** `apply` takes the options of the manifest's kind: its own parser looks at the manifest first (CL-14). */
export const APPLY: CommandSpec = {
  name: "apply",
  summary: "Builds the image of a service (kind genservice) or protects an application (kind mesh).",
  options: [],
  examples: [
    "apply -f service.yaml",
    "apply -f service.yaml --no-push -v",
    "apply -f mesh.yaml --release clinic",
    "apply -f mesh.yaml --evidence node --dry-run",
  ],
  parsesItself: true,
  load: load(),
};
export const GENSERVICE: CommandSpec = {
  name: "genservice",
  summary: "apply, restricted to service manifests (default file: Manifest.yaml).",
  options: SERVICE_OPTIONS,
  examples: ["genservice -f service.yaml"],
  parsesItself: true,
  load: load("genservice"),
};
export const MESH: CommandSpec = {
  name: "mesh",
  summary: "apply, restricted to mesh manifests (default file: Meshfile.yaml).",
  options: MESH_OPTIONS,
  examples: ["mesh -f mesh.yaml --release clinic"],
  parsesItself: true,
  load: load("mesh"),
};
