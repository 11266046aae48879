import { parsePemCertificates, type TrustAnchors, VerificationCache } from "@vouchsafe/attestation";
import type { DocumentStore } from "../cache/document-store.ts";
import type { CollateralDocument } from "../collateral-document.ts";
import { CollateralError } from "../collateral-error.ts";
import { type CollateralRequest, requestKey } from "../collateral-request.ts";
import type { CollateralSource } from "../sources/collateral-source.ts";
import { type VerifiedDocument, verifyDocument } from "../verify-document.ts";
import { type EvaluationFloors, floorKey } from "./evaluation-floors.ts";
import { refreshTime, retryDelayMs } from "./refresh-times.ts";

export interface ProviderOptions {
  /**
   * Asked in this order until one gives an acceptable document. Empty: only what the store has, or what is offered. Read anew for each question, so
   * that it may be a getter; call `forgetFailures` when it gives others.
   */
  readonly sources: readonly CollateralSource[];
  readonly anchors: TrustAnchors;
  readonly floors: EvaluationFloors;
  readonly store?: DocumentStore | undefined;
  readonly now: () => Date;
  /** From 0 to 1: spreads refreshes and retries. */
  readonly random: () => number;
  /** A day unless given. */
  readonly refreshIntervalMs?: number | undefined;
  /** Age of TCB Info and QE identity, by their issue date, from which on they say nothing any more (C-49); 30 days unless given. */
  readonly maxAgeDays?: number | undefined;
  readonly onEvent?: ((event: CollateralEvent) => void) | undefined;
}

/** What happened to a request for a document: for logs and metrics. */
export interface CollateralEvent {
  readonly outcome: "fetched" | "absent" | "unreachable" | "refused" | "not-kept";
  readonly source: string;
  readonly key: string;
  readonly message: string | undefined;
}

export interface DocumentStatus {
  readonly key: string;
  readonly document: VerifiedDocument | undefined;
  readonly refreshAt: Date | undefined;
  /** Of the last try, where it failed. */
  readonly problem: string | undefined;
}

interface Entry {
  readonly request: CollateralRequest;
  document: VerifiedDocument | undefined;
  refreshAt: Date | undefined;
  failures: number;
  /** No source is asked before. */
  retryAt: Date | undefined;
  problem: CollateralError | undefined;
  pending: Promise<VerifiedDocument> | undefined;
}

const DAY_MS = 86_400_000;
const ENTRIES_MAX = 4096;
const MAX_AGE_DAYS = 30;
/** Chips that were never seen cost a question to AMD each, and anybody may name one. */
const NEW_CHIPS_PER_MINUTE = 60;

/**
 * Gives verified documents: from memory, from the store, or from the first source that has an acceptable one. Refreshes before expiry; while no
 * source answers, the last good document serves until it ends, then the request fails with every reason. Nothing is trusted for where it lies:
 * whatever comes from store or source is verified, and never replaces something newer.
 */
export class CollateralProvider {
  readonly #options: ProviderOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #cache = new VerificationCache();
  readonly #aborted = new AbortController();
  #newChips = { minute: 0, count: 0 };

  constructor(options: ProviderOptions) {
    this.#options = options;
  }

  /** Whether there is anybody to ask. */
  get hasSources(): boolean {
    return this.#options.sources.length > 0;
  }

  /** Throws CollateralError COLLATERAL_UNAVAILABLE with what each source said. */
  async get(request: CollateralRequest): Promise<VerifiedDocument> {
    const entry = this.#entry(request);
    const present = this.#usable(entry) ?? (await this.#fromStore(entry));
    if (present === undefined) return this.#fetchOnce(entry);
    if (this.#isDue(entry)) this.#fetchOnce(entry).catch(() => undefined); // noted in the entry; the present document serves
    return present;
  }

  /** Takes a document that came with Evidence, if it is acceptable. Throws CollateralError COLLATERAL_REFUSED. */
  async offer(document: CollateralDocument): Promise<VerifiedDocument> {
    return this.#admit(this.#entry(document.request), document);
  }

  /** Asks again for every document that is due; waits for the answers. */
  async refreshDue(): Promise<void> {
    const due = [...this.#entries.values()].filter((entry) => entry.document !== undefined && this.#isDue(entry));
    for (const entry of due) await this.#fetchOnce(entry).catch(() => undefined); // one after the other: nobody waits for it
  }

  /** The sources changed: what none of them had may be asked for again at once. */
  forgetFailures(): void {
    for (const [key, entry] of this.#entries) {
      // A question that is under way was put to the former sources: its answer is for who waits for it.
      if (entry.document === undefined) this.#entries.delete(key);
      else entry.retryAt = undefined;
    }
  }

  /** Looks after the documents every `everyMs` until disposed. */
  start(everyMs: number): Disposable {
    let isRunning = false;
    const timer = setInterval(() => {
      if (isRunning) return;
      isRunning = true;
      void this.refreshDue().finally(() => {
        isRunning = false;
      });
    }, everyMs).unref();
    return {
      [Symbol.dispose]: () => {
        clearInterval(timer);
        this.#aborted.abort();
      },
    };
  }

  /** Every document that was asked for, by key. */
  status(): readonly DocumentStatus[] {
    return [...this.#entries]
      .map(([key, { document, refreshAt, problem }]) => ({ key, document, refreshAt, problem: problem?.message }))
      .sort((a, b) => (a.key < b.key ? -1 : 1));
  }

  #entry(request: CollateralRequest): Entry {
    const key = requestKey(request);
    const known = this.#entries.get(key);
    if (known !== undefined) {
      this.#entries.delete(key); // to the end: the least recently used entry comes first
      this.#entries.set(key, known);
      return known;
    }
    const entry: Entry = {
      request,
      document: undefined,
      refreshAt: undefined,
      failures: 0,
      retryAt: undefined,
      problem: undefined,
      pending: undefined,
    };
    if (this.#entries.size >= ENTRIES_MAX) this.#entries.delete(this.#entries.keys().next().value ?? "");
    this.#entries.set(key, entry);
    return entry;
  }

  #usable(entry: Entry): VerifiedDocument | undefined {
    const { document } = entry;
    if (document === undefined) return undefined;
    const problem = this.#problemOf(document);
    if (problem === undefined) return document;
    entry.document = undefined;
    entry.problem = problem;
    return undefined;
  }

  /** What makes a document unusable now, though it was good when it came. */
  #problemOf({ request, issuedAt, goodUntil, evaluationNumber }: VerifiedDocument): CollateralError | undefined {
    const now = this.#options.now();
    const refused = (detail: string) => new CollateralError("COLLATERAL_REFUSED", `${requestKey(request)}: ${detail}`);
    if (now > goodUntil) return refused(`ended on ${goodUntil.toISOString()}`);
    if (now < issuedAt) return refused(`issued on ${issuedAt.toISOString()}, which is not yet`);
    if (evaluationNumber === undefined) return undefined;
    const maxAgeDays = this.#options.maxAgeDays ?? MAX_AGE_DAYS;
    if (now.getTime() - issuedAt.getTime() > maxAgeDays * DAY_MS) {
      return refused(`issued on ${issuedAt.toISOString()}, more than ${maxAgeDays} days ago`);
    }
    const key = floorKey(request);
    const floor = key === undefined ? 0 : this.#options.floors.get(key);
    return evaluationNumber < floor ? refused(`evaluation ${evaluationNumber}, but ${floor} has been seen`) : undefined;
  }

  async #fromStore(entry: Entry): Promise<VerifiedDocument | undefined> {
    const stored = await this.#options.store?.read(requestKey(entry.request));
    if (stored === undefined) return undefined;
    try {
      return await this.#admit(entry, stored);
    } catch (error) {
      if (!(error instanceof CollateralError)) throw error;
      this.#tell("refused", "store", entry, error);
      return undefined;
    }
  }

  #isDue({ refreshAt, retryAt }: Entry): boolean {
    const now = this.#options.now();
    return this.hasSources && refreshAt !== undefined && now >= refreshAt && (retryAt === undefined || now >= retryAt);
  }

  /** One question at a time for each document, however many wait for it. */
  #fetchOnce(entry: Entry): Promise<VerifiedDocument> {
    entry.pending ??= this.#fetch(entry).finally(() => {
      entry.pending = undefined;
    });
    return entry.pending;
  }

  async #fetch(entry: Entry): Promise<VerifiedDocument> {
    const { now, sources, random } = this.#options;
    if (entry.problem !== undefined && entry.retryAt !== undefined && now() < entry.retryAt) throw entry.problem;
    if (entry.request.kind === "vcek") this.#countNewChip(entry.request.chipId);
    // Why a document that was there is of no use; what sources said the last time they say again.
    const problems: string[] = entry.problem?.code === "COLLATERAL_REFUSED" && entry.document === undefined ? [entry.problem.message] : [];
    for (const source of sources) {
      try {
        const document = await this.#ask(source, entry);
        if (document === undefined) {
          problems.push(`${source.name} does not have it`);
          continue;
        }
        entry.failures = 0;
        entry.retryAt = undefined;
        entry.problem = undefined;
        return document;
      } catch (error) {
        if (!(error instanceof CollateralError)) throw error;
        this.#tell(error.code === "COLLATERAL_UNREACHABLE" ? "unreachable" : "refused", source.name, entry, error);
        problems.push(`${source.name}: ${error.message}`);
      }
    }
    entry.failures += 1;
    entry.retryAt = new Date(now().getTime() + retryDelayMs(entry.failures, random()));
    entry.problem = unavailable(entry.request, problems);
    throw entry.problem;
  }

  async #ask(source: CollateralSource, entry: Entry): Promise<VerifiedDocument | undefined> {
    const { request } = entry;
    const answer = await source.fetch(request, this.#aborted.signal);
    if (answer === undefined) {
      this.#tell("absent", source.name, entry);
      return undefined;
    }
    const { body, fetchedAt = this.#options.now() } = answer;
    // A VCEK proves itself by the intermediate that issued it.
    const chain = answer.chain ?? (request.kind === "vcek" ? await this.#amdChain(request.product) : undefined);
    const admitted = await this.#admit(entry, { request, body, chain, fetchedAt, source: source.name });
    this.#tell("fetched", source.name, entry);
    await this.#keep(entry, admitted);
    return admitted;
  }

  /** A cache that cannot be written (full disk) costs a question after the next start, no service today. */
  async #keep(entry: Entry, document: VerifiedDocument): Promise<void> {
    try {
      await this.#options.store?.write(requestKey(entry.request), document);
    } catch (error) {
      if (!(error instanceof CollateralError)) throw error;
      this.#tell("not-kept", "store", entry, error);
    }
  }

  async #amdChain(product: "Milan" | "Genoa" | "Turin"): Promise<Uint8Array> {
    return (await this.get({ kind: "amd-chain", product, signingKey: "vcek" })).body;
  }

  /** Verifies, compares with what was seen before, keeps. Throws CollateralError COLLATERAL_REFUSED. */
  async #admit(entry: Entry, document: CollateralDocument): Promise<VerifiedDocument> {
    const { anchors, now, floors, refreshIntervalMs = DAY_MS, random } = this.#options;
    const at = now();
    const { issuedAt, ...rest } = verifyDocument(document, { anchors, now: at, cache: this.#cache });
    // When it was fetched is the word of a file or a stranger: never before it was made, never later than now.
    const fetchedAt = new Date(Math.min(at.getTime(), Math.max(issuedAt.getTime(), rest.fetchedAt.getTime())));
    const verified: VerifiedDocument = { ...rest, issuedAt, fetchedAt };
    const problem = this.#problemOf(verified);
    if (problem !== undefined) throw problem;
    if (entry.document !== undefined && verified.issuedAt < entry.document.issuedAt) {
      const present = entry.document.issuedAt.toISOString();
      throw new CollateralError(
        "COLLATERAL_REFUSED",
        `${requestKey(entry.request)}: issued on ${verified.issuedAt.toISOString()}, older than the one at hand, of ${present}`,
      );
    }
    const floor = floorKey(entry.request);
    if (floor !== undefined && verified.evaluationNumber !== undefined) await floors.raise(floor, verified.evaluationNumber);
    entry.document = verified;
    entry.refreshAt = refreshTime(verified, refreshIntervalMs, random());
    return verified;
  }

  #countNewChip(chipId: string): void {
    const minute = Math.floor(this.#options.now().getTime() / 60_000);
    if (this.#newChips.minute !== minute) this.#newChips = { minute, count: 0 };
    this.#newChips.count += 1;
    if (this.#newChips.count <= NEW_CHIPS_PER_MINUTE) return;
    throw new CollateralError(
      "COLLATERAL_UNAVAILABLE",
      `chip ${chipId.slice(0, 16)}… and more than ${NEW_CHIPS_PER_MINUTE} others were new within a minute`,
      {
        remedy: "Try again in a minute, or send the endorsement key with the evidence.",
      },
    );
  }

  #tell(outcome: CollateralEvent["outcome"], source: string, { request }: Entry, error?: CollateralError): void {
    this.#options.onEvent?.({ outcome, source, key: requestKey(request), message: error?.message });
  }
}

/** The certificates of an `amd-chain`, DER: intermediate, root. */
export const amdChainCertificates = (pem: Uint8Array): readonly Uint8Array[] => parsePemCertificates(pem).map(({ der }) => der);

function unavailable(request: CollateralRequest, problems: readonly string[]): CollateralError {
  const said = problems.length === 0 ? "no source is configured" : problems.join("; ");
  return new CollateralError("COLLATERAL_UNAVAILABLE", `no ${requestKey(request)} can be had: ${said}`, {
    remedy: "Configure a source of collateral, or import a bundle.",
  });
}
