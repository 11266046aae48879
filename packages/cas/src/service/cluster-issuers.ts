import { hash } from "node:crypto";
import type { ClusterIssuer } from "@vouchsafe/protocol";
import { createLocalJWKSet, errors, type JWTPayload, jwtVerify } from "jose";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";

const SUBJECTS = {
  node: { event: "node_issuer_changed", what: "node agents", act: "enrol its node agents" },
  backup: { event: "backup_issuer_changed", what: "backups", act: "register its nodes as backups" },
} as const;
/** What a cluster may vouch for: its node agents (C-91), or its nodes as backups (C-75). */
export type VouchedFor = keyof typeof SUBJECTS;

const ALGORITHMS = ["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"];
const CLOCK_TOLERANCE_SECONDS = 60;

/** The clusters whose word about one thing the owner accepts, so that a new node needs no person. */
export class ClusterIssuers {
  readonly #context: CasContext;
  readonly #about: VouchedFor;
  readonly #issuers = new Map<string, ClusterIssuer>();

  private constructor(context: CasContext, about: VouchedFor) {
    this.#context = context;
    this.#about = about;
  }

  static async open(context: CasContext, about: VouchedFor): Promise<ClusterIssuers> {
    const issuers = new ClusterIssuers(context, about);
    const kind = `${about}-issuer`;
    for (const id of context.database.ids(kind)) {
      const issuer = await context.database.get<ClusterIssuer>({ kind, id });
      if (issuer !== undefined) issuers.#issuers.set(issuer.issuer, issuer);
    }
    return issuers;
  }

  /** Adds a cluster, or replaces its account and keys. What was believed before stays. */
  async put(issuer: ClusterIssuer): Promise<void> {
    if (JSON.stringify(this.#issuers.get(issuer.issuer)) === JSON.stringify(issuer)) return;
    await this.#context.database.transact((tx) => {
      tx.put(this.#rowOf(issuer.issuer), issuer);
      this.#context.audit.append(tx, SUBJECTS[this.#about].event, {
        issuer: issuer.issuer,
        subject: issuer.subject,
        keys: issuer.keys.length,
      });
    });
    this.#issuers.set(issuer.issuer, issuer);
  }

  /** From now on that cluster's word does not count; harmless when it never did. */
  async remove(issuer: string): Promise<void> {
    if (!this.#issuers.has(issuer)) return;
    await this.#context.database.transact((tx) => {
      tx.delete(this.#rowOf(issuer));
      this.#context.audit.append(tx, SUBJECTS[this.#about].event, { issuer, subject: null, keys: 0 });
    });
    this.#issuers.delete(issuer);
  }

  /**
   * Verifies a service-account token that somebody of the cluster asked for with `audience` as its only audience, which says what the token is about:
   * it is no login anywhere, and no API server takes it. Throws `forbidden` and says which condition fails.
   */
  async verify(statement: string, audience: string): Promise<JWTPayload> {
    const { act, what } = SUBJECTS[this.#about];
    if (this.#issuers.size === 0) {
      throw new ApiError("forbidden", `the owner of this CAS has allowed no cluster to ${act}; run kubectl provision`);
    }
    let reason = "";
    for (const issuer of this.#issuers.values()) {
      try {
        const { payload } = await jwtVerify(statement, createLocalJWKSet({ keys: issuer.keys }), {
          algorithms: ALGORITHMS,
          issuer: issuer.issuer,
          subject: issuer.subject,
          currentDate: this.#context.now(),
          clockTolerance: CLOCK_TOLERANCE_SECONDS,
          requiredClaims: ["exp", "aud"],
        });
        const audiences = [payload.aud ?? []].flat();
        // An additional audience would make the statement a login somewhere else, hence a secret: not what was agreed.
        if (audiences.length === 1 && audiences[0] === audience) return payload;
        throw new ApiError("forbidden", `the cluster's statement is not about ${audience}`);
      } catch (error) {
        if (!(error instanceof errors.JOSEError)) throw error;
        reason = error.message; // about the token's form and claims; it quotes no secret
      }
    }
    throw new ApiError("forbidden", `the cluster's statement about its ${what} is not accepted: ${reason}`);
  }

  #rowOf(issuer: string) {
    return { kind: `${this.#about}-issuer`, id: hash("sha256", issuer) };
  }
}
