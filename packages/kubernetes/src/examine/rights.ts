import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import { OPERATOR_NAME, OPERATOR_NAMESPACE_RIGHTS, OPERATOR_RIGHTS } from "../objects/operator-rights.ts";
import { type Finding, failed, ok } from "./finding.ts";

interface Action {
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly namespace?: string | undefined;
  readonly subresource?: string | undefined;
  readonly name?: string | undefined;
}

const Review = z.object({ status: z.object({ allowed: z.boolean() }) });
const AT_ONCE = 8;

/** Whether the caller may do what installing an application, and provisioning a CAS, needs. */
export async function examineOwnRights(cluster: Cluster, namespace: string, casNamespace: string): Promise<Finding> {
  const needed: readonly Action[] = [
    { verb: "list", group: "base.scone.cloud", resource: "las" },
    { verb: "get", group: "services.scone.cloud", resource: "cas", namespace: casNamespace },
    { verb: "create", group: "", resource: "pods", subresource: "portforward", namespace: casNamespace },
    { verb: "list", group: "", resource: "pods", namespace },
    { verb: "get", group: "", resource: "pods", subresource: "log", namespace },
    ...["deployments", "statefulsets"].map((resource) => ({ verb: "create", group: "apps", resource, namespace })),
    // Helm keeps its releases in Secrets.
    ...["services", "secrets", "serviceaccounts"].map((resource) => ({ verb: "create", group: "", resource, namespace })),
    { verb: "create", group: "networking.k8s.io", resource: "networkpolicies", namespace },
    { verb: "create", group: "cas.scone.cloud", resource: "encryptedpolicies", namespace },
  ];
  const missing = await missingRights(cluster, needed, undefined);
  if (missing.length === 0) return ok("your rights", `enough to install in ${namespace} and to reach the CAS in ${casNamespace}`);
  return failed("your rights", `you may not ${missing.map(spell).join(", ")}`, "Ask the cluster's administrator for these rights.");
}

/** Whether the operator may do what it needs; asking for another needs a right itself. */
export async function examineOperatorRights(cluster: Cluster, platformNamespace: string): Promise<Finding> {
  const account = `system:serviceaccount:${platformNamespace}:${OPERATOR_NAME}`;
  const needed = [
    ...OPERATOR_RIGHTS.flatMap((right) => actionsOf(right.rule, undefined)),
    ...OPERATOR_NAMESPACE_RIGHTS.flatMap((right) => actionsOf(right.rule, platformNamespace)),
  ];
  const missing = await missingRights(cluster, needed, account);
  if (missing.length === 0) return ok("rights of the operator", `${needed.length} rights, as it needs them`);
  const shown = missing.slice(0, 5).map(spell).join(", ");
  const detail = `the operator may not ${shown}${missing.length > 5 ? ` and ${missing.length - 5} more` : ""}`;
  return failed("rights of the operator", detail, "Install the platform again: vouchsafe init.");
}

function actionsOf(rule: (typeof OPERATOR_RIGHTS)[number]["rule"], namespace: string | undefined): readonly Action[] {
  return rule.apiGroups.flatMap((group) =>
    rule.resources.flatMap((full) => {
      const [resource = "", subresource] = full.split("/");
      return rule.verbs.map((verb) => ({ verb, group, resource, subresource, namespace, name: rule.resourceNames?.[0] }));
    }),
  );
}

async function missingRights(cluster: Cluster, actions: readonly Action[], user: string | undefined): Promise<readonly Action[]> {
  const missing: Action[] = [];
  for (let at = 0; at < actions.length; at += AT_ONCE) {
    const group = actions.slice(at, at + AT_ONCE);
    const allowed = await Promise.all(group.map((action) => isAllowed(cluster, action, user)));
    missing.push(...group.filter((_, index) => allowed[index] === false));
  }
  return missing;
}

async function isAllowed(cluster: Cluster, action: Action, user: string | undefined): Promise<boolean> {
  const { verb, group, resource, subresource, namespace, name } = action;
  const kind = user === undefined ? "SelfSubjectAccessReview" : "SubjectAccessReview";
  const answer = await cluster.create({
    apiVersion: "authorization.k8s.io/v1",
    kind,
    metadata: { name: "" },
    spec: {
      resourceAttributes: {
        verb,
        group,
        resource,
        ...(subresource === undefined ? {} : { subresource }),
        ...(namespace === undefined ? {} : { namespace }),
        ...(name === undefined ? {} : { name }),
      },
      ...(user === undefined ? {} : { user, groups: ["system:serviceaccounts", "system:authenticated"] }),
    },
  });
  return Review.parse(answer).status.allowed;
}

const spell = ({ verb, resource, subresource, namespace }: Action): string =>
  `${verb} ${resource}${subresource === undefined ? "" : `/${subresource}`}${namespace === undefined ? "" : ` in ${namespace}`}`;
