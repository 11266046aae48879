import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { rawX25519 } from "@vouchsafe/policy";
import type { RecoveryRequest, ShareAccepted, SignedShare } from "@vouchsafe/protocol";
import { ApiError } from "../cas-error.ts";
import { type RecoveryShares, shareDigest } from "./recovery-shares.ts";
import { combineShares, type Share } from "./secret-sharing.ts";
import { isSignedBy, openShare, SHARE_BYTES } from "./signed-share.ts";

/** Collects the shares of holders until there are enough (C-80). Its key is of this process: what was handed in counts nowhere else. */
export class Recovery {
  readonly #sets: readonly RecoveryShares[];
  readonly #key = generateKeyPairSync("x25519").privateKey;
  /** By holder: one share of each set. */
  readonly #handedIn = new Map<string, readonly Share[]>();

  /** `sets`: of the key that is in force; while a roll-over was interrupted, of both that may be. Not empty, and of one CAS. */
  constructor(sets: readonly RecoveryShares[]) {
    this.#sets = sets;
  }

  /** Public, 64 hex digits: part of the statement of the CAS, so that holders know whom they encrypt to. */
  get key(): string {
    return rawX25519(this.#key).toHex();
  }

  get threshold(): number {
    return Math.max(...this.#sets.map(({ threshold }) => threshold));
  }

  get missing(): number {
    return Math.max(0, this.threshold - this.#handedIn.size);
  }

  get holders(): readonly string[] {
    return [...this.#handedIn.keys()];
  }

  get request(): RecoveryRequest {
    const shares = this.#sets.flatMap((set) => set.shares.map(({ holder, sealed }) => ({ holder, sealed })));
    return { cas: this.#cas, threshold: this.threshold, handedIn: [...this.holders], shares };
  }

  /** Takes a share; the same holder's again replaces. Throws `not_found`, `bad_signature`, `wrong_cas`, `invalid_value`. */
  accept(signed: SignedShare): ShareAccepted {
    const { holder, cas, recoveryKey } = signed;
    const own = this.#sets.map((set) => ({ set, entry: set.shares.find((share) => share.holder === holder) }));
    const entries = own.flatMap(({ set, entry }) => (entry === undefined ? [] : [{ set, entry }]));
    const [first] = entries;
    if (first === undefined) throw new ApiError("not_found", `${holder} holds no share of this database`);
    const publicKey = createPublicKey({ key: Buffer.from(first.entry.key, "base64"), format: "der", type: "spki" });
    if (!isSignedBy(signed, publicKey)) throw new ApiError("bad_signature", `the share is not signed by ${holder}`);
    if (cas !== this.#cas || recoveryKey !== this.key) {
      throw new ApiError("wrong_cas", "the share was made for another CAS, or for an earlier start of this one", {
        causes: [`it is for the recovery key ${recoveryKey}; this CAS has ${this.key}`],
      });
    }
    const bytes = openShare(signed, this.#key);
    const shares = entries.map(({ entry }, index) => ({
      at: entry.at,
      bytes: (bytes ?? new Uint8Array()).slice(index * SHARE_BYTES, (index + 1) * SHARE_BYTES),
    }));
    bytes?.fill(0);
    const isRight = entries.every(({ entry }, index) => shareDigest(shares[index]?.bytes ?? new Uint8Array()) === entry.digest);
    if (!isRight) throw new ApiError("invalid_value", `what ${holder} handed in is not the share of this database`);
    this.#handedIn.set(holder, shares);
    return { threshold: this.threshold, missing: this.missing };
  }

  /** The keys that the shares give, one for each set; call it when none is missing. The caller overwrites them. */
  combine(): readonly Uint8Array[] {
    return this.#sets.map((_, index) => combineShares([...this.#handedIn.values()].flatMap((shares) => shares[index] ?? [])));
  }

  /** Overwrites what was handed in: it was of no use, or has done its work. */
  forget(): void {
    for (const shares of this.#handedIn.values()) for (const { bytes } of shares) bytes.fill(0);
    this.#handedIn.clear();
  }

  get #cas(): string {
    return this.#sets[0]?.cas ?? "";
  }
}
