import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { runCommand } from "./run-command.ts";

export interface RegistryCredentials {
  readonly username: string;
  readonly password: string;
  /** A refresh token instead of a password (OAuth 2.0), where the registry gave one. */
  readonly identityToken?: string;
}

const AuthEntry = z.looseObject({
  auth: z.string().optional(),
  username: z.string().optional(),
  password: z.string().optional(),
  identitytoken: z.string().optional(),
});
const DockerConfig = z.looseObject({
  auths: z.record(z.string(), AuthEntry).optional(),
  credHelpers: z.record(z.string(), z.string()).optional(),
  credsStore: z.string().optional(),
});
const HelperReply = z.looseObject({ Username: z.string(), Secret: z.string() });

/** Names under which tools store the credentials of a registry. */
const namesOf = (registry: string): string[] =>
  registry === "docker.io"
    ? ["https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io"]
    : [registry, `https://${registry}`, `https://${registry}/v1/`, `https://${registry}/v2/`, `http://${registry}`];

function fromEntry(entry: z.infer<typeof AuthEntry>): RegistryCredentials | undefined {
  const decoded = entry.auth === undefined ? "" : Buffer.from(entry.auth, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  const username = entry.username ?? (colon < 0 ? "" : decoded.slice(0, colon));
  const password = entry.password ?? (colon < 0 ? "" : decoded.slice(colon + 1));
  if (entry.identitytoken) return { username, password, identityToken: entry.identitytoken };
  return username === "" ? undefined : { username, password };
}

async function askHelper(
  helper: string,
  registry: string,
  environment: NodeJS.ProcessEnv,
  warn: (message: string) => void,
): Promise<RegistryCredentials | undefined> {
  if (!/^[A-Za-z0-9._-]+$/.test(helper)) return undefined;
  const [name = registry] = namesOf(registry);
  try {
    const { status, stdout } = await runCommand(`docker-credential-${helper}`, ["get"], "E-IMAGE-PULL", { environment, input: name });
    if (status !== 0) return undefined; // the helper has nothing for this registry
    const { Username, Secret } = HelperReply.parse(JSON.parse(stdout));
    return Username === "<token>" ? { username: "", password: "", identityToken: Secret } : { username: Username, password: Secret };
  } catch {
    // Never the cause: it could quote what the helper printed.
    warn(`the credential helper docker-credential-${helper} for ${registry} cannot be used; going on without credentials`);
    return undefined;
  }
}

/**
 * Credentials of a registry from `${DOCKER_CONFIG:-~/.docker}/config.json`: `auths`, then `credHelpers`, then `credsStore` (CL-39). Undefined means
 * anonymous access.
 */
export async function findCredentials(
  registry: string,
  warn: (message: string) => void = () => {},
  environment: NodeJS.ProcessEnv = process.env,
): Promise<RegistryCredentials | undefined> {
  const file = join(environment["DOCKER_CONFIG"] || join(environment["HOME"] || homedir(), ".docker"), "config.json");
  let config: z.infer<typeof DockerConfig>;
  try {
    config = DockerConfig.parse(JSON.parse(await readFile(file, "utf8")));
  } catch {
    // Not the cause, which could quote the file.
    warn(`${file} is absent or cannot be read; going on without credentials`);
    return undefined;
  }
  const names = namesOf(registry);
  for (const name of names) {
    const entry = config.auths?.[name];
    const credentials = entry === undefined ? undefined : fromEntry(entry);
    if (credentials !== undefined) return credentials;
  }
  const helper = names.map((name) => config.credHelpers?.[name]).find((found) => found !== undefined) ?? config.credsStore;
  return helper === undefined || helper === "" ? undefined : askHelper(helper, registry, environment, warn);
}
