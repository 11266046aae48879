import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { keyStorePath, openKeyStore, writeKeyStore } from "./key-store.ts";
import { instanceKeyText, openPlatformKeyFile, type SealingProvider } from "./platform-key.ts";
import { sealForInstance, sealForPlatform } from "./sealed-key.ts";

const KEY = Uint8Array.from({ length: 32 }, (_, at) => at);
const CAS = "2eTLwhqYL1";
/** As the first version wrote it. */
const FORMAT_1 = {
  platformKey: "f6441b9388f1d515cd8fc4178b528987e0fecc8ebefb5a6b512ce1c92e0133bd",
  file: '{"format":1,"sealing":"file","platform":"d9f7ddb00c2827666e313bdf95bb32e6240ba76f1e8257a55f1270b8fafa0c60","salt":"2d338052d6fe4426433fee1ed9faa48612cc3c2d47b018db99c0bcfdf7cbf3c3","sealed":"6f38a230f6a6aa859cb6c336af35e089b2ed82a2a09c0080f12822f3b2711b11dd45d81afef09b7ffab6ec24c0a6350e"}',
  databaseKey: "19600ea8232943aa324d1b8f69011cc4d277ab9e069e78c8de527a7ecbe95bb7",
};

function folder(t: TestContext): { readonly store: string; machine(name: string, securityVersion: number): SealingProvider } {
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-key-store-"));
  t.after(() => rmSync(directory, { recursive: true }));
  return {
    store: keyStorePath(join(directory, "cas.db")),
    machine: (name, securityVersion) => openPlatformKeyFile(join(directory, name), securityVersion),
  };
}

const present = (store: string, machine: SealingProvider) => openKeyStore(undefined, store, machine).present;

test("C-1 a key store of the first format is read for ever, and is the same key afterwards", (t) => {
  const { store, machine } = folder(t);
  const { platformKey, file, databaseKey } = FORMAT_1;
  writeFileSync(join(store, "..", "p"), `${platformKey}\n`);
  writeFileSync(store, `${file}\n`);
  const opened = openKeyStore(undefined, store, machine("p", 1));
  assert.equal(opened.present?.bytes.toHex(), databaseKey);
  writeKeyStore(store, opened.content);
  assert.equal(JSON.parse(readFileSync(store, "utf8")).format, 2);
  assert.equal(present(store, machine("p", 1))?.bytes.toHex(), databaseKey);
});

test("hazard E14, C-79 newer software opens what older software sealed, on the same and on a registered machine; older never what newer sealed", (t) => {
  const { store, machine } = folder(t);
  for (const [sealed, opening, isOpen] of [
    [1, 1, true],
    [1, 3, true],
    [3, 2, false],
  ] as const) {
    writeKeyStore(store, { keys: [sealForPlatform(KEY, machine("a", sealed))] });
    if (isOpen) assert.deepEqual(Buffer.from(present(store, machine("a", opening))?.bytes ?? []), Buffer.from(KEY));
    else
      assert.throws(() => present(store, machine("a", opening)), { code: "KEY_STORE", message: /security version 3; this software has 2/ });
    const instance = { instanceKey: instanceKeyText(machine("b", sealed)), securityVersion: sealed };
    writeKeyStore(store, { keys: [sealForInstance(KEY, instance, CAS)] });
    if (isOpen) assert.deepEqual({ ...present(store, machine("b", opening)), bytes: undefined }, { bytes: undefined, sealedBy: CAS });
    else assert.throws(() => present(store, machine("b", opening)), { code: "KEY_STORE" });
    assert.throws(() => present(store, machine("c", opening)), { code: "KEY_STORE", message: /this machine is not registered/ });
  }
});

test("C-1 every byte of a sealed key counts: changed ones do not open, and nothing of the file is in the message", (t) => {
  const { store, machine } = folder(t);
  const instance = { instanceKey: instanceKeyText(machine("b", 1)), securityVersion: 1 };
  for (const key of [sealForPlatform(KEY, machine("a", 1)), sealForInstance(KEY, instance, CAS)]) {
    const opening = machine(key.recipient === "platform" ? "a" : "b", 2);
    for (let at = 0; at < key.sealed.length; at += 2) {
      const byte = (Number.parseInt(key.sealed.slice(at, at + 2), 16) ^ 1).toString(16).padStart(2, "0");
      writeKeyStore(store, { keys: [{ ...key, sealed: key.sealed.slice(0, at) + byte + key.sealed.slice(at + 2) }] });
      assert.throws(() => present(store, opening), { code: "KEY_STORE", message: /was changed/ });
    }
    writeKeyStore(store, { keys: [{ ...key, securityVersion: 2 }] });
    assert.throws(() => present(store, opening), { code: "KEY_STORE" }, "the security version is sealed with it");
  }
  for (const text of ["", "{", '{"format":3,"keys":[]}', '{"format":2,"keys":[]}', `{"format":2,"keys":[],"more":1}`]) {
    writeFileSync(store, text);
    assert.throws(() => present(store, machine("a", 1)), { code: "KEY_STORE", message: /cannot be read as JSON$|is damaged$/ });
  }
});
