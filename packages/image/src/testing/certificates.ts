import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface TestCertificate {
  readonly crt: string;
  readonly key: string;
}

export interface TestAuthority {
  /** File of the CA's certificate. */
  readonly ca: string;
  /** Files of a certificate with the given subject, and DNS names where it is a server's. */
  readonly certificate: (owner: string, ...names: readonly string[]) => TestCertificate;
}

/** A CA made by OpenSSL. */
export function makeAuthority(directory: string, name: string): TestAuthority {
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });
  const [caKey, ca] = [join(directory, `${name}-ca.key`), join(directory, `${name}-ca.crt`)];
  openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", caKey);
  openssl("req", "-x509", "-new", "-key", caKey, "-subj", `/CN=${name}`, "-days", "1", "-out", ca);
  const certificate = (owner: string, ...names: readonly string[]) => {
    const [key, request, crt] = (["key", "csr", "crt"] as const).map((extension) => join(directory, `${name}-${owner}.${extension}`));
    if (key === undefined || request === undefined || crt === undefined) throw new TypeError("three files");
    const alternatives = names.length === 0 ? [] : ["-addext", `subjectAltName=${names.map((each) => `DNS:${each}`).join(",")}`];
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key);
    openssl("req", "-new", "-key", key, "-subj", `/CN=${owner}`, ...alternatives, "-out", request);
    openssl(
      ...[
        "x509",
        "-req",
        "-in",
        request,
        "-CA",
        ca,
        "-CAkey",
        caKey,
        "-CAcreateserial",
        "-copy_extensions",
        "copy",
        "-days",
        "1",
        "-out",
        crt,
      ],
    );
    return { crt, key };
  };
  return { ca, certificate };
}

/** The formats of a certificate that policies ask for, by the text between `$$SCONE::` and `$$`. */
export const secretsOf = (name: string, { crt, key }: TestCertificate): Record<string, string> => ({
  [`${name}.crt`]: readFileSync(crt, "utf8"),
  [`${name}.key`]: readFileSync(key, "utf8"),
});
