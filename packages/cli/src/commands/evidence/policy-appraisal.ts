import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { AppraisalCheck, AttestationResult, Claims } from "@vouchsafe/attestation";
import { evidenceResult, type ServiceRules } from "@vouchsafe/cas";
import {
  type LocatedField,
  locateServiceField,
  type Resolved,
  readSessionFile,
  resolveAttestation,
  resolvePlatforms,
  resolveSecurity,
  type Service,
  type Session,
  type SessionFile,
} from "@vouchsafe/policy";
import { CliError } from "../../cli-error.ts";
import { givenValue, type ParsedOptions } from "../../command-spec.ts";
import type { Shell } from "../../shell.ts";

/** The policy of one service, to judge by and to point into. */
export interface ServicePolicy {
  readonly session: Session;
  readonly service: Service;
  readonly document: NonNullable<SessionFile["document"]>;
  readonly rules: ServiceRules;
}

/** A check, and where the policy has the field that refuses. */
export type LocatedCheck = AppraisalCheck & { readonly policy?: readonly LocatedField[] };

/** The service of `--policy` and `--service`; undefined without the former. Throws E-POLICY, E-FILE-MISSING, E-USAGE. */
export async function readServicePolicy(options: ParsedOptions, shell: Shell): Promise<ServicePolicy | undefined> {
  const name = givenValue(options, "policy");
  if (name === undefined) {
    if (givenValue(options, "service") === undefined) return undefined;
    throw new CliError("E-USAGE", "--service names a service of --policy", { isUsage: true, remedy: "Add --policy FILE." });
  }
  const file = resolve(shell.directory, name);
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new CliError("E-FILE-MISSING", `${name} cannot be read`, { cause, remedy: "Name a policy that exists and that you may read." });
  });
  const { session, document, diagnostics } = readSessionFile(text, { file: name });
  if (session === undefined || document === undefined) {
    const [first] = diagnostics;
    const place = first === undefined ? name : `${name}:${first.line}:${first.column}`;
    throw new CliError("E-POLICY", `${place}: ${first?.message ?? "not a session"}`, { remedy: `See vouchsafe session check ${name}.` });
  }
  const service = chooseService(session, givenValue(options, "service"), name);
  return { session, service, document, rules: rulesOf(session, service, name) };
}

/** By the very functions of the CAS; every failed check says which line of the policy refuses. */
export function appraiseByPolicy(
  claims: Claims,
  { service, document, rules }: ServicePolicy,
  inputs: { readonly userData: Uint8Array | undefined; readonly now: Date },
): AttestationResult & { readonly checks: readonly LocatedCheck[] } {
  const { accepted, checks } = evidenceResult(claims, { ...inputs, rules });
  const located = checks.map((check) =>
    check.policyPath === undefined ? check : { ...check, policy: locateServiceField(document, service.name, check.policyPath) },
  );
  return { accepted, checks: located };
}

function chooseService({ services }: Session, wanted: string | undefined, file: string): Service {
  const [only, ...others] = services;
  const found = wanted === undefined && others.length === 0 ? only : services.find(({ name }) => name === wanted);
  if (found !== undefined) return found;
  const names = services.map(({ name }) => name).join(", ") || "none";
  throw new CliError("E-USAGE", wanted === undefined ? `${file} has several services` : `${file} has no service ${wanted}`, {
    isUsage: true,
    remedy: `Name one with --service: ${names}.`,
  });
}

/** What depends on secrets is unknown here: the CAS alone has them. */
function rulesOf(session: Session, service: Service, file: string): ServiceRules {
  const orRefuse = <T>(resolved: Resolved<T>): T => {
    if (resolved.kind === "ok") return resolved.value;
    throw new CliError("E-POLICY", `${file}: service ${service.name} depends on secrets: ${resolved.reason}`, {
      remedy: "Ask the CAS, which has them: POST /v1/verify-evidence with the service's name.",
    });
  };
  const security = orRefuse(resolveSecurity(session, service, () => undefined));
  if (security.attestation.mode === "none") {
    throw new CliError("E-POLICY", `${file}: service ${service.name} asks for no evidence (security.attestation.mode is none)`, {
      remedy: "Any program gets what this policy gives; set mode: hardware to have evidence appraised.",
    });
  }
  const platforms = orRefuse(resolvePlatforms(service, () => undefined));
  return { variants: resolveAttestation(service, () => undefined), platforms, security, oneTimePasswordSecret: undefined };
}
