/*
 * MF-49, MF-50. An injected /etc/resolv.conf may come from a template whose variables were empty, and knows nothing of the container it meets.
 * Names are not trusted either way: peers are authenticated by TLS.
 */

const words = (line: string) => line.split(/[ \t]+/).filter((word) => word !== "");

/**
 * Repairs injected resolver settings: search domains with an empty label are dropped, then the container's own search domains and name servers
 * that are missing are appended.
 */
export function repairResolvConf(injected: string, container: string): string {
  const valuesOf = (text: string, keywords: readonly string[]) =>
    text.split("\n").flatMap((line) => {
      const [keyword = "", ...values] = words(line);
      return keywords.includes(keyword) ? values : [];
    });
  const hasEmptyLabel = (domain: string) => domain.startsWith(".") || domain.includes("..");
  const searched = valuesOf(injected, ["search", "domain"]).filter((domain) => !hasEmptyLabel(domain));
  const search = [...new Set([...searched, ...valuesOf(container, ["search", "domain"])])];
  const servers = [...new Set([...valuesOf(injected, ["nameserver"]), ...valuesOf(container, ["nameserver"])])];
  const others = injected
    .split("\n")
    .filter((line) => line.trim() !== "" && !["search", "domain", "nameserver"].includes(words(line)[0] ?? ""));
  return `${[...servers.map((server) => `nameserver ${server}`), ...(search.length === 0 ? [] : [`search ${search.join(" ")}`]), ...others].join("\n")}\n`;
}

/** Appends the line of the container's own name to an injected /etc/hosts. */
export function repairHosts(injected: string, container: string, hostName: string): string {
  const own = container.split("\n").find((line) => words(line).slice(1).includes(hostName));
  if (own === undefined || injected.split("\n").includes(own)) return injected;
  return `${injected}${injected === "" || injected.endsWith("\n") ? "" : "\n"}${own}\n`;
}
