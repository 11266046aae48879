import { z } from "zod";
import type { Cluster } from "../cluster/cluster.ts";
import { type Finding, failed, ok, warning } from "./finding.ts";

const Secret = z.object({ type: z.string().default(""), data: z.record(z.string(), z.string()).default({}) });
const DockerConfig = z.object({
  auths: z.record(z.string(), z.object({ auth: z.string().optional(), username: z.string().optional(), password: z.string().optional() })),
});
const PulledPod = z.object({
  metadata: z.object({ name: z.string(), namespace: z.string() }),
  status: z
    .object({
      containerStatuses: z
        .array(z.object({ image: z.string().default(""), state: z.object({ waiting: Waiting() }).prefault({}) }))
        .default([]),
      initContainerStatuses: z
        .array(z.object({ image: z.string().default(""), state: z.object({ waiting: Waiting() }).prefault({}) }))
        .default([]),
    })
    .prefault({}),
});
function Waiting() {
  return z.object({ reason: z.string().default(""), message: z.string().default("") }).optional();
}

const PROBE_TIMEOUT_MS = 5_000;
const CANNOT_PULL = new Set(["ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "InvalidImageName"]);

/** Host of the registry of an image: what stands before the first slash, where that is a host. */
export function registryOf(image: string): string {
  const [first = "", ...rest] = image.split("/");
  return rest.length > 0 && /[.:]|^localhost$/.test(first) ? first : "docker.io";
}

/** The login that pods of a namespace pull with. Needs not exist where the registry asks for none (CL-105). */
export async function examinePullSecret(cluster: Cluster, namespace: string, secretName: string, registry: string): Promise<Finding> {
  const name = `pull secret in ${namespace}`;
  const found = await cluster.find({ apiVersion: "v1", kind: "Secret", metadata: { name: secretName, namespace } });
  const create = `kubectl -n ${namespace} create secret docker-registry ${secretName} --docker-server=${registry} --docker-username=… --docker-password=…`;
  if (found === undefined)
    return warning(name, `there is no Secret ${secretName}; the registry must let everybody pull`, `Create it: ${create}`);
  const config = readDockerConfig(found);
  if (config === undefined) return failed(name, `the Secret ${secretName} holds no login of a registry`, `Make it anew: ${create}`);
  if (config.auths[registry] === undefined && config.auths[`https://${registry}`] === undefined) {
    const others = Object.keys(config.auths).join(", ");
    return failed(
      name,
      `the Secret ${secretName} has logins for ${others || "nothing"}, and none for ${registry}`,
      `Make it anew: ${create}`,
    );
  }
  const answer = await askRegistry(registry, loginOf(config, registry));
  if (answer === "refused") return failed(name, `${registry} refuses the login of the Secret ${secretName}`, `Make it anew: ${create}`);
  return ok(name, `${secretName} has a login for ${registry}${answer === "accepted" ? ", which the registry takes" : ""}`);
}

/** Whether pods get their images, as the nodes see it, and whether the registry answers this machine. */
export async function examineRegistry(cluster: Cluster, registry: string, namespaces: readonly string[]): Promise<Finding> {
  const stuck: string[] = [];
  for (const namespace of new Set(namespaces)) {
    for (const item of await cluster.list({ apiVersion: "v1", kind: "Pod", namespace })) {
      const { metadata, status } = PulledPod.parse(item);
      for (const { image, state } of [...status.initContainerStatuses, ...status.containerStatuses]) {
        if (state.waiting === undefined || !CANNOT_PULL.has(state.waiting.reason)) continue;
        stuck.push(`${metadata.namespace}/${metadata.name} cannot pull ${image}: ${state.waiting.message || state.waiting.reason}`);
      }
    }
  }
  const [first] = stuck;
  if (first !== undefined) {
    return failed("registry", first, `Check that ${registry} runs, that the image was published, and the pull secret of the namespace.`);
  }
  const answer = await askRegistry(registry, undefined);
  if (answer === "away") {
    return warning(
      "registry",
      `no pod waits for an image, but ${registry} does not answer this machine`,
      "Check that it runs: new pods need it.",
    );
  }
  return ok("registry", `${registry} answers, and no pod waits for an image`);
}

function readDockerConfig(found: unknown): z.infer<typeof DockerConfig> | undefined {
  const secret = Secret.parse(found);
  const encoded = secret.data[".dockerconfigjson"];
  if (secret.type !== "kubernetes.io/dockerconfigjson" || encoded === undefined) return undefined;
  try {
    return DockerConfig.parse(JSON.parse(Buffer.from(encoded, "base64").toString()));
  } catch {
    return undefined; // its content is not quoted: it is a password
  }
}

function loginOf({ auths }: z.infer<typeof DockerConfig>, registry: string): string | undefined {
  const entry = auths[registry] ?? auths[`https://${registry}`];
  if (entry?.auth !== undefined) return entry.auth;
  return entry?.username === undefined ? undefined : Buffer.from(`${entry.username}:${entry.password ?? ""}`).toString("base64");
}

/** `answers`: it is there, and wants a token of another service or no login at all. */
async function askRegistry(registry: string, login: string | undefined): Promise<"away" | "answers" | "accepted" | "refused"> {
  // As container runtimes do: registries on loopback may be without TLS.
  const schemes = /^(?:localhost|127\.|\[::1\])/.test(registry) ? ["http", "https"] : ["https"];
  for (const scheme of schemes) {
    try {
      const answer = await fetch(`${scheme}://${registry === "docker.io" ? "registry-1.docker.io" : registry}/v2/`, {
        headers: login === undefined ? {} : { authorization: `Basic ${login}` },
        signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
        redirect: "error",
      });
      await answer.body?.cancel();
      if (login === undefined || /^Bearer/i.test(answer.headers.get("www-authenticate") ?? "")) return "answers";
      return answer.status === 401 || answer.status === 403 ? "refused" : "accepted";
    } catch {
      // the other scheme, or away
    }
  }
  return "away";
}
