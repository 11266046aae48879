/** The part of OpenAPI v3 that custom resource definitions use. */
export interface Schema {
  readonly type?: "object" | "string" | "integer" | "number" | "boolean" | "array";
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly enum?: readonly string[];
  readonly default?: unknown;
  readonly pattern?: string;
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly maxItems?: number;
  readonly "x-kubernetes-preserve-unknown-fields"?: true;
  readonly "x-kubernetes-validations"?: readonly { readonly rule: string; readonly message: string }[];
  readonly "x-kubernetes-list-type"?: "map" | "set" | "atomic";
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
}

export const text = (description: string, rest: Schema = {}): Schema => ({ type: "string", description, ...rest });
export const integer = (description: string, rest: Schema = {}): Schema => ({ type: "integer", format: "int32", description, ...rest });
export const flag = (description: string, byDefault?: boolean): Schema => ({
  type: "boolean",
  description,
  ...(byDefault === undefined ? {} : { default: byDefault }),
});
export const record = (properties: Readonly<Record<string, Schema>>, description: string, rest: Schema = {}): Schema => ({
  type: "object",
  description,
  properties,
  ...rest,
});
export const list = (items: Schema, description: string): Schema => ({ type: "array", description, items });
export const texts = (description: string): Schema => ({ type: "object", description, additionalProperties: { type: "string" } });
/** A field whose schema is Kubernetes' own (tolerations, resources): checked by the object it is copied into. */
export const verbatim = (type: "object" | "array", description: string): Schema =>
  type === "object"
    ? { type, description, "x-kubernetes-preserve-unknown-fields": true }
    : { type, description, items: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };

export const PORT: Schema = { minimum: 1, maximum: 65_535 };

/** As the API conventions of Kubernetes shape them. */
export const CONDITIONS: Schema = {
  type: "array",
  description: "What was checked last, and the result.",
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": ["type"],
  items: {
    type: "object",
    required: ["type", "status", "lastTransitionTime", "reason", "message"],
    properties: {
      type: text("What is judged.", { maxLength: 316 }),
      status: text("Whether it holds.", { enum: ["True", "False", "Unknown"] }),
      reason: text("One word for programs.", { maxLength: 1024 }),
      message: text("A sentence for people.", { maxLength: 32_768 }),
      lastTransitionTime: text("When `status` last changed.", { format: "date-time" }),
      observedGeneration: { type: "integer", format: "int64", minimum: 0 },
    },
  },
};

/** Fields that choose image and nodes: the same for every component. */
export const PLACEMENT: Readonly<Record<string, Schema>> = {
  image: text("Container image; default: the image of the operator's release."),
  imagePullPolicy: text("When the image is pulled.", { enum: ["Always", "IfNotPresent", "Never"] }),
  imagePullSecrets: list(record({ name: text("Secret in the same namespace.") }, "", { required: ["name"] }), "Registry credentials."),
  nodeSelector: texts("Labels that a node must have."),
  tolerations: verbatim("array", "Taints to be tolerated."),
  resources: verbatim("object", "Requests and limits of the container."),
  podAnnotations: texts("Further annotations of the pods."),
};

export const STATE: Schema = text("HEALTHY: nothing to do. PENDING: becomes healthy by itself. UNHEALTHY: needs a person.", {
  enum: ["HEALTHY", "PENDING", "UNHEALTHY"],
});
