import type { Findings, Place } from "./diagnostic.ts";
import { EVIDENCE_WORDS, type EvidenceChoice, joinEvidence, parseEvidenceWord } from "./evidence-choice.ts";
import { type FieldReader, type PlacedText, type ReadOptions, shortText } from "./manifest-reader.ts";
import { findNearest } from "./nearest.ts";
import { refuseShellVariables } from "./placeholder.ts";
import { type ReferenceValues, readReferenceValues } from "./reference-values.ts";

/** `policy` of a mesh (manifests section 5.3). */
export interface PolicySection {
  readonly namespace: PlacedText | undefined;
  readonly tolerate: readonly string[];
  readonly ignoreAdvisories: "*" | readonly string[];
  readonly maa: string | undefined;
  readonly attestationPolicyName: string | undefined;
  readonly securityPolicyName: string | undefined;
  readonly accessPolicyName: string | undefined;
  readonly imagePolicyNamespace: string | undefined;
  readonly evidence: EvidenceChoice | undefined;
  /** What must have been launched, for kinds of evidence whose guests this release did not build. */
  readonly references: ReferenceValues;
  readonly at: Place;
}

const TOLERATIONS = [
  "debug-mode",
  "hyperthreading",
  "insecure-igpu",
  "software-hardening-needed",
  "aepic-leak",
  "insecure-configuration",
  "outdated-tcb",
  "local-attestation-trust-cas-tcb",
  "maa-managed-tcb",
] as const;
export const isToleration = (word: string): boolean => TOLERATIONS.some((toleration) => toleration === word);

const FIELDS = [
  "namespace",
  "tolerate",
  "ignore_advisories",
  "maa",
  "attestation_policy_name",
  "security_policy_name",
  "access_policy_name",
  "image_policy_namespace",
  "evidence",
  "references",
];

export interface PolicyReadOptions extends ReadOptions {
  readonly mode?: "production" | "debug";
  /** Overrides `policy.namespace` (`--policy-namespace`). */
  readonly policyNamespace?: string;
  /** Overrides `policy.maa` (`--maa`). */
  readonly maa?: string;
}

export function readPolicySection(top: FieldReader, options: PolicyReadOptions, findings: Findings): PolicySection | undefined {
  const fields = top.mapping("policy", { required: true });
  if (fields === undefined) return undefined;
  fields.allowOnly(FIELDS, options);
  const override = options.policyNamespace;
  const namespace =
    override === undefined || override === ""
      ? fields.text("namespace", {
          required: "policy.namespace, or the option --policy-namespace",
          refuseEmpty: true,
          variable: "APP_NAMESPACE",
        })
      : { text: override, at: fields.keyPlace("namespace") };
  if (namespace !== undefined && !refuseShellVariables(namespace, findings)) checkPolicyName(namespace, findings);
  const policyName = (field: string): string | undefined => {
    const text = fields.text(field);
    if (text !== undefined) checkPolicyName(text, findings);
    return text?.text;
  };
  const tolerate = readTolerate(words(fields, "tolerate"), options, findings);
  const maa = options.maa ?? fields.text("maa")?.text;
  if (maa !== undefined && !/^https:\/\/[^\s]+$/.test(maa))
    findings.add(fields.keyPlace("maa"), "E-MAA", `${shortText(maa)} is no https URL`, { expected: "a URL that starts with https://" });
  if (maa !== undefined && !tolerate.includes("maa-managed-tcb")) {
    findings.add(fields.keyPlace("maa"), "E-MAA", "maa is set, but maa-managed-tcb is not tolerated", {
      expected: "maa-managed-tcb in policy.tolerate",
    });
  }
  return {
    namespace,
    tolerate,
    ignoreAdvisories: readAdvisories(words(fields, "ignore_advisories"), options, findings),
    maa,
    attestationPolicyName: policyName("attestation_policy_name"),
    securityPolicyName: policyName("security_policy_name"),
    accessPolicyName: policyName("access_policy_name"),
    imagePolicyNamespace: policyName("image_policy_namespace"),
    evidence: fields.has("evidence")
      ? joinEvidence(
          words(fields, "evidence")
            .map((word) => readEvidence(word, findings))
            .filter((choice) => choice !== undefined),
        )
      : undefined,
    references: readReferenceValues(fields.node("references"), findings),
    at: fields.at,
  };
}

/** Comma-separated text, or a list. Blanks around items are ignored, empty items dropped (MF-72). */
function words(fields: FieldReader, field: string): PlacedText[] {
  const texts = fields.texts(field, { orOne: true }) ?? [];
  return texts.flatMap(({ text, at }) => text.split(",").map((part) => ({ text: part.trim(), at }))).filter(({ text }) => text !== "");
}

function readTolerate(items: readonly PlacedText[], options: PolicyReadOptions, findings: Findings): string[] {
  for (const item of items) {
    if (!isToleration(item.text)) {
      const near = findNearest(item.text, TOLERATIONS) ?? TOLERATIONS.find((word) => word.startsWith(item.text));
      findings.add(item.at, "E-TOLERATE", `the toleration ${shortText(item.text)} is unknown`, {
        expected: TOLERATIONS.join(", "),
        ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
      });
    } else if (item.text === "debug-mode" && (options.mode ?? "production") === "production") {
      findings.add(item.at, "E-TOLERATE-DEBUG", "debug-mode is tolerated in production mode", {
        expected: "debug-mode only with --mode debug",
      });
    }
  }
  return [...new Set(items.map(({ text }) => text))];
}

function readAdvisories(items: readonly PlacedText[], options: PolicyReadOptions, findings: Findings): "*" | string[] {
  const wildcard = items.find(({ text }) => text === "*");
  if (wildcard !== undefined && items.length === 1) {
    if ((options.mode ?? "production") === "production")
      findings.add(wildcard.at, "W-ADVISORY-WILDCARD", "new advisories will be ignored without a word");
    return "*";
  }
  for (const item of items) {
    if (/^[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+$/.test(item.text) && /\d/.test(item.text)) continue;
    findings.add(item.at, "E-ADVISORY", `${shortText(item.text)} is no advisory`, { expected: "* or IDs such as INTEL-SA-00334" });
  }
  return items.map(({ text }) => text);
}

function readEvidence(item: PlacedText, findings: Findings): EvidenceChoice | undefined {
  const choice = parseEvidenceWord(item.text);
  if (choice !== undefined) return choice;
  const near = findNearest(item.text, EVIDENCE_WORDS);
  findings.add(item.at, "E-EVIDENCE", `the kind of evidence ${shortText(item.text)} is unknown`, {
    expected: EVIDENCE_WORDS.join(", "),
    ...(near === undefined ? {} : { hint: `did you mean ${near}?` }),
  });
  return undefined;
}

/** Names of policies (SL-37, SL-38). May start with `-` (CL-77). */
export function checkPolicyName(name: PlacedText, findings: Findings): boolean {
  const refuse = (message: string, expected: string): false => {
    findings.add(name.at, "E-POLICY-NAME", `${shortText(name.text)} ${message}`, { expected });
    return false;
  };
  if (name.text.length > 512) return refuse("is too long", "at most 512 characters");
  const components = name.text.split("/");
  if (components.some((component) => component === ""))
    return refuse("has an empty component", "no empty component: no leading, trailing or doubled /");
  if (components.some((component) => component === "." || component === "..")) return refuse("has the component . or ..", "names");
  if (components.every((component) => /^[A-Za-z0-9_.~-]{1,128}$/.test(component))) return true;
  return refuse("is no name of a policy", "the allowed characters are letters, digits, _ - . ~, at most 128 in each component");
}
