import { crlToDer, DOCUMENT_MAX_BYTES } from "../collateral-document.ts";
import { CollateralError } from "../collateral-error.ts";
import type { CollateralRequest } from "../collateral-request.ts";
import { boundedGet } from "./bounded-get.ts";
import type { CollateralSource } from "./collateral-source.ts";
import type { HttpSourceOptions } from "./intel-source.ts";

const TIMEOUT_MS = 10_000;

/**
 * AMD's Key Distribution Service, or a cache of it. VLEK certificates are not there: AMD gives them to the cloud provider, whose host hands
 * them to the guest.
 */
export function amdSource(base: URL, { ca, timeoutMs = TIMEOUT_MS }: HttpSourceOptions = {}): CollateralSource {
  const root = new URL(base.href.replace(/\/?$/, "/"));
  return {
    name: root.host,
    async fetch(request, signal) {
      const url = placeOf(request, root);
      if (url === undefined) return undefined;
      const { status, body } = await boundedGet(url, { signal, ca, timeoutMs, maxBytes: DOCUMENT_MAX_BYTES });
      if (status === 404) return undefined;
      if (status !== 200) throw new CollateralError("COLLATERAL_UNREACHABLE", `${url.origin}${url.pathname} answers with status ${status}`);
      return { body: request.kind === "amd-crl" ? crlToDer(body) : body, chain: undefined };
    },
  };
}

function placeOf(request: CollateralRequest, root: URL): URL | undefined {
  switch (request.kind) {
    case "vcek": {
      const { fmc, bootLoader, tee, snp, microcode } = request.tcb;
      const url = new URL(`vcek/v1/${request.product}/${request.chipId}`, root);
      const levels = { ...(fmc === undefined ? {} : { fmcSPL: fmc }), blSPL: bootLoader, teeSPL: tee, snpSPL: snp, ucodeSPL: microcode };
      for (const [name, level] of Object.entries(levels)) url.searchParams.set(name, String(level).padStart(2, "0"));
      return url;
    }
    case "amd-chain":
      return new URL(`${request.signingKey}/v1/${request.product}/cert_chain`, root);
    case "amd-crl":
      return new URL(`${request.signingKey}/v1/${request.product}/crl`, root);
    default:
      return undefined; // of another vendor
  }
}
