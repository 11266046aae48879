import { createHash, X509Certificate } from "node:crypto";

/*
 * Java's own key store format (JKS, version 2), as far as certificates need it. Numbers are big-endian; a text is its length (2) and UTF-8:
 * 0xfeedfeed (4) | version (4) = 2 | entries (4) | { 2 (4) | alias text | milliseconds (8) | "X.509" text | length (4) | certificate (DER) }… | SHA-1 (20)
 * The digest is over the password in UTF-16, a fixed phrase, and all bytes before. It finds damage, nothing more: the password is known.
 */
const MAGIC = 0xfeedfeed;
const VERSION = 2;
const TRUSTED_CERTIFICATE = 2;
/** The password that everybody uses for the certificates of the virtual machine. */
const PASSWORD = "changeit";
const PHRASE = "Mighty Aphrodite";
/** Store entries have a date, which must be the same in every build (MF-61): 2020-01-01. */
const DATE_MS = 1_577_836_800_000n;

const number4 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

const text = (value: string): Buffer => {
  const bytes = Buffer.from(value, "utf8");
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
};

/**
 * A Java trust store with the given certificates (PEM, one each) by alias; the same certificates give the same bytes. Debian makes it with a program
 * that records the time. Throws where a text is no certificate.
 */
export function renderTrustStore(certificates: ReadonlyMap<string, string>): Uint8Array {
  const date = Buffer.alloc(8);
  date.writeBigUInt64BE(DATE_MS);
  const entries = [...certificates].sort(([left], [right]) => (left < right ? -1 : 1));
  const content = Buffer.concat([
    ...[number4(MAGIC), number4(VERSION), number4(entries.length)],
    ...entries.flatMap(([alias, pem]) => {
      const { raw } = new X509Certificate(pem);
      return [number4(TRUSTED_CERTIFICATE), text(alias.toLowerCase()), date, text("X.509"), number4(raw.length), raw];
    }),
  ]);
  const password = Buffer.from(PASSWORD, "utf16le").swap16();
  const digest = createHash("sha1").update(password).update(PHRASE).update(content).digest();
  return new Uint8Array(Buffer.concat([content, digest]));
}
