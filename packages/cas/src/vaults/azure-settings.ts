import { X509Certificate } from "node:crypto";
import { z } from "zod";

const Host = z.string().regex(/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/, "expected a host name");
const Address = z.string().regex(/^(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z.-]+):[0-9]{1,5}$/, "expected HOST:PORT");

/** Section `[azure]` of the owner configuration: who issues tokens, which vaults there are. A policy chooses none of it. */
export const AzureText = z.strictObject({
  /** `false`: sessions with tokens, vaults or stores there are refused at upload. */
  enabled: z.boolean().default(true),
  /** Who issues tokens; another one in sovereign clouds. */
  authority: Host.default("login.microsoftonline.com"),
  /** Vaults are hosts directly below this domain, and tokens are for it alone. */
  vault_domain: Host.default("vault.azure.net"),
  /** PEM; believed besides the public authorities. */
  ca_certificate: z.string().refine(areCertificates, "no PEM certificate").optional(),
  /** Every connection goes there, whatever name it is for: a proxy that passes TLS through, or a private endpoint. */
  connect_to: Address.optional(),
});

export interface AzureSettings {
  readonly isEnabled: boolean;
  readonly authority: string;
  readonly vaultDomain: string;
  /** PEM. */
  readonly authorities: readonly string[];
  readonly connectTo: { readonly host: string; readonly port: number } | undefined;
}

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

export function readAzureSettings(text: z.infer<typeof AzureText> | undefined): AzureSettings {
  const { enabled, authority, vault_domain, ca_certificate, connect_to } = text ?? AzureText.parse({});
  return {
    isEnabled: enabled,
    authority: authority.toLowerCase(),
    vaultDomain: vault_domain.toLowerCase(),
    authorities: ca_certificate?.match(PEM) ?? [],
    connectTo: connect_to === undefined ? undefined : addressOf(connect_to),
  };
}

/** `HOST:PORT`, IPv6 in brackets, as the expression above admits it. */
function addressOf(text: string): { readonly host: string; readonly port: number } {
  const colon = text.lastIndexOf(":");
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(text.slice(colon + 1)) };
}

/** Is this the name of a vault of the configured cloud? The token is sent to no other host. */
export function isVaultHost({ vaultDomain }: AzureSettings, host: string): boolean {
  const name = host.toLowerCase();
  return name.endsWith(`.${vaultDomain}`) && /^[a-z0-9-]{1,63}$/.test(name.slice(0, -vaultDomain.length - 1));
}

function areCertificates(text: string): boolean {
  try {
    const found = text.match(PEM) ?? [];
    return found.length > 0 && found.every((pem) => new X509Certificate(pem).subject !== "");
  } catch {
    return false;
  }
}
