import type { KeyObject } from "node:crypto";
import { dirname, join } from "node:path";
import { type Collateral, type TrustAnchors, VENDOR_TRUST_ANCHORS } from "@vouchsafe/attestation";
import { CollateralError } from "@vouchsafe/collateral";
import { sessionEncryptionKeyText } from "@vouchsafe/policy";
import { AttestationKeyAuthority, ProtocolError } from "@vouchsafe/protocol";
import { systemRandomness, testRandomness } from "@vouchsafe/secrets";
import { attestLogKey } from "./audit/attest-log-key.ts";
import { AuditLog } from "./audit/audit-log.ts";
import { AuditService } from "./audit/audit-service.ts";
import { LogSigner } from "./audit/log-signer.ts";
import type { CasContext } from "./cas-context.ts";
import { ApiError, CasError } from "./cas-error.ts";
import { CasCollateral, type CollateralOptions } from "./collateral/cas-collateral.ts";
import { collateralMetrics } from "./collateral/collateral-metrics.ts";
import { collateralReport } from "./collateral/collateral-report.ts";
import { exceptionMetrics } from "./collateral/exception-metrics.ts";
import type { ListenAddress } from "./config/availability-config.ts";
import { DEFAULT_OWNER_CONFIG, type OwnerConfig, parseOwnerConfig } from "./config/owner-config.ts";
import type { Freshness } from "./freshness/freshness.ts";
import { activationRoutes } from "./http/activation-routes.ts";
import { attestRoutes } from "./http/attest-routes.ts";
import { requireClientCertificate } from "./http/client-certificate.ts";
import { createClientServer, listenClientServer, replaceClientIdentity } from "./http/client-server.ts";
import { collateralRoutes } from "./http/collateral-routes.ts";
import { enrolmentRoutes } from "./http/enrolment-routes.ts";
import { exportRoutes } from "./http/export-routes.ts";
import { limitFailures } from "./http/failure-limit.ts";
import { instanceRoutes } from "./http/instance-routes.ts";
import { ownerRoutes } from "./http/owner-routes.ts";
import { proposalRoutes } from "./http/proposal-routes.ts";
import { type RateLimit, RateLimiter } from "./http/rate-limit.ts";
import { splitTarget } from "./http/request-names.ts";
import { secretRoutes } from "./http/secret-routes.ts";
import { sessionRoutes } from "./http/session-routes.ts";
import { signAnswers } from "./http/sign-answers.ts";
import { isStatusRoute, statusRoutes } from "./http/status-routes.ts";
import { verifyEvidenceRoute } from "./http/verify-evidence-route.ts";
import { type CasIdentityKeys, tlsIdentity } from "./identity/cas-identity.ts";
import { casStatement } from "./identity/cas-statement.ts";
import { OwnEvidence } from "./identity/own-evidence.ts";
import type { OwnPlatform } from "./identity/own-platform.ts";
import { RemoteImports } from "./imports/remote-imports.ts";
import { createLog, type Log, type WriteLine } from "./log-line.ts";
import { openDatabase } from "./open-database.ts";
import { CasMetrics } from "./operation/metrics.ts";
import { Snapshots } from "./operation/snapshots.ts";
import { Provisioning } from "./provisioning/provisioning.ts";
import { type Recovered, recoverDatabaseKey } from "./recovery/recover-database-key.ts";
import { readAccess } from "./registration/access.ts";
import { type InstanceEvidence, Instances } from "./registration/instances.ts";
import type { KeyRing } from "./sealing/key-ring.ts";
import { keyStorePath } from "./sealing/key-store.ts";
import { Activations } from "./service/activations.ts";
import type { AttestedInstance } from "./service/attested-instance.ts";
import { CertificateRenewal } from "./service/certificate-renewal.ts";
import { ClusterIssuers } from "./service/cluster-issuers.ts";
import type { EvidenceTrust } from "./service/evidence-verifier.ts";
import { instanceHandlers } from "./service/instance-handlers.ts";
import { NodeKeys } from "./service/node-keys.ts";
import { startServiceServer } from "./service/service-server.ts";
import type { PostgresOptions } from "./store/postgres-row-store.ts";
import { Vaults } from "./vaults/vaults.ts";
import { CAS_SOFTWARE, type Software } from "./version.ts";

export interface CasOptions {
  /** SQLite file; the key store lies beside it (C-1). With `postgres` it only names the key store. */
  readonly databasePath: string;
  /** Shared database instead of the file: one CAS is active, others with the same keys take over (C-76). */
  readonly postgres?: PostgresOptions | undefined;
  /** Seals the database key; made on first start. Keep it on another disk than the database. */
  readonly platformKeyPath: string;
  readonly clientListen: ListenAddress;
  readonly serviceListen: ListenAddress;
  /** C-16: provision at start what is not provisioned yet. `ownerCertificate` is PEM. */
  readonly selfProvision?: { readonly config: string; readonly owner?: { readonly keyHash: string; readonly pem: string } } | undefined;
  /** Serves Prometheus metrics there, without TLS. */
  readonly metricsListen?: ListenAddress | undefined;
  /** Copies of database and key store for disaster recovery (C-77). */
  readonly snapshots?: { readonly directory: string; readonly intervalMs: number } | undefined;
  /** File of the audit log, where the owner wants one; beside the database unless given. */
  readonly auditLogPath?: string | undefined;
  /** Remembers how far the database has come (C-5); beside the platform key unless given. */
  readonly anchorPath?: string | undefined;
  /** Accept at start that the database may be an old one: for a CAS that has no owner who could. */
  readonly acceptRollback?: boolean | undefined;
  /** With `selfProvision`: refuse to start when there is an owner already, instead of going on. */
  readonly failIfProvisioned?: boolean | undefined;
  /** Public keys of node agents to enrol at start. */
  readonly nodeKeys?: readonly KeyObject[] | undefined;
  /** Gives evidence about this CAS itself (C-64); none unless given. */
  readonly ownPlatform?: OwnPlatform | undefined;
  /** Roots by kind, the vendors' own unless given; a kind without any is trusted from nobody. */
  readonly trustAnchors?: TrustAnchors | undefined;
  /** Where Endorsements come from that did not come with the Evidence; from nowhere unless given. */
  readonly collateral?: CollateralOptions | undefined;
  /** Further names and addresses for the TLS certificate, besides those of the owner configuration. */
  readonly altNames?: readonly string[] | undefined;
  /** Which software this is; tests of upgrades say another one. */
  readonly software?: Software | undefined;
  readonly uploadLimit?: RateLimit | undefined;
  /** Failed authentications of one client (C-25). */
  readonly failureLimit?: RateLimit | undefined;
  /** Ends a start that waits for the holders of recovery keys (C-80). */
  readonly signal?: AbortSignal | undefined;
  /** Lines of the console; standard error unless given. */
  readonly writeLine?: WriteLine | undefined;
  readonly now?: (() => Date) | undefined;
}

export interface RunningCas extends AsyncDisposable {
  readonly clientAddress: ListenAddress;
  readonly serviceAddress: ListenAddress;
  readonly metricsAddress: ListenAddress | undefined;
  /** Takes a snapshot now; its directory, or undefined where none are configured. */
  takeSnapshot(): Promise<string | undefined>;
  readonly casKeyHash: string;
  /** Present while the CAS waits to be provisioned. */
  readonly provisioningToken: string | undefined;
  /** 64 hex digits: what sessions for this CAS are encrypted to. */
  readonly sessionEncryptionKey: string;
}

const DEFAULT_UPLOAD_LIMIT: RateLimit = { perMinute: 6_000, burst: 1_000 };
const DEFAULT_FAILURE_LIMIT: RateLimit = { perMinute: 600, burst: 300 };
const LOCAL_NAMES = ["127.0.0.1"];

/** Starts a CAS in this process: opens the database, shows who it is, serves. Throws CasError; nothing stays open then. */
export async function startCas(options: CasOptions): Promise<RunningCas> {
  const started = new AsyncDisposableStack();
  try {
    return await start(options, started);
  } catch (error) {
    await started.disposeAsync();
    throw error;
  }
}

async function start(options: CasOptions, started: AsyncDisposableStack): Promise<RunningCas> {
  testRandomness(systemRandomness);
  // A mistake in it is found before anything is made.
  if (options.selfProvision !== undefined) parseOwnerConfig(options.selfProvision.config, "owner configuration");
  const now = options.now ?? (() => new Date());
  const log = createLog(options.writeLine ?? ((line) => process.stderr.write(`${line}\n`)), now);
  const software = options.software ?? CAS_SOFTWARE;
  const recovered = await recoverDatabaseKey({ ...options, software, now, log });
  const { database, freshness, identity, keyRing, instanceKey } = await openDatabase({ ...options, software, now, log }, started);
  if (recovered !== undefined) assertRecovered(recovered, identity);
  if (database.isReadOnly) log.warn(`the database can only be read (${database.description}): every change is refused`);
  log.info(`CAS key hash: ${identity.casKeyHash}`);
  const ownEvidence = new OwnEvidence(options.ownPlatform, log, now);
  sayWhatProtects(ownEvidence, log);
  if (hasDevelopmentRoot(options)) log.warn("DEVELOPMENT ONLY: a development root is trusted; simulated evidence proves nothing");
  const audit = new AuditLog(database, identity.instance, now);
  const remote = started.use(new RemoteImports({ identity: () => context.tls, now, log }));
  const vaults = started.use(new Vaults(DEFAULT_OWNER_CONFIG.azure, { now, log }));
  const { commonName, altNames } = DEFAULT_OWNER_CONFIG.identity;
  const tls = tlsIdentity(identity, commonName, altNames, now());
  const context: CasContext = { database, identity, software, audit, log, now, remote, vaults, ownerConfig: DEFAULT_OWNER_CONFIG, tls };
  if (recovered !== undefined) await audit.record("database_recovered", { holders: recovered.holders });
  if (freshness.suspicion !== undefined && options.acceptRollback === true) await acceptRollback(context, freshness, keyRing);
  if (freshness.suspicion !== undefined)
    log.error(`roll-back suspected: ${freshness.suspicion}; nothing is served until the owner accepts the loss`);
  const provisioning = await Provisioning.open(context);
  if (hasDevelopmentRoot(options)) assertDevelopment(options, provisioning);
  const isTrusted = freshness.suspicion === undefined && !database.isReadOnly;
  if (isTrusted && options.selfProvision !== undefined && (options.failIfProvisioned === true || provisioning.state === "unprovisioned")) {
    await provisioning.selfProvision(options.selfProvision.config, options.selfProvision.owner);
    await keyRing.sealFor(await readAccess(database));
    log.warn("the CAS provisioned itself: whoever starts it can read and replace its configuration");
  }
  const provisioningToken = provisioning.state === "unprovisioned" ? provisioning.issueToken() : undefined;
  const nodeKeys = await NodeKeys.open(context);
  const [nodeIssuers, backupIssuers] = [await ClusterIssuers.open(context, "node"), await ClusterIssuers.open(context, "backup")];
  for (const key of isTrusted ? (options.nodeKeys ?? []) : []) {
    const { keyHash: hash } = await nodeKeys.enrol(key.export({ type: "spki", format: "der" }));
    log.warn(`node agent ${hash} is trusted to measure programs: this proves nothing about hardware`);
  }
  return serve(
    options,
    { context, provisioning, freshness, nodeKeys, nodeIssuers, backupIssuers, keyRing, instanceKey, ownEvidence, started },
    provisioningToken,
  );
}

/** Holders gave their shares for one CAS: another one's database does not pass as its own. */
function assertRecovered({ cas }: Recovered, { casKeyHash }: CasIdentityKeys): void {
  if (cas === casKeyHash) return;
  throw new CasError("KEY_STORE", `the shares were those of the CAS ${cas}, but the database is that of ${casKeyHash}`, {
    remedy: "Restore database and key store from the same snapshot.",
  });
}

const hasDevelopmentRoot = ({ trustAnchors }: CasOptions): boolean => (trustAnchors?.simulated ?? []).length > 0;

/** SL-86: a CAS that an owner provisioned, or that shares a database with others, is for production and cannot hold a development root. */
function assertDevelopment({ postgres, selfProvision }: CasOptions, { record }: Provisioning): void {
  const isDevelopment = record === undefined ? selfProvision !== undefined : record.isSelfProvisioned;
  if (isDevelopment && postgres === undefined) return;
  throw new CasError("CONFIGURATION", "a production CAS cannot hold a development root, and this one does not provision itself alone", {
    remedy: "Start a CAS with a state directory of its own for development, or leave the development root out.",
  });
}

/** Throws EvidenceError; ProtocolError CAS_EVIDENCE where what vendors publish cannot be had. */
async function findCasCollateral(collateral: CasCollateral, ...asked: Parameters<CasCollateral["find"]>): Promise<Collateral> {
  try {
    return await collateral.find(...asked);
  } catch (cause) {
    if (cause instanceof CollateralError) throw new ProtocolError("CAS_EVIDENCE", cause.message, { cause });
    throw cause;
  }
}

function sayWhatProtects({ description, isSimulated }: OwnEvidence, log: Log): void {
  if (description === undefined || isSimulated) log.warn("no TEE protects this CAS: the root user of this machine can read what it keeps");
  if (description === undefined) return;
  if (isSimulated) log.warn(`DEVELOPMENT ONLY: evidence about this CAS is ${description}; it proves nothing`);
  else log.info(`evidence about this CAS is ${description}`);
}

/** C-5: from here on the database counts as the newest one; the log remembers what was lost. */
async function acceptRollback({ audit, database }: CasContext, freshness: Freshness, keyRing: KeyRing): Promise<string> {
  const lost = freshness.accept();
  await keyRing.sealFor(await readAccess(database));
  await audit.record("rollback_accepted", { lost });
  return lost;
}

function startSnapshots(options: CasOptions, { database, log, now }: CasContext, started: AsyncDisposableStack): Snapshots | undefined {
  const { snapshots, databasePath } = options;
  if (snapshots === undefined) return undefined;
  const onFailure = (error: unknown) => {
    log.error(`snapshot failed, the CAS stops: ${error instanceof Error ? error.message : "unknown reason"}`);
    process.exitCode = 1;
    process.kill(process.pid, "SIGTERM");
  };
  return started.use(new Snapshots(database, { ...snapshots, databasePath, keyStorePath: keyStorePath(databasePath), now, onFailure }));
}

interface CasParts {
  readonly context: CasContext;
  readonly provisioning: Provisioning;
  readonly freshness: Freshness;
  readonly nodeKeys: NodeKeys;
  readonly nodeIssuers: ClusterIssuers;
  readonly backupIssuers: ClusterIssuers;
  readonly keyRing: KeyRing;
  readonly instanceKey: string;
  readonly ownEvidence: OwnEvidence;
  readonly started: AsyncDisposableStack;
}

async function serve(
  options: CasOptions,
  { context, provisioning, freshness, nodeKeys, nodeIssuers, backupIssuers, keyRing, instanceKey, ownEvidence, started }: CasParts,
  provisioningToken: string | undefined,
): Promise<RunningCas> {
  const { log } = context;
  const state = () => {
    if (otherInstances.isUpgrading) return "upgrading";
    return freshness.suspicion === undefined ? provisioning.state : "rollback-suspected";
  };
  const { identity, now, software } = context;
  const names = ({ identity: api }: OwnerConfig) => [...new Set([...api.altNames, ...LOCAL_NAMES, ...(options.altNames ?? [])])];
  const applyIdentity = (config: OwnerConfig) => {
    context.tls = tlsIdentity(identity, config.identity.commonName, names(config), now());
    context.remote.configure(config.importNetworks);
    context.vaults.configure(config.azure, config.importNetworks);
  };
  applyIdentity(context.ownerConfig);
  const instances = new Set<AttestedInstance>();
  const activations = new Activations(now);
  let isStopping = false;
  const signer = new LogSigner(identity);
  const auditPath = options.auditLogPath ?? join(dirname(options.databasePath), "audit", "cas_audit.log");
  const auditService = started.use(new AuditService(context, signer, auditPath));
  if (context.database.isReadOnly) context.audit.mode = context.ownerConfig.auditLog.mode;
  else if (freshness.suspicion === undefined) await auditService.apply(context.ownerConfig);
  const [present] = identity.sessionEncryptionKeys;
  if (present === undefined) throw new TypeError("the identity has no session-encryption key");
  const sessionEncryptionKey = sessionEncryptionKeyText(present);
  const app = createClientServer(context.tls, log);
  const uploads = new RateLimiter("uploads", options.uploadLimit ?? DEFAULT_UPLOAD_LIMIT);
  started.defer(() => app.close());
  limitFailures(app, options.failureLimit ?? DEFAULT_FAILURE_LIMIT, now);
  signAnswers(app, identity, now);
  const { database } = context;
  app.addHook("onRequest", async ({ url }) => {
    if (otherInstances.isUpgrading && !isStatusRoute(url))
      throw new ApiError("unavailable", "the CAS is upgrading", { retryAfterSeconds: 5 });
  });
  const metrics = new CasMetrics({
    instances: () => instances.size,
    sessions: () => database.ids("session").size,
    logEntries: () => database.tree.size,
  });
  const metricsServer = options.metricsListen === undefined ? undefined : started.use(await metrics.serve(options.metricsListen));
  app.addHook("onResponse", async (request, reply) =>
    metrics.countRequest(request.routeOptions.url ?? "none", request.method, reply.statusCode),
  );
  const snapshots = startSnapshots(options, context, started);
  const renewal = new CertificateRenewal(context, instances);
  const developmentRoot = hasDevelopmentRoot(options);
  const instanceEvidence: InstanceEvidence = {
    trust: () => ({
      anchors: options.trustAnchors ?? VENDOR_TRUST_ANCHORS,
      tpm: context.ownerConfig.tpm,
      findCollateral: (evidence, verification) => findCasCollateral(collateral, evidence, verification),
      now: now(),
    }),
    ownClaims: () => ownEvidence.claims(instanceEvidence.trust),
  };
  const otherInstances = new Instances(context, keyRing, { ...software, instanceKey, developmentRoot }, instanceEvidence, snapshots);
  context.remote.onChanged = (name) => renewal.valuesChanged(name);
  context.vaults.imports.onChanged = (name) => renewal.valuesChanged(name);
  const anchors = options.trustAnchors ?? VENDOR_TRUST_ANCHORS;
  const collateral = started.use(
    await CasCollateral.open(context, anchors, options.collateral ?? { sources: [] }, (event) => metrics.countCollateral(event)),
  );
  collateral.subscribe(context.ownerConfig.subscription);
  collateralMetrics(metrics.registry, collateral);
  exceptionMetrics(metrics.registry, context);
  const attestationKeys = new AttestationKeyAuthority(() => context.ownerConfig.tpm, now);
  const trust: EvidenceTrust = {
    anchors: { ...anchors, tpm: [...(anchors.tpm ?? []), attestationKeys.root] },
    nodeKeys: () => nodeKeys.keys,
    findCollateral: (evidence, verification) => collateral.find(evidence, verification),
    onPlatform: (platform, service) => collateral.notePlatform(platform, service),
    now: collateral.now,
  };
  const handlers = instanceHandlers(context, {
    attestationKeys,
    trust,
    instances,
    renewal,
    activations,
    isStopping: () => isStopping,
    onAnswered: (outcome) => metrics.countAttestation(outcome),
    closedBecause: () => context.database.failure?.message ?? (state() === "provisioned" ? undefined : `it is ${state()}`),
  });
  started.use(renewal.start());
  const service = started.use(await startServiceServer(options.serviceListen, context.tls, handlers, log));
  statusRoutes(app, () => ({ version: software.version, state: state(), problem: context.database.failure?.message, developmentRoot }));
  app.register(async (guarded) => {
    guarded.addHook("onRequest", async () => {
      // What the database has now is not known here, or is another CAS's to say.
      if (database.failure !== undefined) throw new ApiError("unavailable", database.failure.message);
      if (freshness.suspicion !== undefined) throw new ApiError("unavailable", `roll-back suspected: ${freshness.suspicion}`);
      if (provisioning.state !== "provisioned") throw new ApiError("unprovisioned", "the CAS is not provisioned yet");
    });
    sessionRoutes(guarded, context, uploads, renewal);
    proposalRoutes(guarded, context, uploads, (name) => renewal.forget(name));
    activationRoutes(guarded, context, activations);
    exportRoutes(guarded, context, (name) => renewal.renew(name));
    collateralRoutes(guarded, context, collateral, provisioning);
    verifyEvidenceRoute(guarded, context, { trust, uploads, signer: tlsIdentity(identity, "attestation-results", [], now()) });
    secretRoutes(guarded, context, uploads, (name) => renewal.valuesChanged(name));
    instanceRoutes(guarded, otherInstances, provisioning, freshness);
    enrolmentRoutes(guarded, context, { nodeIssuers, nodeKeys, backupIssuers, instances: otherInstances });
  });
  const statement = async (nonce: string) =>
    casStatement({
      tls: context.tls,
      sessionEncryptionKey,
      software,
      instanceKey,
      state: state(),
      provisioning: provisioning.record,
      recovery: context.ownerConfig.recovery,
      recoveryKey: undefined,
      nonce,
      developmentRoot,
      newestSnapshot: snapshots?.newest,
      backups: await otherInstances.backupKeys(),
    });
  attestRoutes(app, ownEvidence, statement, now);
  ownerRoutes(app, {
    provisioning,
    nodeKeys,
    nodeIssuers,
    backupIssuers,
    chain: () => context.tls.chain,
    checkConfig: (config) => auditService.apply(config),
    applyConfig: async (config) => {
      applyIdentity(config);
      collateral.subscribe(config.subscription);
      await otherInstances.followConfig();
      service.replaceIdentity(context.tls);
      replaceClientIdentity(app, context.tls);
    },
    acceptRollback: () => acceptRollback(context, freshness, keyRing),
    healthReport: async () => ({
      database: context.database.description,
      auditLog: context.audit.mode,
      collateral: collateralReport(collateral),
      backups: await otherInstances.backups,
    }),
  });
  app.get("/v1/audit/checkpoints", async (request) => {
    const { keyHash } = requireClientCertificate(request.socket, "audit checkpoints");
    provisioning.assertOwner(keyHash, "reading checkpoints");
    const { query } = splitTarget(request.url);
    return auditService.checkpoints(Number(query.get("from") ?? 1) || 1, Number(query.get("to") ?? 0) || Number.MAX_SAFE_INTEGER);
  });
  const clientAddress = await listenClientServer(app, options.clientListen);
  if (!context.database.isReadOnly) await context.audit.record("cas_started", { chain: context.tls.chain, ...signer.binding });
  if (!context.database.isReadOnly) started.use(attestLogKey(context, ownEvidence, () => auditService.noteCheckpoint()));
  log.info(
    `serving clients on ${clientAddress.host}:${clientAddress.port} and services on ${service.address.host}:${service.address.port}`,
  );
  return {
    clientAddress,
    serviceAddress: service.address,
    metricsAddress: metricsServer?.address,
    takeSnapshot: () => snapshots?.take() ?? Promise.resolve(undefined),
    casKeyHash: identity.casKeyHash,
    provisioningToken,
    sessionEncryptionKey,
    [Symbol.asyncDispose]: async () => {
      isStopping = true;
      for (const instance of instances) instance.disconnect();
      await context.audit.record("cas_exited", {}).catch((error: Error) => log.warn(`audit log: ${error.message}`));
      if (context.audit.mode === "signed")
        await auditService.noteCheckpoint().catch((error: Error) => log.warn(`audit log: ${error.message}`));
      await started.disposeAsync();
    },
  };
}
