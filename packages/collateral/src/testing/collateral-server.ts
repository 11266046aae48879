import { generateKeyPairSync } from "node:crypto";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { parsePemCertificates, parseQuote } from "@vouchsafe/attestation";
import { issueCertificate, systemRandomness } from "@vouchsafe/secrets";
import { FMSPC, type MintedIntel } from "../../../attestation/src/testing/mint-intel.ts";
import { certificatePem } from "../../../attestation/src/x509/issue-certificate.ts";

export interface ServedDocument {
  readonly body: Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A real HTTP server on loopback that answers like a PCCS, or as badly as a test wants. */
export interface CollateralServer {
  readonly url: URL;
  /** PEM, with TLS only. */
  readonly ca: string | undefined;
  /** Path and query of every request so far. */
  readonly requests: string[];
  /** By path and query. */
  readonly documents: Map<string, ServedDocument>;
  /** Answers in place of the documents while it is set. */
  hostile: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  /** Serves what was minted, early and standard alike unless told. */
  serveIntel(minted: MintedIntel, options?: { readonly update?: "early" | "standard"; readonly tee?: "sgx" | "tdx" }): void;
  stop(): Promise<void>;
}

export async function startCollateralServer(t: TestContext, { tls = false } = {}): Promise<CollateralServer> {
  const documents = new Map<string, ServedDocument>();
  const requests: string[] = [];
  const listener: RequestListener = (request, response) => {
    requests.push(request.url ?? "");
    if (server.hostile !== undefined) return server.hostile(request, response);
    const found = documents.get(request.url ?? "");
    if (found === undefined) return void response.writeHead(404).end();
    response.writeHead(200, found.headers ?? {}).end(found.body);
  };
  const identity = tls ? testTlsIdentity() : undefined;
  const http = identity === undefined ? createServer(listener) : createTlsServer({ key: identity.key, cert: identity.ca }, listener);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { port } = http.address() as AddressInfo; // bound to a port
  const stop = () =>
    new Promise<void>((resolve) => {
      http.close(() => resolve());
      http.closeAllConnections();
    });
  t.after(stop);
  const server: CollateralServer = {
    url: new URL(`${tls ? "https" : "http"}://127.0.0.1:${port}/`),
    ca: identity?.ca,
    requests,
    documents,
    hostile: undefined,
    stop,
    serveIntel: (minted, { update, tee = "sgx" } = {}) => {
      const chain = encodeURIComponent(Buffer.from(minted.collateral.tcbSigningChain ?? []).toString());
      const body = (bytes: Uint8Array | undefined) => bytes ?? new Uint8Array();
      for (const each of update === undefined ? (["early", "standard"] as const) : [update]) {
        documents.set(`/${tee}/certification/v4/tcb?fmspc=${FMSPC}&update=${each}`, {
          body: body(minted.collateral.tcbInfo),
          headers: { "TCB-Info-Issuer-Chain": chain },
        });
        documents.set(`/${tee}/certification/v4/qe/identity?update=${each}`, {
          body: body(minted.collateral.qeIdentity),
          headers: { "SGX-Enclave-Identity-Issuer-Chain": chain },
        });
      }
      documents.set("/sgx/certification/v4/pckcrl?ca=platform&encoding=der", {
        body: body(minted.collateral.pckCrl),
        headers: { "SGX-PCK-CRL-Issuer-Chain": encodeURIComponent(pckIssuerChain(minted)) },
      });
      documents.set("/sgx/certification/v4/rootcacrl", {
        body: Buffer.from(Buffer.from(body(minted.collateral.rootCaCrl)).toString("hex")),
      });
    },
  };
  return server;
}

/** PCK CA and root, as the quote carries them behind the PCK certificate. */
export function pckIssuerChain({ quote }: MintedIntel): string {
  return parsePemCertificates(parseQuote(quote).certificationData.data)
    .slice(1)
    .map(({ der }) => certificatePem(der))
    .join("");
}

function testTlsIdentity(): { readonly key: string; readonly ca: string } {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const request = {
    isCa: false,
    commonName: "pccs",
    san: [{ kind: "ip", value: "127.0.0.1" } as const],
    endpoint: undefined,
    validForSeconds: undefined,
    control: undefined,
  };
  const { pem } = issueCertificate(request, { ownKey: privateKey }, { now: new Date(), random: systemRandomness });
  return { key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(), ca: pem };
}
