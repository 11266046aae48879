export interface PemBlock {
  /** For instance `CERTIFICATE`. */
  readonly label: string;
  readonly der: Uint8Array;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]{1,40})-----([A-Za-z0-9+/=\s]*)-----END \1-----/g;

/** All PEM blocks of a text; undefined when it holds anything else but white space, or a block that is no base64. */
export function parsePem(text: string): PemBlock[] | undefined {
  const blocks: PemBlock[] = [];
  let end = 0;
  for (const match of text.matchAll(BLOCK)) {
    const [whole, label = "", body = ""] = match;
    if (text.slice(end, match.index).trim() !== "") return undefined;
    end = match.index + whole.length;
    try {
      blocks.push({ label, der: Uint8Array.fromBase64(body.replace(/\s+/g, ""), { lastChunkHandling: "strict" }) });
    } catch {
      return undefined; // not base64: the caller reports that the text is no PEM
    }
  }
  return text.slice(end).trim() === "" ? blocks : undefined;
}

/** PEM with 64 columns, LF and a final newline (SL-50, SL-123). */
export function encodePem(label: string, der: Uint8Array): string {
  const body = der.toBase64().replace(/.{64}(?=.)/g, "$&\n");
  return `-----BEGIN ${label}-----\n${body}\n-----END ${label}-----\n`;
}
