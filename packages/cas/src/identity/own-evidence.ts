import { type Claims, type Evidence, encodeEvidence } from "@vouchsafe/attestation";
import { AttesterError, readWorkload } from "@vouchsafe/attester";
import { type CasAttestation, type CasEvidenceTrust, casEvidenceUserData, ProtocolError, verifyCasEvidence } from "@vouchsafe/protocol";
import { ApiError } from "../cas-error.ts";
import type { Log } from "../log-line.ts";
import type { OwnPlatform } from "./own-platform.ts";

type Answer = Pick<CasAttestation, "evidence" | "evidenceProblem">;

/** Evidence that may be given again: who asks without a nonce, or asks the same twice, gets it without another quote. */
const KEPT = 32;
const KEPT_MS = 5 * 60_000;
/** Who may wait for the platform at once: it serves one after the other. */
const WAITING_MAX = 16;
const RETRY_AFTER_SECONDS = 5;
/** In place of a statement, where a CAS asks itself: no statement is this text. */
const OF_ITSELF = "itself";

/**
 * Evidence of this CAS about itself. The platform is asked for one thing at a time, and no more than a few may wait: asking cannot exhaust a TPM, nor keep
 * the CAS from its services.
 */
export class OwnEvidence {
  readonly #platform: OwnPlatform | undefined;
  readonly #log: Log;
  readonly #now: () => Date;
  readonly #kept = new Map<string, { readonly at: number; readonly answer: Promise<Answer> }>();
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #toldProblem: string | undefined;

  constructor(platform: OwnPlatform | undefined, log: Log, now: () => Date) {
    this.#platform = platform;
    this.#log = log;
    this.#now = now;
  }

  /** `tdx, snp from /sys/…`, for the log; undefined where there is nothing that could give any. */
  get description(): string | undefined {
    const source = this.#platform?.source;
    return source === undefined ? undefined : `${source.kinds.join(", ")} from ${source.name}`;
  }

  get isSimulated(): boolean {
    return this.#platform?.source.kinds.includes("simulated") ?? false;
  }

  get hasTpm(): boolean {
    return this.#platform?.openCredential !== undefined;
  }

  /** Whether evidence over these 64 bytes can be given without asking the platform. */
  has(userData: Uint8Array): boolean {
    const kept = this.#kept.get(userData.toHex());
    return this.#platform === undefined || (kept !== undefined && this.#now().getTime() - kept.at < KEPT_MS);
  }

  /** Evidence over these 64 bytes, or null with the reason where the platform gives none just now. Throws `too_many`. */
  over(userData: Uint8Array): Promise<Answer> {
    const platform = this.#platform;
    if (platform === undefined) return Promise.resolve({ evidence: null });
    const key = userData.toHex();
    const kept = this.#kept.get(key);
    if (kept !== undefined && this.has(userData)) return kept.answer;
    const answer = this.#alone(() => this.#gather(platform, userData));
    this.#keep(key, answer);
    return answer;
  }

  /** What the evidence proves to the CAS itself; undefined where there is none. Throws `unavailable`, `not_attested`, `too_many`. */
  async claims(trust: () => CasEvidenceTrust): Promise<Claims | undefined> {
    const { evidence, evidenceProblem } = await this.over(casEvidenceUserData(OF_ITSELF));
    // What this CAS is must not be forgotten because its platform fails just now.
    if (evidenceProblem !== undefined)
      throw new ApiError("unavailable", "the platform of this CAS gives no evidence", { causes: [evidenceProblem] });
    try {
      return await verifyCasEvidence({ evidence, signedStatement: OF_ITSELF }, trust(), ({ idObject, encryptedSecret }) =>
        this.openCredential(Buffer.from(idObject, "base64"), Buffer.from(encryptedSecret, "base64")),
      );
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      throw new ApiError("not_attested", "this CAS does not believe the evidence about itself, and so cannot compare", {
        causes: [error.message],
      });
    }
  }

  /** Throws `too_many`, `bad_request` for a credential that is not for this TPM, and `not_found` where there is none. */
  openCredential(idObject: Uint8Array, encryptedSecret: Uint8Array): Promise<Uint8Array> {
    const open = this.#platform?.openCredential;
    if (open === undefined) throw new ApiError("not_found", "the evidence of this CAS is not that of a TPM");
    return this.#alone(async () => {
      try {
        return await open(idObject, encryptedSecret);
      } catch (error) {
        if (!(error instanceof AttesterError)) throw error;
        throw new ApiError("bad_request", "the TPM of this CAS does not open the credential", { causes: causesOf(error) });
      }
    });
  }

  async #gather({ source }: OwnPlatform, userData: Uint8Array): Promise<Answer> {
    let gathered: Evidence;
    try {
      gathered = await source.gather({ userData, workload: readWorkload(), certifyKey: undefined });
    } catch (error) {
      if (!(error instanceof AttesterError)) throw error;
      const problem = causesOf(error).join(": ");
      if (problem !== this.#toldProblem) this.#log.warn(`no evidence about the platform of this CAS: ${problem}`);
      this.#toldProblem = problem;
      return { evidence: null, evidenceProblem: problem.slice(0, 1024) };
    }
    this.#toldProblem = undefined;
    const { kind, evidence, endorsements } = encodeEvidence(gathered);
    return { evidence: { kind, evidence, ...(endorsements === undefined ? {} : { endorsements: { ...endorsements } }) } };
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting >= WAITING_MAX) {
      throw new ApiError("too_many", `${WAITING_MAX} others wait for the evidence of this CAS`, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    }
    this.#waiting += 1;
    const result = this.#turn.then(work).finally(() => {
      this.#waiting -= 1;
    });
    this.#turn = result.catch(() => {}); // told to whoever asked
    return result;
  }

  /** What failed is not kept. */
  #keep(key: string, answer: Promise<Answer>): void {
    this.#kept.delete(key);
    this.#kept.set(key, { at: this.#now().getTime(), answer });
    const forget = () => this.#kept.delete(key);
    answer.then(({ evidence }) => evidence === null && forget(), forget);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT) break;
      this.#kept.delete(oldest);
    }
  }
}

function causesOf(error: Error): string[] {
  const causes: string[] = [];
  for (let at: unknown = error; at instanceof Error && causes.length < 4; at = at.cause) causes.push(at.message);
  return causes;
}
