import type { OptionSpec } from "./command-spec.ts";

/** Options of `apply` by the manifest's kind (CL sections 3.1 and 3.2). Note that `-h` is a directory for services. */
const SHARED: readonly OptionSpec[] = [
  { short: "d", long: "dry-run", summary: "show what would be done; build, push and upload nothing" },
  { long: "mode", value: "MODE", words: ["production", "debug"], summary: "run mode" },
  { short: "p", long: "print-defaults", summary: "print the variables with their defaults, and stop" },
  { short: "q", long: "quiet", summary: "less output, repeatable" },
  { short: "t", long: "target-directory", value: "DIR", summary: "where results are written (default: ./target)" },
  { short: "v", long: "verbose", summary: "more output, repeatable" },
  { short: "V", long: "version", summary: "the version" },
  { long: "set-version", value: "VERSION", summary: "version of the platform images" },
  { short: "e", value: "NAME=VALUE", isRepeatable: true, summary: "shell-style variable for the manifest, repeatable" },
  { long: "use-env", summary: "take shell-style variables from the environment" },
  { long: "allow-unknown-fields", summary: "unknown fields of the manifest are warnings" },
  { long: "fail-on-warning", summary: "a warning makes the exit status 1; nothing is pushed or uploaded" },
  { long: "json", summary: "print result and diagnostics as JSON" },
];

export const SERVICE_OPTIONS: readonly OptionSpec[] = [
  { short: "f", long: "filename", value: "FILE", summary: "the manifest (default: Manifest.yaml; - is standard input)" },
  { short: "h", long: "helm-template", value: "DIR", summary: "chart templates to use instead of the built-in ones" },
  { long: "help", summary: "this text" },
  {
    short: "n",
    long: "no-push",
    summary: "keep the image in the local store and that of a container engine that answers (DOCKER_HOST), do not push",
  },
  ...SHARED,
];

export const MESH_OPTIONS: readonly OptionSpec[] = [
  { short: "f", long: "filename", value: "FILE", summary: "the manifest (default: Meshfile.yaml; - is standard input)" },
  { short: "h", long: "help", summary: "this text" },
  { long: "host-pwd", value: "PATH", summary: "accepted and ignored" },
  { short: "m", long: "maa", value: "URL", summary: "attest services through Microsoft Azure Attestation" },
  { short: "n", long: "no-pull", summary: "take images from the local store" },
  { short: "o", long: "output", value: "FORMAT", words: ["helm_chart", "yaml"], summary: "yaml also writes plain Kubernetes objects" },
  { long: "otp", value: "DIGITS", summary: "one-time password for confidential signing (repo.config_id), which this release refuses" },
  { long: "policy-namespace", value: "NAME", summary: "overrides policy.namespace" },
  {
    long: "evidence",
    value: "KINDS",
    summary: "kinds of evidence that the policies accept, e.g. node, or simulated:tdx on a machine without a TEE",
  },
  { long: "release", value: "NAME", summary: "Helm release for which the chart is meant" },
  { long: "release-version", value: "N", summary: "ordinal of this release of the application (default: 1)" },
  { long: "signing-url", value: "HOST:PORT", summary: "remote signing service, with mode SignOnline" },
  ...SHARED,
];
