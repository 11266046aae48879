import { NODE_AUDIENCE_PREFIX } from "@vouchsafe/protocol";
import { componentLabels, type PlatformObject } from "./platform-object.ts";

export const AGENT_ACCOUNT = "vouchsafe-las";
/** ConfigMaps in which agents publish their keys, one for each node: `las-<node>`. */
export const AGENT_RECORD_PREFIX = "las-";
export const AGENT_RECORD_LABEL = "vouchsafe.dev/node-agent";

/**
 * What the node agents may do in the cluster, and nothing else: publish their own key (ConfigMap of the node's name), ask the cluster for a
 * statement about that key, read which image a pod names, tell a pod why it was refused. All agents share one account, so admission policies tie
 * each request to the pod and node that the account's token was issued for: no node can speak for another one.
 */
export function planAgentRights(namespace: string): readonly PlatformObject[] {
  const labels = componentLabels("las", "las");
  const account = { kind: "ServiceAccount", name: AGENT_ACCOUNT, namespace };
  const isAgent = [
    {
      name: "by-an-agent",
      expression: `request.userInfo.username == 'system:serviceaccount:${namespace}:${AGENT_ACCOUNT}'`,
    },
  ];
  const bound = (claim: string) => `request.userInfo.extra['authentication.kubernetes.io/${claim}'][0]`;
  const isBound = (claim: string) => `'authentication.kubernetes.io/${claim}' in request.userInfo.extra`;
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: AGENT_ACCOUNT, namespace, labels } },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "Role",
      metadata: { name: AGENT_ACCOUNT, namespace, labels },
      rules: [
        { apiGroups: [""], resources: ["configmaps"], verbs: ["create", "patch"] },
        { apiGroups: [""], resources: ["serviceaccounts/token"], resourceNames: [AGENT_ACCOUNT], verbs: ["create"] },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata: { name: AGENT_ACCOUNT, namespace, labels },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: AGENT_ACCOUNT },
      subjects: [account],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: AGENT_ACCOUNT, labels },
      rules: [
        { apiGroups: [""], resources: ["pods"], verbs: ["get"] },
        { apiGroups: [""], resources: ["events"], verbs: ["create"] },
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: AGENT_ACCOUNT, labels },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: AGENT_ACCOUNT },
      subjects: [account],
    },
    ...admission("vouchsafe-las-own-record", labels, {
      resources: ["configmaps"],
      operations: ["CREATE", "UPDATE"],
      matchConditions: isAgent,
      validations: [
        {
          expression: `${isBound("node-name")} && object.metadata.name == '${AGENT_RECORD_PREFIX}' + ${bound("node-name")}`,
          message: "a node agent may write the record of its own node only",
        },
      ],
    }),
    ...admission("vouchsafe-las-own-statement", labels, {
      resources: ["serviceaccounts/token"],
      operations: ["CREATE"],
      matchConditions: isAgent,
      validations: [
        {
          expression:
            "has(object.spec.boundObjectRef) && object.spec.boundObjectRef.kind == 'Pod' && " +
            `${isBound("pod-name")} && object.spec.boundObjectRef.name == ${bound("pod-name")}`,
          message: "a node agent may ask for a token of its own pod only",
        },
        {
          // Any other audience would make the token a login.
          expression: `object.spec.audiences.size() == 1 && object.spec.audiences[0].startsWith('${NODE_AUDIENCE_PREFIX}')`,
          message: "a node agent may ask for a token about its own key only",
        },
      ],
    }),
  ];
}

export interface AdmissionRule {
  /** The core's unless given. */
  readonly apiGroups?: readonly string[];
  /** Of the core API group. */
  readonly resources: readonly string[];
  readonly operations: readonly ("CREATE" | "UPDATE" | "DELETE")[];
  readonly matchConditions: readonly object[];
  readonly variables?: readonly object[];
  readonly validations: readonly object[];
}

/** A policy that the API server itself enforces, with its binding. What cannot be evaluated is refused. */
export function admission(name: string, labels: Readonly<Record<string, string>>, rule: AdmissionRule): readonly PlatformObject[] {
  const { apiGroups = [""], resources, operations, ...rest } = rule;
  return [
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicy",
      metadata: { name, labels },
      spec: {
        failurePolicy: "Fail",
        matchConstraints: { resourceRules: [{ apiGroups, apiVersions: ["v1"], operations, resources }] },
        ...rest,
      },
    },
    {
      apiVersion: "admissionregistration.k8s.io/v1",
      kind: "ValidatingAdmissionPolicyBinding",
      metadata: { name, labels },
      spec: { policyName: name, validationActions: ["Deny"] },
    },
  ];
}
