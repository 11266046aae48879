import { BACKUP_AUDIENCE_PREFIX } from "@vouchsafe/protocol";
import { admission } from "./agent-rights.ts";
import { NODE_LABELS } from "./las-objects.ts";
import { componentLabels, DEVICE_RESOURCES, type PlatformObject } from "./platform-object.ts";

export const OPERATOR_NAME = "vouchsafe-operator";

/** One right of the operator with the reason for it. */
interface Right {
  readonly why: string;
  readonly rule: {
    readonly apiGroups: readonly string[];
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
    readonly verbs: readonly string[];
  };
}

const right = (apiGroup: string, resources: readonly string[], verbs: readonly string[], why: string): Right => ({
  why,
  rule: { apiGroups: [apiGroup], resources, verbs },
});
const LOOK = ["get", "list", "watch"];
/** Server-side apply of objects that it owns; they end by their owner references. */
const APPLY = ["create", "patch"];

/** What the operator may do in the whole cluster. It reads no Secret, runs nothing in a pod, grants no right, and deletes nothing but a CAS's StatefulSet. */
export const OPERATOR_RIGHTS: readonly Right[] = [
  right("base.scone.cloud", ["las", "sgxplugins"], LOOK, "its own resources"),
  right("services.scone.cloud", ["cas"], LOOK, "its own resources, in any namespace"),
  right("cas.scone.cloud", ["signedpolicies", "encryptedpolicies"], LOOK, "documents to be sent to a CAS"),
  right("base.scone.cloud", ["las/status", "sgxplugins/status"], ["patch"], "what it saw"),
  right("services.scone.cloud", ["cas/status"], ["patch"], "what it saw"),
  right("cas.scone.cloud", ["signedpolicies/status", "encryptedpolicies/status"], ["patch"], "what the CAS answered"),
  right("", ["services", "configmaps", "serviceaccounts"], APPLY, "parts of a CAS, in its namespace"),
  right("", ["configmaps"], ["get"], "documents of vendors that a CAS resource names (spec.collateral.bundles)"),
  right("apps", ["statefulsets"], APPLY, "the pod of a CAS, in its namespace"),
  right(
    "apps",
    ["statefulsets"],
    ["get", "delete"],
    "one that cannot be changed (spec.reinstallOnFatal); an admission policy closes those of others",
  ),
  right("batch", ["jobs"], APPLY, "a CAS that shows the platform of a node, to be registered as a backup"),
  right("", ["namespaces"], ["get"], "whether Pod Security there lets a CAS use the platform key of its node"),
  right("networking.k8s.io", ["networkpolicies"], APPLY, "who may reach a CAS"),
  right("", ["pods"], LOOK, "state of the pods of CAS and agents, and which pods take devices"),
  right("", ["nodes"], ["list", "patch"], "labels of nodes whose agent is ready; an admission policy closes everything else"),
  right("", ["nodes/status"], ["patch"], "devices that nodes offer; an admission policy closes everything else"),
  right("", ["events"], ["create"], "why something is not as it should be"),
];

/** What it may do in its own namespace only. */
export const OPERATOR_NAMESPACE_RIGHTS: readonly Right[] = [
  right("apps", ["daemonsets"], ["get", "create", "patch"], "the node agents"),
  right("", ["configmaps"], ["list"], "the keys that agents published"),
  {
    why: "statements that a node is a backup of a CAS; an admission policy closes every other token",
    rule: { apiGroups: [""], resources: ["serviceaccounts/token"], resourceNames: [OPERATOR_NAME], verbs: ["create"] },
  },
  right("coordination.k8s.io", ["leases"], ["get", "create", "update"], "election of the one operator that works"),
];

/** Account, roles, and the admission policy that narrows what RBAC cannot: on nodes the operator changes two labels and two resources, and it asks
 * for tokens about backups only. */
export function planOperatorRights(namespace: string): readonly PlatformObject[] {
  const labels = componentLabels("operator", OPERATOR_NAME);
  const account = { kind: "ServiceAccount", name: OPERATOR_NAME, namespace };
  const byOperator = [
    { name: "by-the-operator", expression: `request.userInfo.username == 'system:serviceaccount:${namespace}:${OPERATOR_NAME}'` },
  ];
  const role = (kind: string, place: { namespace?: string }, rights: readonly Right[]): readonly PlatformObject[] => [
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind,
      metadata: { name: OPERATOR_NAME, ...place, labels },
      rules: rights.map(({ rule }) => rule),
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: `${kind}Binding`,
      metadata: { name: OPERATOR_NAME, ...place, labels },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: OPERATOR_NAME },
      subjects: [account],
    },
  ];
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: OPERATOR_NAME, namespace, labels } },
    ...role("ClusterRole", {}, OPERATOR_RIGHTS),
    ...role("Role", { namespace }, OPERATOR_NAMESPACE_RIGHTS),
    ...admission("vouchsafe-operator-statement", labels, {
      resources: ["serviceaccounts/token"],
      operations: ["CREATE"],
      matchConditions: byOperator,
      validations: [
        {
          // Any other audience would make the token a login.
          expression: `object.spec.audiences.size() == 1 && object.spec.audiences[0].startsWith('${BACKUP_AUDIENCE_PREFIX}')`,
          message: "the operator may ask for a token about one backup only",
        },
      ],
    }),
    ...admission("vouchsafe-operator-statefulsets", labels, {
      resources: ["statefulsets"],
      apiGroups: ["apps"],
      operations: ["DELETE"],
      matchConditions: byOperator,
      validations: [
        {
          expression: `oldObject.metadata.?ownerReferences.orValue([]).exists(o, o.apiVersion == 'services.scone.cloud/v1beta1' && o.kind == 'CAS' && o.?controller.orValue(false))`,
          message: "the operator may take away the StatefulSet of a CAS only",
        },
        {
          expression: "request.options.?propagationPolicy.orValue('') == 'Orphan'",
          message: "the operator may not take away the pod of a CAS",
        },
      ],
    }),
    ...admission("vouchsafe-operator-nodes", labels, {
      resources: ["nodes", "nodes/status"],
      operations: ["UPDATE"],
      matchConditions: byOperator,
      variables: [
        { name: "labelsBefore", expression: "oldObject.metadata.?labels.orValue({})" },
        { name: "labelsAfter", expression: "object.metadata.?labels.orValue({})" },
        { name: "capacityBefore", expression: "oldObject.?status.?capacity.orValue({})" },
        { name: "capacityAfter", expression: "object.?status.?capacity.orValue({})" },
      ],
      validations: [
        {
          expression: `object.spec == oldObject.spec && ${onlyChanges("labels", Object.keys(NODE_LABELS))}`,
          message: "the operator may change its own labels of a node only",
        },
        {
          expression: `object.?status.?conditions == oldObject.?status.?conditions && ${onlyChanges("capacity", DEVICE_RESOURCES)}`,
          message: "the operator may change the TEE devices of a node only",
        },
      ],
    }),
  ];
}

/** CEL: the maps `…Before` and `…After` differ in the named keys only. */
function onlyChanges(what: string, keys: readonly string[]): string {
  const [before, after] = [`variables.${what}Before`, `variables.${what}After`];
  const ours = `[${keys.map((key) => `'${key}'`).join(", ")}]`;
  return (
    `${before}.all(k, k in ${ours} || (k in ${after} && ${after}[k] == ${before}[k])) && ` +
    `${after}.all(k, k in ${ours} || k in ${before})`
  );
}
