import type { TagReport } from "@vouchsafe/protocol";
import { type CasContext, committedValues } from "../cas-context.ts";
import {
  currentKey,
  fileSystemTagKey,
  type SessionVersion,
  type TagRecord,
  versionKey,
  volumeTagKey,
} from "../sessions/session-records.ts";
import type { RowKey } from "../store/row-store.ts";
import { ValueError } from "../values/secret-source.ts";
import { assertIntact, KeptValuesError } from "../vaults/kept-values.ts";
import type { AttestedInstance } from "./attested-instance.ts";
import { findVolume } from "./build-configuration.ts";

export interface TagOutcome {
  readonly outcome: "accepted" | "conflict" | "forbidden";
  readonly message: string;
}

interface Target {
  readonly key: RowKey;
  readonly policy: "ephemeral" | "rollback_protected" | "no_rollback_protection";
  /** Tag that the session states, where nothing was reported yet; null: none, the volume makes its own. */
  readonly initial: string | null;
  readonly event: "volume_fspf_tag_updated" | "service_fspf_tag_updated";
  readonly name: string;
}

/** Compare and swap of a tag (C-51 to C-54): durable when this returns `accepted`. */
export async function reportTag(context: CasContext, { facts }: AttestedInstance, report: TagReport): Promise<TagOutcome> {
  let target: Target;
  try {
    target = await findTarget(context, facts, report.target);
  } catch (error) {
    if (error instanceof ValueError || error instanceof KeptValuesError) return { outcome: "forbidden", message: error.message };
    throw error;
  }
  if (target.policy === "ephemeral") return { outcome: "accepted", message: "ephemeral: dropped" };
  return context.database.transact(async (tx): Promise<TagOutcome> => {
    const stored = await tx.get<TagRecord>(target.key);
    const current = stored?.tag ?? target.initial;
    if (current === report.newTag) return { outcome: "accepted", message: "unchanged" };
    if (target.policy === "rollback_protected" && current !== report.oldTag) {
      const message = `${target.name} is in another state than this instance believes: another instance changed it`;
      return { outcome: "conflict", message };
    }
    tx.put(target.key, { tag: report.newTag, reportedAt: context.now().toISOString() } satisfies TagRecord);
    // Tags only as hashes of themselves would still say which state is which: the log gets names alone (C-86).
    context.audit.append(tx, target.event, { service: `${facts.session}/${facts.service}`, target: target.name });
    return { outcome: "accepted", message: "stored" };
  });
}

/** C-53: only what the instance's session version gives it. */
async function findTarget(context: CasContext, facts: AttestedInstance["facts"], target: TagReport["target"]): Promise<Target> {
  const { database } = context;
  const current = await database.get<SessionVersion>(currentKey(facts.session));
  if (current !== undefined) await assertIntact(committedValues(context).rows, current);
  const version =
    current?.hash === facts.sessionHash ? current : await database.get<SessionVersion>(versionKey(facts.session, facts.sessionHash));
  const service = version?.session.services.find(({ name }) => name === facts.service);
  if (version === undefined || service === undefined) throw new ValueError("the service is gone");
  if (target.kind === "file-system") {
    const { fileSystem } = service;
    if (fileSystem === undefined) throw new ValueError("the service has no protected file system");
    return {
      key: fileSystemTagKey(version.name, service.name),
      policy: fileSystem.updatePolicy === "no_rollback_protection" ? "no_rollback_protection" : "rollback_protected",
      initial: fileSystem.tag ?? null,
      event: "service_fspf_tag_updated",
      name: `file system of ${version.name}/${service.name}`,
    };
  }
  const image = version.session.images.find(({ name }) => name === service.imageName);
  const mount = image?.volumes.find(({ name }) => name === target.name);
  if (mount === undefined) throw new ValueError(`the service has no volume ${target.name}`);
  const { owner, volume, policy } = await findVolume(database, version, mount);
  return {
    key: volumeTagKey(owner.name, volume.name),
    policy,
    initial: volume.source.kind === "explicit" ? volume.source.tag : null,
    event: "volume_fspf_tag_updated",
    name: `volume ${volume.name} of ${owner.name}`,
  };
}
