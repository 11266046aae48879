import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ImageError } from "./image-error.ts";
import { formatImageReference, parseImageReference, targetKey } from "./reference.ts";

const digest = `sha256:${"a".repeat(64)}`;
const accepted: readonly [string, string][] = [
  ["redis", "docker.io/library/redis:latest"],
  ["team/app:1.0", "docker.io/team/app:1.0"],
  ["localhost/app", "localhost/app:latest"],
  ["127.0.0.1:5000/a/b/c:v1", "127.0.0.1:5000/a/b/c:v1"],
  ["[::1]:5000/a:v1", "[::1]:5000/a:v1"],
  ["reg.example.org/expo/kiosk:3", "reg.example.org/expo/kiosk:3"],
  [`reg.example.org/x@${digest}`, `reg.example.org/x@${digest}`],
  [`reg.example.org/x:1@${digest}`, `reg.example.org/x:1@${digest}`],
  ["vouchsafe.local/a__b/c-d.e:X_1", "vouchsafe.local/a__b/c-d.e:X_1"],
];
for (const [text, whole] of accepted) {
  test(`the reference ${text} means ${whole}`, () => {
    assert.equal(formatImageReference(parseImageReference(text)), whole);
  });
}

const refused: readonly [rule: string, text: string, says: RegExp][] = [
  ["#89 upper case", "UPPER/x", /lower case/],
  ["upper case in the name", "reg.example.org/App", /lower case/],
  ["#91 nothing", "", /0 characters/],
  ["#8a an empty tag", "reg.example.org/redis:", /tag is empty/],
  ["a digest that is none", "x@sha256:abc", /64 hexadecimal/],
  ["two digests", `x@${digest}@${digest}`, /more than one/],
  ["an empty part", "reg.example.org//x", /not allowed/],
  ["a part upwards", "reg.example.org/../x", /not allowed/],
  ["a blank", "a b", /not allowed/],
  ["a line break", "x\n", /not allowed/],
];
for (const [rule, text, says] of refused) {
  test(`E-IMAGE-REF: ${rule} is refused`, () => {
    assert.throws(() => parseImageReference(text), { code: "E-IMAGE-REF", message: says });
  });
}

test("a reference is read and written back the same, or refused, whatever the text", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-z0-9.:/@_-]{1,40}$/)), (text) => {
      try {
        const whole = formatImageReference(parseImageReference(text));
        assert.equal(formatImageReference(parseImageReference(whole)), whole);
      } catch (error) {
        assert(error instanceof ImageError && error.code === "E-IMAGE-REF", String(error));
      }
    }),
  );
});

test("MF-130: the name below target/ has no digest and only letters, digits and -", () => {
  assert.equal(targetKey(`Reg.example.org:5000/expo/kiosk:3@${digest}`), "reg-example-org-5000-expo-kiosk-3");
});
