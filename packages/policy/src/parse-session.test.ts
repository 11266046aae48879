import assert from "node:assert/strict";
import { test } from "node:test";
import { parseSession, printSession, sessionHash } from "./index.ts";

const MEASUREMENT = "9f0c2e6ab1d47835".repeat(4);
const kiosk = `
name: fair/kiosk
version: "0.3.12"
salt: 00112233445566778899AABBCCDDEEFF
access_policy: {read: [4FS3NJQsttEYid9NB6uMHZ73VuAYLGcoKjNU5Uekrosf2gbP8q], update: ANY}
services:
  - name: python3
    command: python3 kiosk.py --hall "Hall 9"
    pwd: /srv
    environment: {PORT: 6379, NAME: "$$SCONE::pin:hex$$"}
    image_name: kiosk
    attestation: {mrenclave: ${MEASUREMENT}}
images:
  - name: kiosk
    injection_files: [{path: /pki/me.key, content: "$$SCONE::me:privatekey$$", permission: 0o400}, /etc/motd]
secrets:
  - {name: pin, kind: binary, size: 4}
  - {name: me, import: {session: ../redis, secret: client}}
`;

test("a session is read, printed and read again with the same hash (SL-54)", () => {
  const { session, diagnostics } = parseSession(kiosk);
  assert.deepEqual(diagnostics, []);
  assert(session !== undefined);
  assert.deepEqual(session.services[0]?.command, ["python3", "kiosk.py", "--hall", "Hall 9"]);
  assert.equal(session.salt, "00112233445566778899aabbccddeeff");
  const again = parseSession(printSession(session));
  assert(again.session !== undefined);
  assert.equal(sessionHash(again.session), sessionHash(session));
});
