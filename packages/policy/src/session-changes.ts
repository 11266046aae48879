/** What an update changes in what both versions have: how programs are started, which values and keys are made anew. Never shows a value. */
import { keepsValue } from "./keeps-value.ts";
import type { Image, Secret, Service, Session } from "./session.ts";

/** In words, in the order of the new version. */
export function sessionChanges(before: Session, after: Session): readonly string[] {
  return [
    ...named(before.services, after.services, "service", serviceChanges),
    ...named(before.images, after.images, "image", imageChanges),
    ...named(before.secrets, after.secrets, "secret", (old, now) => secretChanges(old, now, before, after)),
    ...named(before.volumes, after.volumes, "volume", (old, now) =>
      same(old.source, now.source) ? [] : [`volume ${now.name} starts empty, or with another key`],
    ),
  ];
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

function named<T extends { readonly name: string }>(
  before: readonly T[],
  after: readonly T[],
  what: string,
  changes: (old: T, now: T) => readonly string[],
): string[] {
  const old = new Map(before.map((entry) => [entry.name, entry]));
  const now = new Set(after.map(({ name }) => name));
  const kept = after.flatMap((entry) => {
    const earlier = old.get(entry.name);
    return earlier === undefined ? [`${what} ${entry.name} is new`] : changes(earlier, entry);
  });
  return [...kept, ...before.filter(({ name }) => !now.has(name)).map(({ name }) => `${what} ${name} is gone`)];
}

function serviceChanges(old: Service, now: Service): string[] {
  const service = `service ${now.name}`;
  const words = (command: readonly string[]) =>
    command.map((word) => (/^[\w@%+=:,./$-]+$/.test(word) ? word : JSON.stringify(word))).join(" ");
  return [
    ...(same(old.command, now.command) ? [] : [`${service} is started as: ${words(now.command)}`]),
    ...(old.pwd === now.pwd ? [] : [`${service} is started in ${now.pwd}`]),
    ...(old.imageName === now.imageName ? [] : [`${service} uses ${now.imageName === undefined ? "no image" : `image ${now.imageName}`}`]),
    ...named(old.environment, now.environment, `${service}: variable`, (a, b) =>
      same(a, b) ? [] : [`${service}: variable ${b.name} has another value`],
    ),
    ...(same(old.fileSystem, now.fileSystem) ? [] : [`${service} has another file system, or another rule for it`]),
  ];
}

function imageChanges(old: Image, now: Image): string[] {
  const files = (image: Image) => image.injectionFiles.map((file) => ({ ...file, name: file.path }));
  const volumes = (image: Image) => image.volumes.map((mount) => ({ ...mount, name: `${mount.name} at ${mount.path}` }));
  const image = `image ${now.name}`;
  return [
    ...named(files(old), files(now), `${image}: file`, (a, b) => (same(a, b) ? [] : [`${image}: file ${b.path} changes`])),
    ...named(volumes(old), volumes(now), `${image}: volume`, (a, b) =>
      a.updatePolicy === b.updatePolicy ? [] : [`${image}: volume ${b.name} is ${b.updatePolicy}`],
    ),
  ];
}

function secretChanges(old: Secret, now: Secret, before: Session, after: Session): string[] {
  if (old.origin !== now.origin || old.kind !== now.kind) return [`secret ${now.name} becomes ${originOf(now)}`];
  if (now.origin === "explicit") return "value" in old && same(old.value, now.value) ? [] : [`secret ${now.name} has another value`];
  if (now.origin === "imported" || now.origin === "vault")
    return same({ ...old, exports: [] }, { ...now, exports: [] }) ? [] : [`secret ${now.name} comes from elsewhere`];
  if (now.kind === "aad-token") return same(old, now) ? [] : [`token ${now.name} is asked for with another identity or credential`];
  if (now.origin !== "generated" || now.kind === "jwt" || now.kind === "public-key") return [];
  if (now.kind === "x509" || now.kind === "x509-ca") return certificateChanges(old, now, before, after);
  return keepsValue(old, now) ? [] : [`secret ${now.name} gets a new value`];
}

function originOf({ origin, kind }: Secret): string {
  const what = kind ?? "a secret";
  return {
    generated: `${what}, made by the CAS`,
    explicit: `${what} of the document`,
    imported: "an import",
    vault: "an import from a vault",
    supplied: `${what} that people supply`,
  }[origin];
}

/** Certificates are issued anew with every update (SL-135): what matters is whether they have another key, issuer or name. */
function certificateChanges(old: Secret, now: Secret & { readonly privateKey: string }, before: Session, after: Session): string[] {
  const keyOf = (session: Session, name: string) => session.secrets.find((secret) => secret.name === name);
  const [oldKey, newKey] = ["privateKey" in old ? keyOf(before, String(old.privateKey)) : undefined, keyOf(after, now.privateKey)];
  const isSameKey =
    oldKey !== undefined &&
    newKey !== undefined &&
    oldKey.name === newKey.name &&
    (keepsValue(oldKey, newKey) || isSameGiven(oldKey, newKey));
  if (!isSameKey) {
    return [
      now.kind === "x509-ca"
        ? `CA ${now.name} gets a new key: whoever trusts its present certificate no longer trusts what it issues`
        : `certificate ${now.name} gets a new key`,
    ];
  }
  const { exports: _, exportPublic: __, ...oldRest } = old as typeof old & { exports?: unknown; exportPublic?: unknown };
  const { exports: ___, exportPublic: ____, ...newRest } = now as typeof now & { exports?: unknown; exportPublic?: unknown };
  return same(oldRest, newRest) ? [] : [`certificate ${now.name} has other contents`];
}

const isSameGiven = (old: Secret, now: Secret): boolean =>
  (now.origin === "explicit" || now.origin === "imported") && same({ ...old, exports: [] }, { ...now, exports: [] });
