import assert from "node:assert/strict";
import { test } from "node:test";
import { certificateWith, nameDer } from "../testing/mint-x509.ts";
import type { Certificate } from "./certificate.ts";
import type { PolicyConstraints, PolicyMapping } from "./extensions.ts";
import { PolicyLevels } from "./policy-levels.ts";

const ANY = "2.5.29.32.0";
const [P, Q, R] = ["1.2.3", "1.2.4", "1.2.5"] as const;
const other = certificateWith({});
const selfIssued = certificateWith({ issuer: nameDer("same"), subject: nameDer("same") });

interface Step {
  /** Left out: no extension. */
  readonly policies?: readonly string[];
  readonly mappings?: readonly (readonly [issuerPolicy: string, subjectPolicy: string])[];
  readonly requireExplicit?: number;
  readonly inhibitMapping?: number;
  readonly inhibitAny?: number;
  readonly selfIssued?: true;
}

function certificateOf(step: Step): Certificate {
  const policyMappings = step.mappings?.map(([issuerPolicy, subjectPolicy]): PolicyMapping => ({ issuerPolicy, subjectPolicy }));
  const constraints: PolicyConstraints = { requireExplicitPolicy: step.requireExplicit, inhibitPolicyMapping: step.inhibitMapping };
  const policies = step.policies && new Set(step.policies);
  const base = step.selfIssued === true ? selfIssued : other;
  return { ...base, policies, policyMappings, policyConstraints: constraints, inhibitAnyPolicy: step.inhibitAny };
}

/** From below the anchor to the leaf. */
function descend(path: readonly Step[]): string | undefined {
  const levels = new PolicyLevels(path.length);
  for (const [index, step] of path.entries()) {
    const fault = levels.descend(certificateOf(step), index === path.length - 1);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

const required: Step = { policies: [ANY], requireExplicit: 0 };
const NONE = "no certificate policy is valid where one is required";

const paths: readonly { rule: string; path: readonly Step[]; refused?: true }[] = [
  { rule: "no policies where none is required", path: [{}, {}, {}] },
  { rule: "no policies where the first CA requires one", path: [required, {}], refused: true },
  { rule: "any policy above and one below", path: [required, { policies: [P] }] },
  { rule: "the same policy all along", path: [{ ...required, policies: [P] }, { policies: [P] }, { policies: [P, Q] }] },
  { rule: "a policy that the CA does not have", path: [{ ...required, policies: [P] }, { policies: [Q] }], refused: true },
  {
    rule: "a policy that comes back after it was lost",
    path: [{ policies: [P], requireExplicit: 2 }, {}, { policies: [P] }],
    refused: true,
  },
  { rule: "a CA's policy and a leaf's any", path: [{ ...required, policies: [P] }, { policies: [ANY] }] },
  { rule: "any policy where it is inhibited", path: [{ ...required, policies: [P], inhibitAny: 0 }, { policies: [ANY] }], refused: true },
  { rule: "any policy below any, where it is inhibited", path: [{ ...required, inhibitAny: 0 }, { policies: [ANY] }], refused: true },
  {
    ...{ rule: "a CA with any policy where it is inhibited", refused: true },
    path: [{ ...required, policies: [P], inhibitAny: 0 }, { policies: [ANY] }, { policies: [P] }],
  },
  {
    ...{ rule: "a policy that must not be mapped, under its own name", refused: true },
    path: [{ ...required, inhibitMapping: 0 }, { policies: [P], mappings: [[P, Q]] }, { policies: [P] }],
  },
  { rule: "any policy one step before it is inhibited", path: [{ ...required, policies: [P], inhibitAny: 1 }, { policies: [ANY] }] },
  {
    ...{ rule: "any policy after as many steps", refused: true },
    path: [{ ...required, policies: [P], inhibitAny: 1 }, { policies: [P] }, { policies: [ANY] }],
  },
  {
    rule: "a self-issued CA does not count, and may have any policy",
    path: [{ ...required, policies: [P], inhibitAny: 1 }, { policies: [ANY], selfIssued: true }, { policies: [ANY] }],
  },
  {
    rule: "a self-issued CA may have any policy where it is inhibited",
    path: [{ ...required, policies: [P], inhibitAny: 0 }, { policies: [ANY], selfIssued: true }, { policies: [P] }],
  },
  {
    ...{ rule: "a self-issued leaf may not", refused: true },
    path: [
      { ...required, policies: [P], inhibitAny: 0 },
      { policies: [ANY], selfIssued: true },
    ],
  },
  { rule: "a policy under its mapped name", path: [{ ...required, policies: [P], mappings: [[P, Q]] }, { policies: [Q] }] },
  {
    rule: "any policy keeps a mapping",
    path: [{ ...required, policies: [P], mappings: [[P, Q]] }, { policies: [ANY] }, { policies: [Q] }],
  },
  {
    rule: "a policy that was mapped under its old name",
    path: [{ ...required, policies: [P], mappings: [[P, Q]] }, { policies: [P] }],
    refused: true,
  },
  {
    rule: "a policy with two mapped names",
    path: [
      {
        ...required,
        policies: [P],
        mappings: [
          [P, Q],
          [P, R],
        ],
      },
      { policies: [R] },
    ],
  },
  {
    ...{ rule: "each policy has its own mapped names", refused: true },
    path: [
      {
        ...required,
        policies: [P],
        mappings: [
          [P, Q],
          [Q, R],
        ],
      },
      { policies: [R] },
    ],
  },
  {
    rule: "a mapping of a policy that is not there",
    path: [{ ...required, policies: [P], mappings: [[Q, R]] }, { policies: [R] }],
    refused: true,
  },
  {
    ...{ rule: "where only any policy is left, a mapping gives its name to what is mapped", refused: true },
    path: [{ ...required, mappings: [[P, Q]], inhibitAny: 0 }, { policies: [Q], mappings: [[Q, R]] }, { policies: [Q] }],
  },
  {
    rule: "mappings that are inhibited",
    path: [{ ...required, inhibitMapping: 0 }, { policies: [P], mappings: [[P, Q]] }, { policies: [Q] }],
    refused: true,
  },
  {
    rule: "a policy that was not mapped, since it was inhibited",
    path: [{ ...required, inhibitMapping: 0 }, { policies: [P, R], mappings: [[P, Q]] }, { policies: [R] }],
  },
  {
    rule: "mappings one step before they are inhibited",
    path: [{ ...required, inhibitMapping: 1 }, { policies: [P], mappings: [[P, Q]] }, { policies: [Q] }],
  },
  {
    ...{ rule: "mappings after as many steps", refused: true },
    path: [{ ...required, inhibitMapping: 1 }, { policies: [P] }, { policies: [P], mappings: [[P, Q]] }, { policies: [Q] }],
  },
  { rule: "a policy required one step later", path: [{ requireExplicit: 1 }, {}], refused: true },
  { rule: "a policy required beyond the leaf", path: [{ requireExplicit: 2 }, {}] },
  { rule: "a policy required by the leaf", path: [{}, { requireExplicit: 0 }], refused: true },
  { rule: "a policy required below the leaf", path: [{}, { requireExplicit: 1 }] },
  { rule: "a policy that the leaf requires and has", path: [{ policies: [P] }, { policies: [P], requireExplicit: 0 }] },
  {
    rule: "a later demand does not soften an earlier one",
    path: [{ requireExplicit: 0, policies: [P] }, { requireExplicit: 5, policies: [P] }, {}],
    refused: true,
  },
  { rule: "self-issued CAs do not count towards it", path: [{ requireExplicit: 2 }, { selfIssued: true }, {}] },
];

for (const { rule, path, refused } of paths) {
  test(`RFC 5280 §6.1, certificate policies: ${refused ? "refused" : "accepted"}: ${rule}`, () => {
    assert.equal(descend(path), refused ? NONE : undefined);
  });
}

test("RFC 5280 §6.1.4 a: any policy may be mapped neither way", () => {
  for (const mapping of [
    [ANY, P],
    [P, ANY],
  ] as const) {
    assert.equal(descend([{ policies: [P], mappings: [[P, Q], mapping] }, {}]), "anyPolicy is mapped");
  }
});
