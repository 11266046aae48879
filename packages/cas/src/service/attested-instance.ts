import type { Configuration, Renewal } from "@vouchsafe/protocol";
import type { StoredSecrets } from "@vouchsafe/secrets";
import type { DeliveryClaims } from "../values/delivery-values.ts";

/** What the CAS remembers of an instance while its connection is open. */
export interface AttestedFacts {
  readonly session: string;
  readonly service: string;
  readonly sessionHash: string;
  /** As the Evidence names it; undefined without attestation. */
  readonly instanceId: string | undefined;
  /** SHA-256 of the instance key, hex. */
  readonly instanceKeyId: string;
  /** For values made at delivery; undefined without attestation. */
  readonly claims: DeliveryClaims | undefined;
}

/** What an instance gets: its configuration, and the values in it that are its own. */
export interface Delivery {
  readonly configuration: Configuration;
  readonly own: StoredSecrets;
}

/** One attested program instance: what it was given, and the way to send it more. */
export class AttestedInstance {
  readonly facts: AttestedFacts;
  /** As last delivered or renewed. */
  configuration: Configuration;
  /** Values of this instance alone, which are stored nowhere else (extensions `scope: instance`, `self::…`). */
  ownValues: StoredSecrets;
  hasExited = false;
  #send: ((message: object) => void) | undefined;
  #close: (() => void) | undefined;

  constructor(facts: AttestedFacts, { configuration, own }: Delivery) {
    this.facts = facts;
    this.configuration = configuration;
    this.ownValues = own;
  }

  attach(send: (message: object) => void, close: () => void): void {
    this.#send = send;
    this.#close = close;
  }

  renew(renewal: Renewal): void {
    this.#send?.(renewal);
  }

  disconnect(): void {
    this.#close?.();
  }
}
