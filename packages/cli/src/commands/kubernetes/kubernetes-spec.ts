import type { CommandSpec, OptionSpec } from "../../command-spec.ts";
import { PROVISION_EVIDENCE_OPTIONS } from "../cas/cas-spec.ts";

const HELP: OptionSpec = { long: "help", summary: "this text" };

/** Options of `kubectl provision` (cli.md section 9). */
export const PROVISION_OPTIONS: readonly OptionSpec[] = [
  { short: "n", long: "namespace", value: "NAME", summary: "namespace of the CAS (default: default)" },
  { long: "is-provisioned", summary: "exit 0 if the CAS has an owner; prints YES or NO" },
  { long: "print-public-keys", summary: "print the keys of the CAS, for a shell to read" },
  { long: "verify", summary: "check the set-up of the CAS" },
  { long: "wait", summary: "return when the CAS is healthy, and its nodes are registered as backups" },
  { long: "no-backup", summary: "provision without database snapshots and without the backup controller" },
  { short: "f", long: "filename", value: "FILE", summary: "manifest to apply instead of the default (file or https address)" },
  { short: "o", long: "owner-config", value: "FILE", summary: "owner configuration used at provisioning" },
  { long: "target", value: "DIR", summary: "where the owner identity is stored (default: ~/.cas)" },
  { long: "image-registry", value: "REPOSITORY", summary: "where platform images come from" },
  { long: "image-overwrite", value: "IMAGE", summary: "use this CAS image" },
  { long: "set-version", value: "VERSION", summary: "version of the CAS (default: VERSION)" },
  {
    short: "d",
    long: "dcap-api",
    value: "KEY",
    summary: "subscription to Intel's service, when evidence is judged by it (default: DCAP_KEY)",
  },
  { long: "cas-address", value: "HOST", summary: "address for the connection, instead of the cluster's API" },
  { long: "cas-client-port", value: "PORT", summary: "port for the connection (default: that of the resource, else 8081)" },
  { long: "webhook", value: "URL", summary: "have audit entries sent there (https); every audited operation then needs it" },
  { long: "manifests-dir", value: "DIR", summary: "where the default manifest cas.yaml comes from (directory or https address)" },
  {
    long: "set-tolerations",
    value: "WORDS",
    takesDashes: true,
    summary: "what the platform of the CAS may lack (default: configuration-needed out-of-date hardening-needed; nothing: none)",
  },
  { long: "set-toleration", value: "WORDS", takesDashes: true, summary: "the same" },
  { long: "require-evidence", summary: "refuse a CAS that no hardware vouches for" },
  { long: "cas-key-hash", value: "HASH", summary: "the CAS must have this key (default: the one that this client saw before)" },
  ...PROVISION_EVIDENCE_OPTIONS,
  { long: "upgrade", value: "VERSION", summary: "replace the software of the CAS; what fails is put back" },
  { long: "no-node-enrolment", summary: "the owner enrols the agents of new nodes, not the cluster" },
  { long: "force", summary: "with --upgrade: go on although the CAS is not healthy" },
  { long: "local-backup", summary: "copy the last database snapshot below --target; prints its directory" },
  { long: "cas-database-recovery", value: "DIR", summary: "start the CAS from a snapshot; later changes are lost" },
  { long: "preprovision-only", summary: "only create the CAS and show what the owner needs" },
  { long: "postprovision-only", summary: "only finish, with the owner identity made elsewhere" },
  { long: "postprovision-owner-identity", value: "FILE", summary: "that identity" },
  { long: "cas", value: "NAME.NAMESPACE", summary: "only with vault" },
  { long: "vault-client", summary: "only with vault" },
  { long: "no-docker", summary: "accepted" },
  { long: "no-image-signature-check", summary: "as without --verify-image-signatures" },
  { long: "verify-image-signatures", value: "FILE", summary: "the CAS image must be signed (cosign) by this key (PEM)" },
  { short: "v", long: "verbose", summary: "progress" },
  { long: "debug", summary: "trace" },
  { long: "version", summary: "print the version" },
  HELP,
];

export const PROVISION: CommandSpec = {
  name: "provision",
  summary: "Provisions a CAS of the cluster: attests it, becomes its owner, prints its keys. Also: kubectl provision.",
  operands: "cas [NAME]",
  options: PROVISION_OPTIONS,
  parsesItself: true,
  examples: [
    "provision cas cas -n scone-system",
    "provision cas cas -n scone-system --print-public-keys",
    "provision cas cas --is-provisioned",
    "provision cas cas -n scone-system --mrenclave 5be0… --set-tolerations hardening-needed",
    "provision cas cas -n scone-system --upgrade 0.2.0",
    "provision cas cas -n scone-system --local-backup",
    "provision cas cas -n scone-system --cas-database-recovery ~/.cas/snapshots/cas.scone-system/TIME",
  ],
  load: async () => {
    const { provision } = await import("./provision.ts");
    return (options, shell) => provision(options.operands, shell);
  },
};

export const INIT: CommandSpec = {
  name: "init",
  summary: "Installs the cluster side: resource definitions, operator, node agents, TEE devices. Or removes it.",
  options: [
    { long: "namespace", short: "n", value: "NS", summary: "namespace of the platform (default: scone-system)" },
    { long: "dry-run", summary: "print the objects, change nothing" },
    { long: "wait", summary: "return when everything is healthy (default); gives up after 3 minutes in which nothing moves, or 15 in all" },
    { long: "no-wait", summary: "return at once" },
    { long: "no-sgxplugin", summary: "without TEE devices" },
    { long: "uninstall", summary: "remove the platform again; volumes stay" },
    { long: "with-cas", summary: "with --uninstall: also every CAS of the cluster" },
    { long: "with-volumes", summary: "with --with-cas: also their volumes, with every policy and secret" },
    { long: "image-registry", value: "REPOSITORY", summary: "where platform images come from (default: SCONECTL_REPO)" },
    { long: "set-version", value: "VERSION", summary: "tag of the platform images (default: VERSION)" },
    { long: "image-pull-secret", value: "NAME", summary: "registry credentials in that namespace (default: sconeapps)" },
    {
      long: "container-runtime",
      value: "PATH",
      summary: "socket of the container runtime on the nodes (default: /run/containerd/containerd.sock)",
    },
    { long: "kubelet-root", value: "PATH", summary: "root directory of the kubelet on the nodes (default: /var/lib/kubelet)" },
    HELP,
  ],
  maxOperands: 0,
  examples: [
    "init",
    "init --dry-run > platform.yaml",
    "init --image-registry registry.example/confidential --set-version 0.1.0",
    "init --uninstall",
  ],
  load: async () => (await import("./init.ts")).init,
};

const PUBLISH: CommandSpec = {
  name: "publish",
  summary: "Builds the platform's images and pushes them to a registry, so that nothing is pulled from elsewhere.",
  operands: "REPOSITORY [IMAGE...]",
  minOperands: 1,
  maxOperands: 32,
  options: [
    { long: "version", value: "V", summary: "tag beside `latest` (default: VERSION)" },
    { short: "v", long: "verbose", summary: "progress" },
    HELP,
  ],
  examples: ["publish registry.example/confidential", "publish registry.example/confidential --version 0.1.0 cas operator"],
  load: async () => (await import("./publish.ts")).publish,
};

/** Commands for a cluster: platform, CAS, images. */
export const KUBERNETES_COMMANDS: readonly CommandSpec[] = [PUBLISH, INIT, PROVISION];
