import { hostArgument, IDENTITY_KINDS, type Image, type Placeholder, type Service, type Session, type Volume } from "@vouchsafe/policy";
import type { Configuration, FileConfiguration, VolumeConfiguration } from "@vouchsafe/protocol";
import type { StoredSecret } from "@vouchsafe/secrets";
import {
  currentKey,
  fileSystemTagKey,
  type SessionValues,
  type SessionVersion,
  type TagRecord,
  valuesKey,
  volumeTagKey,
} from "../sessions/session-records.ts";
import type { Reader } from "../store/row-store.ts";
import { fillFile, fillText, type SecretSource, secretValue, ValueError } from "../values/secret-source.ts";

export interface DeliveryFacts {
  readonly version: SessionVersion;
  readonly service: Service;
  readonly source: SecretSource;
  readonly isAttested: boolean;
  readonly warnings: readonly string[];
}

const KEY_BYTES = 32;

/** Everything the service gets (C-42): texts filled in, keys and tags as they are now. Throws ValueError. */
export async function buildConfiguration(reader: Reader, facts: DeliveryFacts): Promise<Configuration> {
  const { version, service, source } = facts;
  const { session } = version;
  const image = session.images.find(({ name }) => name === service.imageName);
  const fileSystem = await fileSystemConfiguration(reader, facts);
  const volumes: VolumeConfiguration[] = [];
  for (const mount of image?.volumes ?? []) volumes.push(await volumeConfiguration(reader, version, mount, source));
  return {
    session: session.name,
    service: service.name,
    sessionHash: version.hash,
    attested: facts.isAttested,
    ...commandLine(service, source),
    ...variables(service, source),
    workingDirectory: service.pwd,
    ...(fileSystem === undefined ? {} : { fileSystem }),
    volumes,
    files: (image?.injectionFiles ?? []).map((file) => fileConfiguration(file, source)),
    templateValues: templateValues(session, image, source),
    secretApi: [...(image?.provideSecrets ?? [])],
    warnings: [...facts.warnings],
  };
}

/** Host markers are recognised before placeholders are replaced (SL-70). */
function commandLine({ command }: Service, source: SecretSource): Pick<Configuration, "arguments" | "hostArguments"> {
  const hostArguments: { at: number; hostArgument: number }[] = [];
  const list = command.map((argument, at) => {
    const marker = hostArgument(argument);
    if (marker === undefined) return fillText(argument, source, `argument ${at}`);
    hostArguments.push({ at, hostArgument: marker });
    return "";
  });
  return { arguments: list, hostArguments };
}

function variables({ environment }: Service, source: SecretSource): Pick<Configuration, "environment" | "hostVariables"> {
  const fixed = environment.filter(({ fromHost }) => !fromHost);
  return {
    environment: Object.fromEntries(fixed.map(({ name, value }) => [name, fillText(value, source, `variable ${name}`)])),
    hostVariables: environment.filter(({ fromHost }) => fromHost).map(({ name }) => name),
  };
}

function fileConfiguration(
  { path, source: content, permission }: Image["injectionFiles"][number],
  source: SecretSource,
): FileConfiguration {
  if (content.kind === "image") return { path, content: null, permission };
  if (content.kind === "raw") return { path, content: content.base64, permission };
  return { path, content: fillFile(content.text, source, `file ${path}`).toBase64(), permission };
}

/** SL-170: all secrets of the session, or exactly the listed ones; only needed where a template file is read from the image. */
function templateValues(session: Session, image: Image | undefined, source: SecretSource): Record<string, string> {
  for (const name of image?.provideSecrets ?? []) {
    const problem = source.problems.get(name);
    if (problem !== undefined) throw new ValueError(`provide_secrets: secret ${name}: ${problem}`);
  }
  if (image === undefined || !image.injectionFiles.some(({ source: from }) => from.kind === "image")) return {};
  const identity = source.values.has("self::certificate") ? IDENTITY_KINDS.keys() : [];
  const names = image.provideSecrets ?? [...session.secrets.map(({ name }) => name), ...identity];
  return Object.fromEntries(names.flatMap((name) => formatsOf(name, source)));
}

const CERTIFICATE_FORMATS = [
  "",
  ":crt",
  ":crt:pem",
  ":crt:der",
  ":privatekey",
  ":privatekey:pem",
  ":privatekey:pkcs8:pem",
  ":privatekey:der",
  ":privatekey:pkcs8:der",
  ":chain",
];

const FORMATS: Readonly<Record<StoredSecret["kind"], readonly string[]>> = {
  ascii: ["", ":previous"],
  binary: ["", ":bin", ":hex", ":base64", ":base64url", ":base32", ":base32nopad", ":previous", ":previous:hex", ":previous:base64"],
  "private-key": ["", ":pem", ":pkcs8:pem", ":der", ":pkcs8:der", ":previous"],
  "public-key": ["", ":spki:pem", ":spki:der"],
  x509: CERTIFICATE_FORMATS,
  "x509-ca": CERTIFICATE_FORMATS,
  "pgp-key": [
    ":privatekey:asciiarmored",
    ":publickey:asciiarmored",
    ":privatekey:binary",
    ":publickey:binary",
    ":privatekey:base64",
    ":publickey:base64",
  ],
  "config-fragment": [],
};

/** One secret in every format, keyed as between `$$SCONE::` and `$$`. A format that cannot be had (a key that stayed away) is left out. */
export function formatsOf(name: string, source: SecretSource): [string, string][] {
  const made = source.made.get(name);
  if (made !== undefined) return [[name, Buffer.from(made).toBase64()]];
  const stored = source.values.get(name);
  const kind = stored?.kind ?? source.empty?.get(name);
  if (kind === undefined || kind === "jwt" || kind === "aad-token") return [];
  return FORMATS[kind].flatMap((format): [string, string][] => {
    if (format.startsWith(":privatekey") && stored !== undefined && "certificate" in stored && stored.privateKey === undefined) return [];
    if (format.startsWith(":previous") && !(stored !== undefined && "previous" in stored && stored.previous?.length)) return [];
    const value = secretValue({ secret: name, format: format === "" ? undefined : format.slice(1) }, source);
    return [[`${name}${format}`, Buffer.from(value).toBase64()]];
  });
}

async function fileSystemConfiguration(reader: Reader, { version, service, source }: DeliveryFacts): Promise<Configuration["fileSystem"]> {
  const { fileSystem } = service;
  if (fileSystem === undefined) return undefined;
  const reported = await reader.get<TagRecord>(fileSystemTagKey(version.name, service.name));
  const currentTag = reported !== undefined && reported.tag !== fileSystem.tag ? reported.tag : null;
  return {
    path: fileSystem.path,
    key: keyHex(fileSystem.key, source, `fspf_key of service ${service.name}`),
    tag: fileSystem.tag ?? null,
    currentTag,
    updatePolicy: fileSystem.updatePolicy,
  };
}

async function volumeConfiguration(
  reader: Reader,
  version: SessionVersion,
  mount: Image["volumes"][number],
  source: SecretSource,
): Promise<VolumeConfiguration> {
  const { owner, volume, policy } = await findVolume(reader, version, mount);
  const reported = await reader.get<TagRecord>(volumeTagKey(owner.name, volume.name));
  const common = { name: mount.name, path: mount.path, policy };
  if (volume.source.kind === "explicit") {
    if (owner.name !== version.name && typeof volume.source.key !== "string")
      throw new ValueError(`volume ${volume.name}: its key cannot be shared`);
    const key = keyHex(volume.source.key, source, `fspf_key of volume ${volume.name}`);
    return { ...common, key, tag: reported?.tag ?? volume.source.tag, mode: "encrypted" };
  }
  const key = (await reader.get<SessionValues>(valuesKey(owner.name)))?.volumeKeys[volume.name];
  if (key === undefined || volume.source.kind !== "auto") throw new ValueError(`volume ${volume.name} of session ${owner.name} has no key`);
  return { ...common, key, tag: reported?.tag ?? null, mode: volume.source.files };
}

type UpdatePolicy = VolumeConfiguration["policy"];

/** SL-165: what an importer may choose below what the exporter allows. */
const ALLOWED: Readonly<Record<UpdatePolicy, readonly UpdatePolicy[]>> = {
  ephemeral: [],
  rollback_protected: ["rollback_protected", "ephemeral"],
  no_rollback_protection: ["no_rollback_protection", "rollback_protected", "ephemeral"],
};

export interface FoundVolume {
  readonly owner: SessionVersion;
  readonly volume: Volume;
  readonly policy: UpdatePolicy;
}

/** The volume behind a mount: own, or imported from a session that exports it to this one (SL-162 to SL-165). Throws ValueError. */
export async function findVolume(reader: Reader, version: SessionVersion, mount: Image["volumes"][number]): Promise<FoundVolume> {
  const volume = version.session.volumes.find(({ name }) => name === mount.name);
  if (volume === undefined) throw new ValueError(`volume ${mount.name} is not declared`);
  if (volume.source.kind !== "import") return { owner: version, volume, policy: mount.updatePolicy };
  const { session: sourceName, volume: wanted, sessionHash } = volume.source;
  const owner = await reader.get<SessionVersion>(currentKey(sourceName));
  if (owner === undefined) throw new ValueError(`volume ${mount.name}: session ${sourceName} does not exist`);
  if (sessionHash !== undefined && sessionHash !== owner.hash)
    throw new ValueError(`volume ${mount.name}: session ${sourceName} does not have the hash ${sessionHash}`);
  for (const candidate of owner.session.volumes) {
    for (const { to, alias, updatePolicy } of candidate.exports) {
      if ((alias ?? candidate.name) !== wanted || to.target !== version.name) continue;
      if (to.sessionHash !== undefined && to.sessionHash !== version.hash) continue;
      if (updatePolicy === "ephemeral") return { owner, volume: candidate, policy: "ephemeral" };
      if (ALLOWED[updatePolicy].includes(mount.updatePolicy)) return { owner, volume: candidate, policy: mount.updatePolicy };
      throw new ValueError(`volume ${mount.name}: session ${sourceName} allows ${updatePolicy}, not ${mount.updatePolicy}`);
    }
  }
  throw new ValueError(`volume ${mount.name}: session ${sourceName} does not export ${wanted} to ${version.name}`);
}

function keyHex(key: string | Placeholder, source: SecretSource, where: string): string {
  if (typeof key === "string") return key;
  const value = fillFile(key.text, source, where);
  const hex = value.length === KEY_BYTES ? value.toHex() : Buffer.from(value).toString().toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(hex)) throw new ValueError(`${where}: the secret is not 32 bytes`);
  return hex;
}
