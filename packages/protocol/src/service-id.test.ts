import assert from "node:assert/strict";
import { test } from "node:test";
import { parseCasAddress } from "./cas-address.ts";
import { parseServiceId } from "./service-id.ts";

test("SL-98: the last @ starts the password, the last / before it the service", () => {
  assert.deepEqual(parseServiceId("a/b/api@123456"), { session: "a/b", service: "api", oneTimePassword: "123456" });
  assert.deepEqual(parseServiceId("a/api"), { session: "a", service: "api", oneTimePassword: undefined });
});

const refused = [
  "",
  "api",
  "/api",
  "a//api",
  "a/../api",
  "a/./api",
  "a/api@",
  "a/api@12x",
  "a/b%2f/api",
  "a/ä/api",
  "a/b\0/api",
  `${"a".repeat(129)}/api`,
];
for (const text of refused) {
  test(`hazard C3: ${JSON.stringify(text.slice(0, 20))} is no service id`, () => assert.equal(parseServiceId(text), undefined));
}

test("CAS addresses: host, port and literal addresses", () => {
  assert.deepEqual(parseCasAddress("cas.ns", 18765), { host: "cas.ns", port: 18765 });
  assert.deepEqual(parseCasAddress("https://127.0.0.1:99/", 1), { host: "127.0.0.1", port: 99 });
  assert.deepEqual(parseCasAddress("[::1]:8081", 1), { host: "::1", port: 8081 });
  for (const bad of ["", "a b", "a:0", "a:65536", "a:b", "http://a", "a/b"]) assert.equal(parseCasAddress(bad, 1), undefined, bad);
});
