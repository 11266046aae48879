/** Where a container engine listens (cli.md section 6, `DOCKER_HOST`). */
export type EngineAddress =
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

export const DEFAULT_ENGINE: EngineAddress = { kind: "socket", path: "/var/run/docker.sock" };
const DEFAULT_PORT = 2375;

/** `unix://PATH`, `tcp://HOST:PORT`, or a bare IPv4 address with or without a port; undefined for anything else. */
export function parseEngineAddress(text: string): EngineAddress | undefined {
  const [, path] = /^unix:\/\/(\/[^\0]+)$/.exec(text) ?? [];
  if (path !== undefined) return { kind: "socket", path };
  const [, bracketed, name, number] = /^tcp:\/\/(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+))(?::(\d{1,5}))?\/?$/.exec(text) ?? [];
  const [, address, addressPort] = /^(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? name ?? address;
  const port = Number(number ?? addressPort ?? DEFAULT_PORT);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { kind: "tcp", host, port };
}

/** As users write it. */
export const formatEngineAddress = (engine: EngineAddress): string =>
  engine.kind === "socket"
    ? `unix://${engine.path}`
    : `tcp://${engine.host.includes(":") ? `[${engine.host}]` : engine.host}:${engine.port}`;
