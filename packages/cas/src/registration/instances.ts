import type { Claims } from "@vouchsafe/attestation";
import type { CasEvidenceTrust, RegisterInstance, UpgradeStarted } from "@vouchsafe/protocol";
import type { CasContext } from "../cas-context.ts";
import { ApiError } from "../cas-error.ts";
import type { Freshness } from "../freshness/freshness.ts";
import type { Snapshots } from "../operation/snapshots.ts";
import type { KeyRing } from "../sealing/key-ring.ts";
import { RowSeal } from "../store/row-seal.ts";
import { readAccess } from "./access.ts";
import { attestInstance, type InstanceFacts } from "./attest-instance.ts";
import { type Purpose, type Registration, readRegistrations, registrationKey } from "./registration.ts";

/** How this CAS judges the evidence of other instances, and its own beside it. */
export interface InstanceEvidence {
  readonly trust: () => CasEvidenceTrust;
  /** What its own evidence proves to itself; undefined where there is none. Throws ApiError. */
  readonly ownClaims: () => Promise<Claims | undefined>;
}

/** Other instances that may open the database of this one: backups (C-73 to C-75) and new versions of the software (C-78). */
export class Instances {
  readonly #context: CasContext;
  readonly #keyRing: KeyRing;
  readonly #own: Omit<InstanceFacts, "claims">;
  readonly #evidence: InstanceEvidence;
  readonly #snapshots: Snapshots | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  /** While the database gets a new key, nothing else is served (C-79). */
  isUpgrading = false;

  constructor(
    context: CasContext,
    keyRing: KeyRing,
    own: Omit<InstanceFacts, "claims">,
    evidence: InstanceEvidence,
    snapshots: Snapshots | undefined,
  ) {
    this.#evidence = evidence;
    this.#context = context;
    this.#keyRing = keyRing;
    this.#own = own;
    this.#snapshots = snapshots;
  }

  /** How many backups there are; the running instance, which may be one of them, is not counted. */
  get backups(): Promise<number> {
    return this.list().then(
      (all) => all.filter(({ purpose, instanceKey }) => purpose === "backup" && instanceKey !== this.#own.instanceKey).length,
    );
  }

  /** Instance keys of all who may open the database besides the platform that it was made on, sorted; one that the owner registered twice counts once. */
  async backupKeys(): Promise<string[]> {
    const backups = (await this.list()).filter(({ purpose }) => purpose === "backup");
    return [...new Set(backups.map(({ instanceKey }) => instanceKey))].toSorted();
  }

  list(): Promise<Registration[]> {
    return readRegistrations(this.#context.database);
  }

  /** Attests the instance and seals the database key for it; the same purpose and name again replaces. The caller is the owner. */
  async register(purpose: Purpose, request: RegisterInstance): Promise<Registration> {
    const { instanceKey, version, securityVersion, claims } = await attestInstance(
      purpose,
      request,
      { ...this.#own, claims: await this.#evidence.ownClaims() },
      this.#evidence.trust,
    );
    const { address, name = address } = request;
    const registration = {
      purpose,
      name,
      address,
      instanceKey,
      version,
      securityVersion,
      ...(claims === undefined ? {} : { evidence: claims.kind }),
      at: this.#context.now().toISOString(),
    };
    await this.alone(async () => {
      const { database, audit } = this.#context;
      await database.transact((tx) => {
        tx.put(registrationKey(registration), registration);
        audit.append(tx, "backup_registered", { purpose, name, instance: instanceKey, version });
      });
      await this.#keyRing.sealFor(await readAccess(database));
    });
    return registration;
  }

  /** Throws `not_found`; `bad_request` for the registration by which this very instance opens the database. */
  remove(purpose: Purpose, name: string): Promise<void> {
    return this.alone(async () => {
      const { database, audit } = this.#context;
      const removed = (await this.list()).find((each) => each.purpose === purpose && each.name === name);
      if (removed === undefined) throw new ApiError("not_found", `no ${purpose} is registered as ${name}`);
      if (!this.#keyRing.isOfThisPlatform && removed.instanceKey === this.#own.instanceKey) {
        throw new ApiError("bad_request", `this CAS itself opens the database as ${name}`);
      }
      await database.transact((tx) => {
        tx.delete(registrationKey(removed));
        audit.append(tx, "backup_removed", { purpose, name, instance: removed.instanceKey });
      });
      await this.#keyRing.sealFor(await readAccess(database));
    });
  }

  /**
   * A new database key for this software (C-78): of the registered instances only those of this very version keep access, as backups. The caller is
   * the owner. Throws `upgrade_missing` unless this version was registered as an upgrade on this platform; then nothing was changed.
   */
  startUpgrade(freshness: Freshness): Promise<UpgradeStarted> {
    return this.alone(async () => {
      const { database, audit, log } = this.#context;
      const { version, instanceKey } = this.#own;
      const all = await this.list();
      if (!all.some((each) => each.purpose === "upgrade" && each.instanceKey === instanceKey && each.version === version)) {
        throw new ApiError("upgrade_missing", `the running software, version ${version}, is not registered as an upgrade on this machine`);
      }
      const others = all.filter((each) => each.instanceKey !== instanceKey);
      const kept = new Map(
        others.filter((each) => each.version === version).map((each) => [each.name, { ...each, purpose: "backup" as const }]),
      );
      const removed = others.filter((each) => each.version !== version && !kept.has(each.name)).map(({ name }) => name);
      const outcome = { version, kept: [...kept.keys()], removed: [...new Set(removed)] };
      const reseal = async (key: Uint8Array) => {
        await database.reseal(new RowSeal(key), (tx) => {
          for (const each of all) tx.delete(registrationKey(each));
          for (const each of kept.values()) tx.put(registrationKey(each), each);
          audit.append(tx, "upgrade_started", outcome);
        });
        freshness.replaceKey(key);
      };
      this.isUpgrading = true;
      try {
        const { recovery } = await readAccess(database);
        await this.#keyRing.rollOver({ instances: [...kept.values()], recovery }, reseal, () => database.failure === undefined);
      } finally {
        this.isUpgrading = false;
      }
      log.info(`the database has a new key, for version ${version} of the software`);
      return outcome;
    });
  }

  /** The key store follows the owner configuration: who holds recovery keys (C-80). */
  followConfig(): Promise<void> {
    return this.alone(async () => this.#keyRing.sealFor(await readAccess(this.#context.database)));
  }

  /** One change of the key store after the other, and no snapshot between database and key store. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(() => (this.#snapshots === undefined ? work() : this.#snapshots.without(work)));
    this.#turn = turn.catch(() => {}); // told to whoever asked for it
    return turn;
  }
}
