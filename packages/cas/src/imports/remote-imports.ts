import { isIP } from "node:net";
import type { ImportedSecret, RemoteCas } from "@vouchsafe/policy";
import { CAS_CLIENT_PORT, CasClient, type ExportAnswer, type ExportRefusal, ProtocolError, parseCasAddress } from "@vouchsafe/protocol";
import type { ImportRefusal, StoredSecret } from "@vouchsafe/secrets";
import type { TlsIdentity } from "../identity/cas-identity.ts";
import type { Log } from "../log-line.ts";
import type { SessionVersion } from "../sessions/session-records.ts";
import { ImportNetworks } from "./import-networks.ts";
import { importProblem } from "./import-problem.ts";
import { fromSharedValue } from "./shared-value.ts";

/** An answer this young is used again: it spares the exporter when many instances start at once. A refusal is not. */
const FRESH_MS = 1_000;
/** A CAS that did not answer is asked again after this. */
const RETRY_MS = 5_000;
/** While an exporter is away, what it last said holds for this long. */
const STALE_MS = 10 * 60_000;
/** Connection, request and answer together. */
const TIMEOUT_MS = 5_000;
const MAX_ENTRIES = 10_000;
const MAX_CLIENTS = 64;

type Found = StoredSecret | string;

/** What one CAS last said to one version of a session, by the importer's names. */
interface Entry {
  readonly values: ReadonlyMap<string, Found>;
  /** In ms since the epoch: when it was last asked, and when it last answered. */
  readonly askedAt: number;
  readonly answeredAt: number | undefined;
  /** Not asked again before. */
  readonly freshMs: number;
}

type Outcome =
  | { readonly kind: "answered"; readonly answers: ExportAnswer["answers"] }
  /** It may be back soon: what it said before still holds for a while. */
  | { readonly kind: "away"; readonly problem: string }
  | { readonly kind: "unusable"; readonly problem: string };

interface RemoteImport extends ImportedSecret {
  readonly import: ImportedSecret["import"] & { readonly cas: RemoteCas };
}

export interface RemoteImportsOptions {
  /** Shown to exporters. */
  readonly identity: () => TlsIdentity;
  readonly now: () => Date;
  readonly log: Log;
}

/**
 * Secrets that other CAS export to sessions of this one (C-33, SL-144). `refresh` asks the exporters, `find` tells what they said; values are kept
 * in memory only. Nothing is sent before the peer's chain has been verified against the key in the reference, and nothing is connected to but the
 * address in the reference, within the networks that the owner admits (hazard J6).
 */
export class RemoteImports implements Disposable {
  readonly #options: RemoteImportsOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #asking = new Map<string, Promise<void>>();
  readonly #clients = new Map<string, CasClient>();
  #networks = new ImportNetworks(undefined);
  /** Called when an exporter says something else than before to this session. */
  onChanged: ((session: string) => void) | undefined;

  constructor(options: RemoteImportsOptions) {
    this.#options = options;
  }

  /** Networks as the owner configures them. Open connections, which show the identity of before, are closed. */
  configure(networks: readonly string[] | undefined): void {
    this.#networks = new ImportNetworks(networks);
    this.#entries.clear();
    this[Symbol.dispose]();
  }

  /** Asks each exporter of this version whose last answer is not fresh. Does not throw: `find` tells what failed. */
  async refresh(version: SessionVersion): Promise<void> {
    const groups = Map.groupBy(remoteImports(version), ({ import: { cas } }) => peerName(cas));
    await Promise.all([...groups.values()].map((imports) => this.#refreshGroup(version, imports)));
  }

  /** Value of an import from another CAS as last heard, or why there is none. */
  find(version: SessionVersion, { name, import: { cas } }: ImportedSecret): Found {
    if (cas === undefined) throw new TypeError("not an import from another CAS");
    return this.#entries.get(entryName(version, cas))?.values.get(name) ?? `the CAS at ${cas.address} has not been asked yet`;
  }

  [Symbol.dispose](): void {
    for (const client of this.#clients.values()) client.close();
    this.#clients.clear();
  }

  #refreshGroup(version: SessionVersion, imports: readonly RemoteImport[]): Promise<void> {
    const [first] = imports;
    if (first === undefined) return Promise.resolve();
    const { cas } = first.import;
    const name = entryName(version, cas);
    if (this.#isFresh(this.#entries.get(name))) return Promise.resolve();
    const running = this.#asking.get(name);
    if (running !== undefined) return running;
    const asking = this.#ask(name, version, cas, imports).finally(() => this.#asking.delete(name));
    this.#asking.set(name, asking);
    return asking;
  }

  #isFresh(entry: Entry | undefined): boolean {
    if (entry === undefined) return false;
    const ageMs = this.#options.now().getTime() - entry.askedAt;
    // A clock that went back makes an answer old, not young.
    return ageMs >= 0 && ageMs < entry.freshMs;
  }

  async #ask(name: string, version: SessionVersion, cas: RemoteCas, imports: readonly RemoteImport[]): Promise<void> {
    const outcome = await this.#exchange(version, cas, imports);
    const askedAt = this.#options.now().getTime();
    const before = this.#entries.get(name);
    const entry =
      outcome.kind === "answered" ? heard(outcome.answers, version, imports, askedAt) : unanswered(outcome, before, imports, askedAt);
    this.#entries.delete(name); // so that the entry that was asked for longest ago is the first
    this.#entries.set(name, entry);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_ENTRIES) break;
      this.#entries.delete(oldest);
    }
    if (before !== undefined && JSON.stringify([...before.values]) !== JSON.stringify([...entry.values])) this.onChanged?.(version.name);
  }

  async #exchange({ name, hash }: SessionVersion, cas: RemoteCas, imports: readonly RemoteImport[]): Promise<Outcome> {
    const address = parseCasAddress(cas.address, CAS_CLIENT_PORT);
    if (address === undefined) return { kind: "unusable", problem: `${cas.address} is no address of a CAS` };
    if (isIP(address.host) !== 0 && !this.#networks.admits(address.host)) {
      return {
        kind: "unusable",
        problem: `imports may not connect to ${address.host} (imports.networks in the owner configuration of this CAS)`,
      };
    }
    const queries = imports.map(({ kind, import: { session, secret, sessionHash } }) => {
      return { session, secret, sessionHash: sessionHash ?? null, kind: sharedKind(kind) };
    });
    try {
      const { answers } = await this.#client(cas, address).exports({ importer: { session: name, sessionHash: hash }, imports: queries });
      if (answers.length === imports.length) return { kind: "answered", answers };
      return { kind: "unusable", problem: `the CAS at ${cas.address} gave ${answers.length} answers to ${imports.length} questions` };
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      // The details are for this CAS's operator: they would tell whoever writes a policy about our network.
      this.#options.log.warn(`import of session ${name} from the CAS at ${cas.address}: ${error.message}`);
      return failure(error, cas);
    }
  }

  #client(cas: RemoteCas, address: { readonly host: string; readonly port: number }): CasClient {
    const name = peerName(cas);
    const known = this.#clients.get(name);
    if (known !== undefined) return known;
    const { privateKey, chain } = this.#options.identity();
    const client = new CasClient({
      ...address,
      pin: cas.key.kind === "cas" ? { casKeyHash: cas.key.keyHash } : { softwareKeyHash: cas.key.keyHash },
      clientIdentity: { certificate: chain.join(""), privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString() },
      timeoutMs: TIMEOUT_MS,
      lookup: this.#networks.lookup,
    });
    for (const [oldest, { close }] of this.#clients.size >= MAX_CLIENTS ? this.#clients : []) {
      close.call(this.#clients.get(oldest));
      this.#clients.delete(oldest);
      break;
    }
    this.#clients.set(name, client);
    return client;
  }
}

/** Does this version import from another CAS? */
export function remoteImports({ session }: SessionVersion): readonly RemoteImport[] {
  return session.secrets.filter((secret): secret is RemoteImport => secret.origin === "imported" && secret.import.cas !== undefined);
}

const peerName = ({ address, key }: RemoteCas): string => `${address} ${key.kind} ${key.keyHash}`;
const entryName = ({ name, hash }: SessionVersion, cas: RemoteCas): string => `${peerName(cas)} ${name} ${hash}`;

/** Kinds made at delivery cannot be exported (SL-112): asking for one is answered with what the secret really is. */
function sharedKind(kind: ImportedSecret["kind"]) {
  return kind === undefined || kind === "jwt" || kind === "aad-token" ? null : kind;
}

function failure(error: ProtocolError, { address, key }: RemoteCas): Outcome {
  switch (error.code) {
    case "CAS_UNREACHABLE":
    case "CONNECTION_LOST":
      return { kind: "away", problem: `the CAS at ${address} cannot be reached` };
    case "CAS_IDENTITY":
      return { kind: "unusable", problem: `the CAS at ${address} does not have the ${key.kind} key ${key.keyHash}` };
    case "CAS_PROBLEM":
      return { kind: "unusable", problem: `the CAS at ${address} answered: ${error.message}` };
    default:
      return { kind: "unusable", problem: `the CAS at ${address} gave an answer that does not fit` };
  }
}

function unanswered(
  outcome: { kind: "away" | "unusable"; problem: string },
  before: Entry | undefined,
  imports: readonly RemoteImport[],
  now: number,
): Entry {
  const holds =
    outcome.kind === "away" && before?.answeredAt !== undefined && now - before.answeredAt < STALE_MS && now >= before.answeredAt;
  if (holds) return { ...before, askedAt: now, freshMs: RETRY_MS };
  return { values: new Map(imports.map(({ name }) => [name, outcome.problem])), askedAt: now, answeredAt: undefined, freshMs: RETRY_MS };
}

function heard(answers: ExportAnswer["answers"], version: SessionVersion, imports: readonly RemoteImport[], now: number): Entry {
  const values = new Map<string, Found>();
  for (const [at, secret] of imports.entries()) values.set(secret.name, receivedValue(answers[at], version, secret));
  const isComplete = answers.every(({ status }) => status === "ok");
  return { values, askedAt: now, answeredAt: now, freshMs: isComplete ? FRESH_MS : 0 };
}

function receivedValue(
  answer: ExportAnswer["answers"][number] | undefined,
  version: SessionVersion,
  { kind, import: wanted }: RemoteImport,
): Found {
  const names = { session: `${wanted.session} of the CAS at ${wanted.cas.address}`, secret: wanted.secret, importer: version.name };
  if (answer === undefined) throw new TypeError("one answer for each question");
  if (answer.status === "refused") {
    if (answer.reason === "not_visible") {
      return `session ${names.session} does not exist, or exports nothing to this CAS`;
    }
    return importProblem(REASONS[answer.reason], names);
  }
  const value = fromSharedValue(answer.value);
  if (value === undefined) return `the value of ${wanted.secret} from session ${names.session} is no valid ${answer.value.kind}`;
  return kind !== undefined && kind !== value.kind ? importProblem("kind differs", names) : value;
}

const REASONS: Readonly<Record<Exclude<ExportRefusal, "not_visible">, ImportRefusal>> = {
  secret_missing: "secret missing",
  not_exported: "not exported",
  hash_differs: "hash differs",
  kind_differs: "kind differs",
  no_value: "no value",
};
