import { z } from "zod";
import { CHAIN_MAX_BYTES, type CollateralDocument, DOCUMENT_MAX_BYTES } from "../collateral-document.ts";
import { CollateralError } from "../collateral-error.ts";
import { CollateralRequest, requestKey } from "../collateral-request.ts";
import type { CollateralSource } from "../sources/collateral-source.ts";

/** Documents in one file, for machines without a network. Each proves itself by its vendor's signature: the file needs none. */
export interface CollateralBundle {
  readonly createdAt: Date;
  /** One for each request, sorted by key. */
  readonly documents: readonly CollateralDocument[];
}

export const BUNDLE_MAX_BYTES = 128 * 1024 * 1024;
const FORMAT = "vouchsafe/collateral-bundle/1";
const DOCUMENTS_MAX = 10_000;

const Time = z.iso.datetime();
const Bytes = (maxBytes: number) => z.base64().max(Math.ceil(maxBytes / 3) * 4);
const BundleText = z.strictObject({
  format: z.literal(FORMAT),
  createdAt: Time,
  documents: z
    .array(
      z.strictObject({
        request: CollateralRequest,
        body: Bytes(DOCUMENT_MAX_BYTES),
        chain: Bytes(CHAIN_MAX_BYTES).optional(),
        fetchedAt: Time,
        source: z.string().max(255),
      }),
    )
    .max(DOCUMENTS_MAX),
});

/** One spelling: sorted by key, the same documents give the same text. Of two for one request the later one stays. */
export function encodeBundle({ createdAt, documents }: CollateralBundle): string {
  const byKey = new Map(documents.map((document) => [requestKey(document.request), document]));
  const sorted = [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, document]) => document);
  const text = {
    format: FORMAT,
    createdAt: createdAt.toISOString(),
    documents: sorted.map(({ request, body, chain, fetchedAt, source }) => ({
      request,
      body: Buffer.from(body).toString("base64"),
      ...(chain === undefined ? {} : { chain: Buffer.from(chain).toString("base64") }),
      fetchedAt: fetchedAt.toISOString(),
      source,
    })),
  };
  return `${JSON.stringify(text, undefined, 1)}\n`;
}

/** Throws CollateralError COLLATERAL_BUNDLE. */
export function parseBundle(text: string, file: string): CollateralBundle {
  const fail = (detail: string) =>
    new CollateralError("COLLATERAL_BUNDLE", `${file}: not a collateral bundle: ${detail}`, {
      remedy: "Make one with vouchsafe collateral bundle.",
    });
  if (text.length > BUNDLE_MAX_BYTES) throw fail(`${text.length} characters, at most ${BUNDLE_MAX_BYTES} allowed`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fail("not JSON");
  }
  const parsed = BundleText.safeParse(value);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw fail(`${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
  }
  const documents = parsed.data.documents.map(({ request, body, chain, fetchedAt, source }) => ({
    request,
    body: Uint8Array.fromBase64(body),
    chain: chain === undefined ? undefined : Uint8Array.fromBase64(chain),
    fetchedAt: new Date(fetchedAt),
    source,
  }));
  const keys = new Set(documents.map(({ request }) => requestKey(request)));
  if (keys.size !== documents.length) throw fail("a document is in it twice");
  return { createdAt: new Date(parsed.data.createdAt), documents };
}

/** `read` is called for each request, so that a replaced file counts at once. */
export function bundleSource(name: string, read: () => Promise<CollateralBundle>): CollateralSource {
  return {
    name,
    async fetch(request) {
      const key = requestKey(request);
      const { documents } = await read();
      const found = documents.find((document) => requestKey(document.request) === key);
      return found === undefined ? undefined : { body: found.body, chain: found.chain, fetchedAt: found.fetchedAt };
    },
  };
}
