import type { Findings } from "./diagnostic.ts";
import { findNearest } from "./nearest.ts";
import type { SecretDefinition, SecretImport } from "./secret-definition.ts";
import type { UsableSecret } from "./secret-graph.ts";

/** The secrets of one service of a mesh, rendered. */
export interface ServiceSecrets {
  readonly service: string;
  readonly policy: string;
  readonly definitions: readonly SecretDefinition[];
  readonly imports: readonly SecretImport[];
}
/** A resolved import: `secret` of service `from` is `as` in service `to` (MF-77). */
export interface ResolvedImport {
  readonly from: string;
  readonly fromPolicy: string;
  readonly secret: string;
  readonly to: string;
  readonly toPolicy: string;
  readonly as: string;
  readonly definition: SecretDefinition;
  readonly item: SecretImport;
}
export interface SecretSharing {
  readonly imports: readonly ResolvedImport[];
  /** By service and secret: policies that may import it. */
  readonly exports: ReadonlyMap<string, ReadonlyMap<string, readonly string[]>>;
}

/** Finds the owner of every imported name (manifests section 6). */
export function resolveImports(services: readonly ServiceSecrets[], findings: Findings): SecretSharing {
  const imports = services.flatMap((service) =>
    service.imports.map((item) => resolveOne(service, item, services, findings)).filter((found) => found !== undefined),
  );
  const exports = new Map<string, Map<string, string[]>>();
  const exportTo = (service: string, secret: string, policy: string): void => {
    const ofService = exports.get(service) ?? new Map<string, string[]>();
    const policies = ofService.get(secret) ?? [];
    if (!policies.includes(policy)) policies.push(policy);
    exports.set(service, ofService.set(secret, policies));
  };
  for (const { from, secret, toPolicy, definition } of imports) {
    exportTo(from, secret, toPolicy);
    // A certificate brings its key (MF-79), a CA does not (MF-80).
    if (definition.kind === "x509" && definition.privateKey !== undefined) exportTo(from, definition.privateKey.text, toPolicy);
  }
  warnings(services, imports, findings);
  return { imports, exports };
}

function resolveOne(
  service: ServiceSecrets,
  item: SecretImport,
  services: readonly ServiceSecrets[],
  findings: Findings,
): ResolvedImport | undefined {
  const wanted = item.secret?.text ?? item.name.text;
  if (service.definitions.some(({ name }) => name === item.name.text)) {
    findings.add(item.name.at, "E-SECRET-SELF", `${service.service} defines and imports ${item.name.text}`, { expected: "one of the two" });
    return undefined;
  }
  const others = services.filter((other) => other !== service);
  const from = item.from;
  if (from !== undefined && !others.some((other) => other.service === from.text)) {
    findings.add(from.at, "E-SECRET-UNRESOLVED", `no other service is named ${from.text}`, {
      expected: `one of the services of the mesh: ${others.map((other) => other.service).join(", ")}`,
    });
    return undefined;
  }
  const owners = others.flatMap((other) => {
    const definition =
      from !== undefined && other.service !== from.text
        ? undefined
        : other.definitions.find(({ name, local }) => name === wanted && !local);
    return definition === undefined ? [] : [{ other, definition }];
  });
  const [owner, second] = owners;
  if (owner === undefined) {
    const importer = others.find((other) => other.imports.some(({ name }) => name.text === wanted));
    const known = others.flatMap((other) =>
      other.definitions.filter(({ local }) => !local).map(({ name }) => ({ name, service: other.service })),
    );
    const near =
      findNearest(
        wanted,
        known.map(({ name }) => name),
      ) ?? known.find(({ name }) => name.includes(wanted) || wanted.includes(name))?.name;
    const nearOwners = known.filter(({ name }) => name === near).map((each) => each.service);
    findings.add(
      item.name.at,
      "E-SECRET-UNRESOLVED",
      `no other service defines the secret ${wanted}${importer === undefined ? "" : `; ${importer.service} only imports it`}`,
      {
        expected: `one of ${
          known
            .slice(0, 12)
            .map((each) => `${each.name} (${each.service})`)
            .join(", ") || "the secrets that another service defines"
        }`,
        ...(near === undefined ? {} : { hint: `did you mean ${near} of ${nearOwners.join(" or ")}?` }),
      },
    );
    return undefined;
  }
  if (second !== undefined) {
    const names = owners.map(({ other }) => other.service);
    findings.add(item.name.at, "E-SECRET-AMBIGUOUS", `the secret ${wanted} is defined by ${names.join(" and ")}`, {
      expected: `the mapping form, e.g. {name: ${item.name.text}, from: ${names[0]}}`,
    });
    return undefined;
  }
  return {
    from: owner.other.service,
    fromPolicy: owner.other.policy,
    secret: wanted,
    to: service.service,
    toPolicy: service.policy,
    as: item.name.text,
    definition: owner.definition,
    item,
  };
}

function warnings(services: readonly ServiceSecrets[], imports: readonly ResolvedImport[], findings: Findings): void {
  for (const { definition, item, from, secret } of imports) {
    const owner = services.find(({ service }) => service === from);
    const isCaKey = owner?.definitions.some((each) => each.kind === "x509-ca" && each.privateKey?.text === secret);
    if (isCaKey)
      findings.add(item.name.at, "W-CA-KEY-EXPORT", `${secret} is the private key of a CA: whoever has it can issue certificates`);
    if (definition.kind !== "x509-ca" || definition.hasValue) continue;
    const key = owner?.definitions.find(({ name }) => name === definition.privateKey?.text);
    if (key !== undefined && !key.migrate && !key.hasValue) {
      findings.add(
        key.at,
        "W-CA-MIGRATE",
        `the key ${key.name} of the imported CA ${secret} has no migrate: true; after an update, programs that hold the old CA no longer trust new certificates`,
        {
          hint: "add migrate: true",
        },
      );
    }
  }
  const owners = new Map<string, string[]>();
  for (const { service, definitions } of services) {
    for (const { name, local } of definitions) if (!local) owners.set(name, [...(owners.get(name) ?? []), service]);
  }
  for (const [name, names] of owners) {
    if (names.length < 2 || imports.some(({ secret }) => secret === name)) continue;
    const at = services.find(({ service }) => service === names[1])?.definitions.find((each) => each.name === name)?.at;
    if (at !== undefined)
      findings.add(at, "W-SECRET-SHARED-NAME", `the secret ${name} is defined by ${names.join(" and ")}; each has its own`);
  }
}

/** What a service may refer to: its own secrets, then the imported ones with the kinds of their owners. */
export function usableSecrets(
  secrets: ServiceSecrets,
  imports: readonly ResolvedImport[],
  explicit: readonly UsableSecret[],
): Map<string, UsableSecret> {
  const mine = imports.filter(({ to }) => to === secrets.service);
  const usable = new Map<string, UsableSecret>(explicit.map((secret) => [secret.name, secret]));
  for (const definition of secrets.definitions) usable.set(definition.name, { name: definition.name, kind: definition.kind, definition });
  for (const { as, definition, from } of mine) {
    const hasKey =
      definition.kind !== "x509-ca" || mine.some((other) => other.from === from && other.secret === definition.privateKey?.text);
    usable.set(as, { name: as, kind: definition.kind, hasKey });
  }
  return usable;
}
