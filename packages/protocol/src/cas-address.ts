export const CAS_CLIENT_PORT = 8081;
export const CAS_SERVICE_PORT = 18765;

export interface CasAddress {
  readonly host: string;
  readonly port: number;
}

/** Reads `host`, `host:port`, `[v6]:port` or `https://host:port/`. Undefined when it is none of them. */
export function parseCasAddress(text: string, defaultPort: number): CasAddress | undefined {
  const match = /^(?:https:\/\/)?(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9_.-]{1,253}))(?::([0-9]{1,5}))?\/?$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) return undefined;
  const port = match?.[3] === undefined ? defaultPort : Number(match[3]);
  return port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

export function formatCasAddress({ host, port }: CasAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
