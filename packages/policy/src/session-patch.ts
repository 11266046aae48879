/** Small monotonic changes of a session (extension `roles`): a higher security version, further measurements. */
import { canonicalJson } from "./canonical-json.ts";
import type { Diagnostic } from "./diagnostic.ts";
import { sessionName } from "./language/session-document.ts";
import { component } from "./language/value-readers.ts";
import { mapping } from "./mapping.ts";
import { normaliseSession } from "./normal-form.ts";
import { isPlaceholder } from "./normal-parts.ts";
import { Context, hex, integer, list, type Place } from "./reader.ts";
import type { AttestationVariant, Permission, Placeholder, Service, Session } from "./session.ts";
import { readYaml } from "./yaml-document.ts";

export interface SessionPatch {
  /** Absent: whichever session it is applied to; `predecessor` fixes it. */
  readonly name: string | undefined;
  readonly predecessor: string;
  readonly services: readonly ServicePatch[];
}

export interface ServicePatch {
  readonly name: string;
  readonly isvsvnMin: number | undefined;
  readonly addMrenclave: readonly string[];
}

/** What a patch does, in the words of the permissions that cover it. */
export type PatchAction = Extract<Permission["action"], "raise_isvsvn" | "add_mrenclave">;
export interface PatchChange {
  readonly action: PatchAction;
  readonly service: string;
}

export type AppliedPatch =
  | { readonly kind: "ok"; readonly session: Session; readonly changes: readonly PatchChange[] }
  | { readonly kind: "refused"; readonly reason: string };

const RULE = "SL-75";

const servicePatch = mapping(
  {
    name: {
      reader: component("service name"),
      doc: "A service of the session.",
      required: { rule: "SL-30", message: "`name` is missing", expected: "a service name" },
    },
    isvsvn_min: { reader: integer(RULE, 0, 65_535), doc: "Least security version from now on; never a lower one." },
    add_mrenclave: {
      reader: list(hex(32), {
        rule: RULE,
        expected: "a measurement or a list of them",
        single: true,
        nonEmpty: { rule: RULE, expected: "at least one" },
      }),
      doc: "Further code measurements.",
    },
  } as const,
  { rule: "SL-29", expected: "a mapping with `name` and `isvsvn_min` or `add_mrenclave`" },
  (raw, place, context): ServicePatch | undefined => {
    if (raw.name === undefined) return undefined;
    if (raw.isvsvn_min === undefined && raw.add_mrenclave === undefined)
      return context.errorMissing(place, { rule: RULE, message: "nothing is changed", expected: "`isvsvn_min` or `add_mrenclave`" });
    return { name: raw.name, isvsvnMin: raw.isvsvn_min, addMrenclave: raw.add_mrenclave ?? [] };
  },
);

const sessionPatch = mapping(
  {
    name: { reader: sessionName, doc: "Name of the session." },
    predecessor: {
      reader: hex(32, "SL-45"),
      doc: "Hash of the version that is patched.",
      required: { rule: "SL-45", message: "`predecessor` is missing", expected: "the hash of the current version" },
    },
    services: {
      reader: list(servicePatch, {
        rule: "SL-29",
        expected: "a list of services",
        nonEmpty: { rule: "SL-29", expected: "at least one service" },
      }),
      doc: "What changes.",
      required: { rule: "SL-29", message: "`services` is missing", expected: "a list of services" },
    },
  } as const,
  { rule: "SL-9", expected: "a mapping with `predecessor` and `services`" },
  (raw): SessionPatch | undefined =>
    raw.predecessor === undefined ? undefined : { name: raw.name, predecessor: raw.predecessor, services: raw.services ?? [] },
);

/** Text to patch, with the diagnostics of the language. Never throws on input. */
export function parseSessionPatch(
  text: string,
  { file = "<patch>" } = {},
): { readonly patch: SessionPatch | undefined; readonly diagnostics: readonly Diagnostic[] } {
  const { root, reporter } = readYaml(text, { file });
  if (root === undefined || reporter.errorCount > 0) return { patch: undefined, diagnostics: reporter.diagnostics(false) };
  const place: Place = { node: root, parent: undefined, key: undefined };
  const patch = sessionPatch.read(place, new Context(reporter));
  return { patch: reporter.errorCount > 0 ? undefined : patch, diagnostics: reporter.diagnostics(true) };
}

/** YAML of a patch; `predecessor` binds it to one version of one session. */
export function printSessionPatch({ name, predecessor, services }: SessionPatch): string {
  const changes = services.map((service) => ({
    name: service.name,
    ...(service.isvsvnMin === undefined ? {} : { isvsvn_min: service.isvsvnMin }),
    ...(service.addMrenclave.length === 0 ? {} : { add_mrenclave: service.addMrenclave }),
  }));
  return `${JSON.stringify({ ...(name === undefined ? {} : { name }), predecessor, services: changes }, undefined, 2)}\n`;
}

/** The successor that a patch makes of a session. Its creator stays the session's: whoever patches does not become the one who may update. */
export function applySessionPatch(session: Session, patch: SessionPatch): AppliedPatch {
  const refused = (reason: string): AppliedPatch => ({ kind: "refused", reason });
  if (patch.name !== undefined && patch.name !== session.name) return refused(`the patch is for session ${patch.name}`);
  const services = new Map(session.services.map((service) => [service.name, service]));
  const changes: PatchChange[] = [];
  for (const change of patch.services) {
    const before = services.get(change.name);
    if (before === undefined) return refused(`session ${session.name} has no service ${change.name}`);
    const after = patchService(before, change);
    if (typeof after === "string") return refused(`service ${change.name}: ${after}`);
    services.set(change.name, after);
    if (change.isvsvnMin !== undefined) changes.push({ action: "raise_isvsvn", service: change.name });
    if (change.addMrenclave.length > 0) changes.push({ action: "add_mrenclave", service: change.name });
  }
  return {
    kind: "ok",
    session: { ...session, predecessor: patch.predecessor, namespaceHash: undefined, services: [...services.values()] },
    changes,
  };
}

/** The service with the change, or why there is none. */
function patchService(service: Service, { isvsvnMin, addMrenclave }: ServicePatch): Service | string {
  let { attestation } = service;
  if (isvsvnMin !== undefined) {
    const raised = attestation.map((variant) => raise(variant, isvsvnMin));
    const problem = raised.find((each) => typeof each === "string");
    if (typeof problem === "string") return problem;
    const after = raised.filter((each) => typeof each !== "string");
    if (after.every((variant, at) => variant === attestation[at]))
      return attestation.some(signerOf)
        ? `the least security version is ${isvsvnMin} or more already; it can be raised only`
        : "no attestation variant names a signer";
    attestation = after;
  }
  if (addMrenclave.length > 0) {
    const widened = attestation.map((variant) => addMeasurements(variant, addMrenclave));
    if (widened.every((variant, at) => variant === attestation[at]))
      return attestation.some((variant) => !isPlaceholder(variant) && variant.mrenclave !== undefined)
        ? "it has these measurements already"
        : "no attestation variant has `mrenclave`, to which measurements could be added";
    attestation = widened;
  }
  return { ...service, attestation };
}

type Variant = AttestationVariant | Placeholder;

function signerOf(variant: Variant) {
  return isPlaceholder(variant) || variant.signer === undefined || isPlaceholder(variant.signer) ? undefined : variant.signer;
}

function raise(variant: Variant, least: number): Variant | string {
  const signer = signerOf(variant);
  if (signer === undefined || isPlaceholder(variant)) return variant;
  if (signer.isvsvn !== undefined) return "a variant pins `isvsvn`; only `isvsvn_min` can be raised";
  if (typeof signer.isvsvnMin === "object") return "`isvsvn_min` is the value of a secret";
  if (typeof signer.isvsvnMax === "number" && signer.isvsvnMax < least)
    return `\`isvsvn_max\` is ${signer.isvsvnMax}, so ${least} would admit nothing`;
  if (signer.isvsvnMin !== undefined && signer.isvsvnMin >= least) return variant;
  return { ...variant, signer: { ...signer, isvsvnMin: least } };
}

/** Other factors of the variant go on holding. */
function addMeasurements(variant: Variant, added: readonly string[]): Variant {
  if (isPlaceholder(variant) || variant.mrenclave === undefined) return variant;
  const { mrenclave } = variant;
  const fresh = added.filter((measurement, at) => !mrenclave.includes(measurement) && added.indexOf(measurement) === at);
  return fresh.length === 0 ? variant : { ...variant, mrenclave: [...mrenclave, ...fresh] };
}

/**
 * The patch that turns one version into the next, if the whole difference is one: then a full upload needs no more rights than the patch. Compares normal
 * forms without predecessor and creator.
 */
export function patchBetween(before: Session, after: Session): SessionPatch | undefined {
  if (after.predecessor === undefined) return undefined;
  const services = after.services.flatMap((service, at) => {
    const old = before.services[at];
    return old === undefined ? [] : (servicePatchBetween(old, service) ?? []);
  });
  if (services.length === 0) return undefined;
  const patch: SessionPatch = { name: after.name, predecessor: after.predecessor, services };
  const applied = applySessionPatch(before, patch);
  return applied.kind === "ok" && comparable(applied.session) === comparable(after) ? patch : undefined;
}

function servicePatchBetween(before: Service, after: Service): ServicePatch | undefined {
  const least: number[] = [];
  const added = new Set<string>();
  for (const [at, now] of after.attestation.entries()) {
    const old = before.attestation[at];
    if (old === undefined || isPlaceholder(old) || isPlaceholder(now)) continue;
    const [oldMin, newMin] = [signerOf(old)?.isvsvnMin, signerOf(now)?.isvsvnMin];
    if (typeof newMin === "number" && newMin !== oldMin) least.push(newMin);
    for (const item of now.mrenclave ?? []) if (typeof item === "string" && old.mrenclave?.includes(item) === false) added.add(item);
  }
  if (least.length === 0 && added.size === 0) return undefined;
  return { name: after.name, isvsvnMin: least.length === 0 ? undefined : Math.max(...least), addMrenclave: [...added] };
}

function comparable(session: Session): string {
  const form = normaliseSession(
    { ...session, predecessor: undefined, namespaceHash: undefined, creator: undefined },
    { unknownCreator: "omit" },
  );
  return canonicalJson(form);
}
