/** Values that people set and read over the client API (extensions `supplied_by` and `roles`). Nothing but the value itself ever holds a value. */
import { readSuppliedValue, type Secret, type SuppliedSecret, secretsOfScope } from "@vouchsafe/policy";
import type { SecretList, SecretSupplied, SecretValue } from "@vouchsafe/protocol";
import { formatSecret, SecretError, type StoredSecret, supplyValue, systemRandomness } from "@vouchsafe/secrets";
import { type Credential, isPermitted } from "../access/authorise.ts";
import { holdsPermission } from "../access/permissions.ts";
import { type CasContext, committedValues, pendingValues } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import { secretMap } from "../sessions/make-values.ts";
import { allValues, currentKey, nextRenewal, type SessionValues, type SessionVersion, valuesKey } from "../sessions/session-records.ts";
import type { ValueSource } from "../values/resolve-secrets.ts";

export interface SecretSelector {
  readonly session: string;
  readonly secret: string;
}

/** Strangers must not learn which sessions and secrets exist (C-22). */
const HIDDEN = "there is no such secret, or it is not for this client";

/** Sets the value of a secret with `supplied_by`. What depends on it is issued anew. Throws ApiError; nothing is changed then. */
export async function supplySecret(context: CasContext, selector: SecretSelector, text: string, keyHash: string): Promise<SecretSupplied> {
  const { database, audit, now, vaults } = context;
  const { session: name, secret } = selector;
  const credential: Credential = { certificateKeyHash: keyHash, signers: [] };
  return database.transact(async (tx) => {
    const from = pendingValues(context, tx);
    const version = await tx.get<SessionVersion>(currentKey(name));
    if (version === undefined || !(await holdsPermission(from, version, { action: "write_secret", name: secret }, credential))) {
      throw await refusal(from, version, credential, `supplying secret ${secret} of session ${name}`);
    }
    const definition = version.session.secrets.find((candidate) => candidate.name === secret);
    if (definition?.origin !== "supplied")
      throw new ApiError("bad_request", `secret ${secret} of session ${name} is not supplied by anybody`);
    const values = await from.rows.get<SessionValues>(valuesKey(name));
    if (values === undefined) throw new ApiError("not_found", `session ${name} has no values`);
    const value = readValue(definition, text);
    const made = supplyValue(
      secretsOfScope(version.session, "session"),
      secretMap(values),
      { name: secret, value },
      { now: now(), random: systemRandomness },
    );
    const supplied = { ...values.supplied, [secret]: { at: now().toISOString(), keyHash } };
    const next: SessionValues = { ...values, secrets: Object.fromEntries(made.values), supplied };
    await vaults.kept.put(tx, valuesKey(name), version, next, nextRenewal(allValues(next)));
    audit.append(tx, "secret_supplied", { session: name, secret, client: keyHash, replaced: values.supplied?.[secret] !== undefined });
    return { session: name, secret, warnings: [...made.warnings] };
  });
}

function readValue(definition: SuppliedSecret, text: string) {
  // Bytes that are no UTF-8 arrive as this character: the value would not be what was sent.
  if (text.includes("\u{fffd}")) throw new ApiError("bad_request", `the value of ${definition.name} is no UTF-8 text`);
  const reading = readSuppliedValue(definition, text);
  if (reading.kind === "ok") return reading.value;
  throw new ApiError(
    "invalid_value",
    `the value of ${definition.name} (${definition.kind}): ${reading.message}; expected ${reading.expected}`,
    {
      causes: [reading.rule],
    },
  );
}

/** The value of a secret for a member of a role that may `read_secret`. Every reading is audited before the value leaves. Throws ApiError. */
export async function readSecret(
  context: CasContext,
  { session: name, secret }: SecretSelector,
  format: string | undefined,
  credential: Credential,
): Promise<SecretValue> {
  const { database, audit } = context;
  const version = await database.get<SessionVersion>(currentKey(name));
  if (
    version === undefined ||
    !(await holdsPermission(committedValues(context), version, { action: "read_secret", name: secret }, credential))
  ) {
    throw await refusal(committedValues(context), version, credential, `reading secret ${secret} of session ${name}`);
  }
  const stored = await currentValue(committedValues(context), version, secret);
  if (typeof stored === "string") throw new ApiError("not_found", `secret ${secret} of session ${name} has no value: ${stored}`);
  if (stored === undefined) throw new ApiError("not_found", `secret ${secret} of session ${name} has no value yet`);
  try {
    const value = formatSecret(stored, format, { name: secret, random: systemRandomness });
    await audit.record("secret_read", { session: name, secret, client: credential.certificateKeyHash ?? null });
    return value.kind === "text"
      ? { kind: stored.kind, encoding: "text", value: value.text }
      : { kind: stored.kind, encoding: "base64", value: value.bytes.toBase64() };
  } catch (error) {
    if (error instanceof SecretError) throw new ApiError("bad_request", error.message);
    throw error;
  }
}

/** An own value, or that of a vault; a text says why there is none. */
async function currentValue(
  { rows, vaults }: ValueSource,
  version: SessionVersion,
  name: string,
): Promise<StoredSecret | string | undefined> {
  const values = await rows.get<SessionValues>(valuesKey(version.name));
  const definition = version.session.secrets.find((secret) => secret.name === name);
  if (definition?.origin !== "vault") return values?.secrets[name];
  return vaults.find(version, definition, values === undefined ? new Map() : secretMap(values));
}

/** What is to be supplied, and whether it was: for whoever may read the session, and for each secret's own people. No values. */
export async function listSecrets(context: CasContext, name: string, credential: Credential): Promise<SecretList> {
  const { database } = context;
  const version = await database.get<SessionVersion>(currentKey(name));
  if (version === undefined) throw new ApiError("not_found", HIDDEN);
  const isReader = await isPermitted(committedValues(context), version, "read", credential);
  const values = await committedValues(context).rows.get<SessionValues>(valuesKey(name));
  const secrets: SecretList["secrets"] = [];
  for (const secret of version.session.secrets) {
    const mayWrite = await holdsPermission(committedValues(context), version, { action: "write_secret", name: secret.name }, credential);
    const mayRead = await holdsPermission(committedValues(context), version, { action: "read_secret", name: secret.name }, credential);
    if (mayWrite || mayRead || (isReader && secret.origin === "supplied")) secrets.push({ ...describe(secret, values), mayWrite, mayRead });
  }
  if (secrets.length === 0 && !isReader) throw new ApiError("not_found", HIDDEN);
  return { secrets };
}

function describe(secret: Secret, values: SessionValues | undefined) {
  const isSupplied = secret.origin === "supplied";
  return {
    name: secret.name,
    kind: secret.kind ?? "unknown",
    required: isSupplied && secret.required,
    hasValue: values?.secrets[secret.name] !== undefined,
    suppliedAt: values?.supplied?.[secret.name]?.at ?? null,
  };
}

async function refusal(from: ValueSource, version: SessionVersion | undefined, credential: Credential, action: string): Promise<ApiError> {
  if (version === undefined || !(await isPermitted(from, version, "read", credential))) return new ApiError("not_found", HIDDEN);
  return new ApiError("forbidden", `${action} is not permitted to this client (key hash ${credential.certificateKeyHash ?? "none"})`);
}
