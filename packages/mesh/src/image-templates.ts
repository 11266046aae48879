import { Document, visit } from "yaml";
import { type PlainMapping, type PlainValue, toPlainValue } from "./plain-value.ts";
import { isChartControl, parseSize, reachesProgram } from "./runtime-setting.ts";
import type { Declaration, ServiceManifest } from "./service-manifest.ts";

/** The text files of an image's metadata directory (MF-64). */
export interface ImageTemplates {
  readonly policyTemplate: string;
  readonly secretsTemplate: string;
  readonly environment: string;
  readonly chart: ReadonlyMap<string, string>;
}

export const POLICY_VERSION = "0.3.12";
/** Memory of the launcher beside the program's own. */
const LAUNCHER_MEMORY_BYTES = 128 * 1024 * 1024;

/** The templates of an image built from a manifest: everything that the mesh needs of the manifest, with placeholders left in place. */
export function imageTemplates(manifest: ServiceManifest, workingDirectory: string, customPolicy?: string): ImageTemplates {
  return {
    policyTemplate: customPolicy ?? standardPolicyTemplate(manifest, workingDirectory),
    secretsTemplate: toYaml(
      secretItems(manifest),
      "Secrets of the service in the terms of the policy language; an import without session is resolved by the mesh.",
    ),
    environment: toYaml(manifest.environment.global.map(declaration), "Variables that the mesh sets, with their defaults."),
    chart: new Map([
      ["values.yaml.template", toYaml(chartValues(manifest), "What this service changes in the values of the built-in chart.")],
    ]),
  };
}

/** Texts that no YAML version reads as anything else; all others are quoted, for Helm still reads YAML 1.1 (`yes`, `0644`, `1:30`). */
const PLAIN = /^(?!(?:y|n|yes|no|on|off|true|false|null)$)[A-Za-z/$_][A-Za-z0-9 /$_.,:@=+-]*$/i;

/** YAML of a value, the same for every YAML version. */
export function toYaml(value: PlainValue, comment?: string): string {
  const document = new Document(value, { version: "1.2", aliasDuplicateObjects: false });
  visit(document, {
    Scalar: (_key, node) => {
      if (typeof node.value === "string" && !node.value.includes("\n") && !PLAIN.test(node.value)) node.type = "QUOTE_DOUBLE";
    },
  });
  const text = document.toString({ lineWidth: 0 });
  return comment === undefined ? text : `# ${comment}\n${text}`;
}

function standardPolicyTemplate({ build, environment, injectionFiles }: ServiceManifest, workingDirectory: string): string {
  const variables: [string, string][] = [
    ...environment.local.filter(({ name }) => reachesProgram(name)).map(({ name, value }): [string, string] => [name, value.text]),
    ...environment.global.filter(({ name }) => reachesProgram(name)).map(({ name }): [string, string] => [name, `{{${name}}}`]),
  ];
  const image: PlainMapping = {
    name: "{{vouchsafe.service}}_image",
    ...(injectionFiles.length === 0
      ? {}
      : {
          injection_files: injectionFiles.map(({ path, content, permission }) => ({
            path: path.text,
            ...(content === undefined ? {} : { content: content.text }),
            ...(permission === undefined ? {} : { permission }),
          })),
        }),
    ...(build.volumes.length === 0
      ? {}
      : { volumes: build.volumes.map(({ name, path, updatePolicy }) => ({ name, path, update_policy: updatePolicy })) }),
  };
  const policy: PlainMapping = {
    name: "{{session}}",
    version: POLICY_VERSION,
    services: [
      {
        name: "{{cas_service_name}}",
        image_name: "{{vouchsafe.service}}_image",
        command: [...build.command],
        pwd: workingDirectory,
        ...(variables.length === 0 ? {} : { environment: Object.fromEntries(variables) }),
        attestation: "{{attestation}}",
      },
    ],
    images: [image],
    ...(build.volumes.length === 0
      ? {}
      : {
          volumes: build.volumes.map(({ name, import: imported, exports, files }) => ({
            name,
            ...(imported === undefined ? {} : { import: { ...imported } }),
            ...(exports.length === 0 ? {} : { export: exports.map((each) => ({ ...each })) }),
            ...(files === "encrypted" ? {} : { files }),
          })),
        }),
    secrets: "{{secrets}}",
    security: "{{security}}",
  };
  return toYaml(policy, `Policy of the service ${build.name.text}; {{…}} is filled in when a mesh is applied.`);
}

function secretItems({ secrets }: ServiceManifest): PlainValue[] {
  const own = secrets.definitions.map(({ node, local }): PlainValue => {
    const plain = toPlainValue(node);
    return local && typeof plain === "object" && plain !== null && !Array.isArray(plain) ? { ...plain, local: true } : plain;
  });
  const imports = secrets.imports.map(
    ({ name, from, secret }): PlainValue => ({
      name: name.text,
      import: { ...(from === undefined ? {} : { from: from.text }), ...(secret === undefined ? {} : { secret: secret.text }) },
    }),
  );
  return [...own, ...imports];
}

const declaration = ({ name, value }: Declaration): PlainValue => ({ name, ...(value === undefined ? {} : { value: value.text }) });

/** Chart controls of the environment (MF-38), as overrides of the built-in chart's values. */
function chartValues({ environment, build }: ServiceManifest): PlainMapping {
  const controls = new Map<string, string>();
  for (const { name, value } of environment.local) controls.set(name, value.text);
  for (const { name } of environment.global) if (isChartControl(name) || name.startsWith("SCONE_")) controls.set(name, `{{${name}}}`);
  const values = new Map<string, PlainValue>();
  const containers = [1, 2].flatMap((index): [string, PlainValue][] => {
    const enabled = controls.get(`INIT_CONTAINER${index}_ENABLE`);
    if (enabled === undefined) return [];
    return [
      [
        `container${index}`,
        { enabled, host: controls.get(`INIT_CONTAINER${index}`) ?? "", port: controls.get(`INIT_CONTAINER${index}_PORT`) ?? "" },
      ],
    ];
  });
  if (containers.length > 0) values.set("initContainers", Object.fromEntries(containers));
  const scone = [
    ["SCONE_LOG", "scone_log"],
    ["SCONE_VERSION", "scone_version"],
  ].flatMap(([name = "", key = ""]): [string, PlainValue][] => {
    const value = controls.get(name);
    return value === undefined ? [] : [[key, value]];
  });
  if (scone.length > 0) values.set("scone", Object.fromEntries(scone));
  const port = controls.get("PYTHON_SERVICE_PORT");
  if (port !== undefined) values.set("service", { port });
  const restart = controls.get("restartPolicy");
  if (restart !== undefined) values.set("jobs", { restartPolicy: restart });
  const heap = parseSize(controls.get("SCONE_HEAP") ?? "");
  if (heap !== undefined) values.set("memoryBytes", heap + LAUNCHER_MEMORY_BYTES);
  if (build.volumes.length > 0)
    values.set("volumes", Object.fromEntries(build.volumes.map(({ name, path }) => [name, { mountPath: path }])));
  return Object.fromEntries(values);
}
