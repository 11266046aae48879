import type { BuildPlan } from "../plan.ts";

/** A file that the policy injects. `content` is a template: `{{…}}` when a mesh is applied, `$$SCONE::…$$` when the attested program starts. */
export interface CuratedFile {
  readonly path: string;
  readonly content: string;
  /** As in a policy, e.g. `0o400`. */
  readonly permission: string;
}

/** A variable that a mesh sets (MF-110); without `value` it must. */
export interface CuratedVariable {
  readonly name: string;
  readonly value?: string;
}

/** What distinguishes a curated image (MF-108): a Debian package, how its program is started, and what a mesh has to know of it. */
export interface CuratedImage {
  /** Last component of references, e.g. `redis`. */
  readonly name: string;
  /** Shown to people, e.g. in templates that they copy. */
  readonly title: string;
  readonly packages: readonly string[];
  /** Program at whose place the launcher stands; its name is that of the service inside the policy (MF-90). */
  readonly program: string;
  /** What the policy runs. */
  readonly command: readonly string[];
  readonly files: readonly CuratedFile[];
  /** YAML list in the language of `secrets.yaml.template`. */
  readonly secrets: string;
  readonly variables: readonly CuratedVariable[];
  /** YAML of what it changes in the values of the built-in chart. */
  readonly values: string;
}

const quoted = (value: string): string => JSON.stringify(value);

const content = (text: string): string => (text.includes("\n") ? `|\n${text.replace(/^(?=.)/gm, "          ").trimEnd()}` : quoted(text));

const file = ({ path, content: text, permission }: CuratedFile): string =>
  `      - path: ${path}\n        permission: ${permission}\n        content: ${content(text)}\n`;

const policyTemplate = ({
  title,
  command,
  files,
}: CuratedImage): string => `# Policy of the curated ${title}; {{…}} is filled in when a mesh is applied.
name: "{{session}}"
version: "0.3.12"
services:
  - name: "{{cas_service_name}}"
    image_name: "{{vouchsafe.service}}_image"
    command: [${command.map(quoted).join(", ")}]
    pwd: /
    attestation: "{{attestation}}"
images:
  - name: "{{vouchsafe.service}}_image"
    injection_files:
${files.map(file).join("")}secrets: "{{secrets}}"
security: "{{security}}"
`;

const environment = ({ variables }: CuratedImage): string =>
  `# Variables that the mesh sets, with their defaults.\n${variables
    .map(({ name, value }) => `- {name: ${name}${value === undefined ? "" : `, value: ${quoted(value)}`}}\n`)
    .join("")}`;

/** The plan that builds a curated image under a reference. The same for everybody: nothing in it depends on this machine. */
export const planOf = (image: CuratedImage, reference: string): BuildPlan => ({
  name: image.name,
  kind: "curated",
  reference,
  mode: "production",
  base: { kind: "debian", packages: image.packages },
  command: [image.program],
  workingDirectory: "/",
  copy: [],
  run: [],
  encrypt: false,
  runtimeSettings: {},
  volumes: [],
  aliases: [`${image.name}-scone`],
  metadata: {
    policyTemplate: policyTemplate(image),
    secretsTemplate: `# Keys migrate: who holds the CA goes on trusting this service after an update (MF-42).\n${image.secrets}`,
    environment: environment(image),
    chart: new Map([["values.yaml.template", `# What this service changes in the values of the built-in chart.\n${image.values}`]]),
  },
});
