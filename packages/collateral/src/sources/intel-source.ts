import { CHAIN_MAX_BYTES, crlToDer, DOCUMENT_MAX_BYTES } from "../collateral-document.ts";
import { CollateralError } from "../collateral-error.ts";
import type { CollateralRequest } from "../collateral-request.ts";
import { boundedGet } from "./bounded-get.ts";
import type { CollateralSource, SourceAnswer } from "./collateral-source.ts";

export interface HttpSourceOptions {
  /** PEM of the authority that certifies the server; the public ones unless given. */
  readonly ca?: string | undefined;
  /** 10 s unless given. */
  readonly timeoutMs?: number | undefined;
}

export interface IntelSourceOptions extends HttpSourceOptions {
  /** Key of a subscription to Intel's service; its documents can be had without one. Sent over TLS only. */
  readonly subscriptionKey?: string | undefined;
}

const TIMEOUT_MS = 10_000;
const INTEL_HOST = "api.trustedservices.intel.com";
/** Intel serves the root's list there, a PCCS among its own answers. */
const INTEL_ROOT_CRL = "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der";

/**
 * Intel's Provisioning Certification Service, or a PCCS in front of it (API v4). `base` is the address of the server, with or without the path
 * `/sgx/certification/v4`.
 */
export function intelSource(base: URL, { ca, timeoutMs = TIMEOUT_MS, subscriptionKey }: IntelSourceOptions = {}): CollateralSource {
  const root = new URL(base.href.replace(/\/(?:sgx|tdx)\/certification\/v[34]\/?$/, "/").replace(/\/?$/, "/"));
  return {
    name: root.host,
    async fetch(request, signal) {
      const place = placeOf(request, root);
      if (place === undefined) return undefined;
      const headers =
        subscriptionKey === undefined || place.url.protocol !== "https:" || place.url.host !== root.host
          ? {}
          : { "ocp-apim-subscription-key": subscriptionKey };
      const answer = await boundedGet(place.url, { signal, ca, timeoutMs, maxBytes: DOCUMENT_MAX_BYTES, headers });
      if (answer.status === 404) return undefined;
      if (answer.status !== 200) throw failed(place.url, `answers with status ${answer.status}`);
      const chain = place.chainHeaders.map((name) => answer.headers[name]).find((value) => typeof value === "string");
      return { body: place.isList ? crlToDer(answer.body) : answer.body, chain: decodeChain(chain, place.url) } satisfies SourceAnswer;
    },
  };
}

interface Place {
  readonly url: URL;
  readonly chainHeaders: readonly string[];
  readonly isList: boolean;
}

function placeOf(request: CollateralRequest, root: URL): Place | undefined {
  const at = (path: string, query: Record<string, string>) => {
    const url = new URL(path, root);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  };
  switch (request.kind) {
    case "tcb-info": {
      const url = at(`${request.tee}/certification/v4/tcb`, { fmspc: request.fmspc, update: request.update });
      return { url, chainHeaders: ["tcb-info-issuer-chain", "sgx-tcb-info-issuer-chain"], isList: false };
    }
    case "qe-identity": {
      const url = at(`${request.tee}/certification/v4/qe/identity`, { update: request.update });
      return { url, chainHeaders: ["sgx-enclave-identity-issuer-chain"], isList: false };
    }
    case "pck-crl": {
      const url = at("sgx/certification/v4/pckcrl", { ca: request.authority, encoding: "der" });
      return { url, chainHeaders: ["sgx-pck-crl-issuer-chain"], isList: true };
    }
    case "root-ca-crl": {
      const url = root.host === INTEL_HOST ? new URL(INTEL_ROOT_CRL) : at("sgx/certification/v4/rootcacrl", {});
      return { url, chainHeaders: [], isList: true };
    }
    default:
      return undefined; // of another vendor
  }
}

/** PEM, percent-encoded. */
function decodeChain(header: string | string[] | undefined, url: URL): Uint8Array | undefined {
  if (typeof header !== "string") return undefined;
  if (header.length > CHAIN_MAX_BYTES) throw failed(url, `sends an issuer chain of ${header.length} bytes`);
  try {
    return Buffer.from(decodeURIComponent(header));
  } catch {
    throw failed(url, "sends an issuer chain that is not percent-encoded");
  }
}

const failed = (url: URL, detail: string) => new CollateralError("COLLATERAL_UNREACHABLE", `${url.origin}${url.pathname} ${detail}`);
