import type { SecretKind } from "./session.ts";

export interface SecretFormat {
  /** Text is allowed everywhere text is, bytes in injection files only (T and F in §12.2). */
  readonly output: "text" | "bytes";
  /** Patch level of the language that brought it. */
  readonly since: number;
}

const text = (since = 0): SecretFormat => ({ output: "text", since });
const bytes = (since = 0): SecretFormat => ({ output: "bytes", since });

const CERTIFICATE: ReadonlyMap<string, SecretFormat> = new Map([
  ["", text()],
  ["crt", text(5)],
  ["crt:pem", text(5)],
  ["crt:der", bytes(5)],
  ["privatekey", text(5)],
  ["privatekey:pem", text(5)],
  ["privatekey:pkcs8:pem", text(5)],
  ["privatekey:der", bytes(5)],
  ["privatekey:pkcs8:der", bytes(5)],
  ["chain", text(5)],
  ["pkcs12-with-private-key", bytes(9)],
  [".crt", text()],
  [".key", text()],
  [".chain", text()],
]);

/** Formats by kind; the empty name is the default, a leading dot a deprecated suffix. */
export const SECRET_FORMATS: Readonly<Record<SecretKind, ReadonlyMap<string, SecretFormat>>> = {
  ascii: new Map([
    ["", text()],
    ["previous", text()],
  ]),
  binary: new Map([
    ["", bytes()],
    ["bin", bytes(5)],
    ["hex", text(5)],
    ["base64", text(6)],
    ["base64url", text(10)],
    ["base32", text(10)],
    ["base32nopad", text(10)],
    [".hex", text()],
    ["previous", bytes()],
    ["previous:hex", text()],
    ["previous:base64", text()],
  ]),
  "private-key": new Map([
    ["", text()],
    ["pem", text(5)],
    ["pkcs8:pem", text(5)],
    ["der", bytes(5)],
    ["pkcs8:der", bytes(5)],
    ["previous", text()],
  ]),
  "public-key": new Map([
    ["", text(11)],
    ["spki:pem", text(11)],
    ["spki:der", bytes(11)],
  ]),
  x509: CERTIFICATE,
  "x509-ca": CERTIFICATE,
  "pgp-key": new Map([
    ["privatekey:asciiarmored", text(10)],
    ["publickey:asciiarmored", text(10)],
    ["privatekey:binary", bytes(10)],
    ["publickey:binary", bytes(10)],
    ["privatekey:base64", text(10)],
    ["publickey:base64", text(10)],
  ]),
  jwt: new Map([["", text(12)]]),
  "aad-token": new Map([["", text(7)]]),
  "config-fragment": new Map(),
};

/** Formats with a name, for messages; the previous values of the rotation extension are left out. */
export function formatNames(kind: SecretKind, output?: SecretFormat["output"]): string[] {
  return [...SECRET_FORMATS[kind]]
    .filter(
      ([name, format]) =>
        name !== "" && !name.startsWith(".") && !name.startsWith("previous") && (output === undefined || format.output === output),
    )
    .map(([name]) => `\`:${name}\``);
}

/** What a format gives for a secret whose kind is not known yet; undefined when no kind has it. */
export function formatOfAnyKind(name: string): SecretFormat["output"] | "either" | undefined {
  const outputs = new Set(Object.values(SECRET_FORMATS).flatMap((formats) => formats.get(name)?.output ?? []));
  const [only] = outputs;
  return outputs.size > 1 ? "either" : only;
}
