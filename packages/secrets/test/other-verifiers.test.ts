import assert from "node:assert/strict";
import { test } from "node:test";
import { formatSecret, systemRandomness } from "../src/index.ts";
import { isInstalled, run, temporaryDirectory, write } from "./real-tools.ts";
import { certificateOf, chainSecrets, valuesOf } from "./session-fixture.ts";

test("§12.1 a pgp-key is imported by GnuPG, signs and decrypts", (t) => {
  const { values } = valuesOf("  - {name: p, kind: pgp-key}\n");
  const key = values.get("p");
  assert(key?.kind === "pgp-key");
  const format = (name: string) => {
    const formatted = formatSecret(key, name, { name: "p", random: systemRandomness });
    return formatted.kind === "text" ? formatted.text : formatted.bytes;
  };
  const home = temporaryDirectory(t);
  write(home, { "private.asc": format("privatekey:asciiarmored"), "public.gpg": format("publickey:binary"), "message.txt": "hello\n" });
  const gpg = (...args: string[]) =>
    run("gpg", ["--homedir", home, "--batch", "--yes", "--trust-model", "always", "--faked-system-time", "20261201T000000", ...args], {
      cwd: home,
    });
  t.after(() => run("gpgconf", ["--homedir", home, "--kill", "all"]));
  assert.match(gpg("--import", "public.gpg"), /imported: 1/);
  assert.match(gpg("--import", "private.asc"), /secret keys imported: 1/);
  const listing = gpg("--list-secret-keys", "--with-colons");
  const fingerprint = /^fpr:+([0-9A-F]{40}):/m.exec(listing)?.[1] ?? "";
  assert.match(listing, /^sec:u?-?.*:22:/m);
  assert.match(listing, /^ssb:.*:18:/m);
  gpg("--sign", "--output", "message.sig", "message.txt");
  assert.match(gpg("--verify", "message.sig"), /Good signature/);
  gpg("--encrypt", "-r", fingerprint, "--output", "message.pgp", "message.txt");
  assert.match(gpg("--decrypt", "message.pgp"), /hello/);
});

test("§12.2 pkcs12-with-private-key opens with Java's keytool", (t) => {
  if (!isInstalled("keytool")) return t.diagnostic("keytool (a Java runtime) is not installed: nothing was checked");
  const made = valuesOf(chainSecrets("P-256"));
  const formatted = formatSecret(certificateOf(made, "server"), "pkcs12-with-private-key", { name: "server", random: systemRandomness });
  assert(formatted.kind === "bytes");
  const directory = temporaryDirectory(t);
  write(directory, { "server.p12": formatted.bytes });
  const output = run("keytool", ["-list", "-v", "-storetype", "PKCS12", "-keystore", "server.p12", "-storepass", ""], {
    cwd: directory,
    env: { ...process.env, LANG: "C" },
  });
  assert.match(output, /PrivateKeyEntry/);
  assert.match(output, /chain length: 3/i);
});
