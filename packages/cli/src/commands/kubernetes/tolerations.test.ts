import assert from "node:assert/strict";
import { test } from "node:test";
import { parseOptions } from "../../parse-options.ts";
import { PROVISION_OPTIONS } from "./kubernetes-spec.ts";
import { collateralKey } from "./owner-config.ts";
import { parseTolerations } from "./tolerations.ts";

const understood = [
  {
    text: "--accept-configuration-needed --accept-group-out-of-date --accept-sw-hardening-needed",
    is: "configuration-needed out-of-date hardening-needed",
  },
  { text: "configuration,group-out-of-date , software-hardening", is: "configuration-needed out-of-date hardening-needed" },
  { text: "-G -S -G", is: "out-of-date hardening-needed" },
  { text: "none", is: "" },
  { text: "", is: "" },
];
for (const { text, is } of understood) {
  test(`section 9: --set-tolerations "${text}" tolerates ${is || "nothing"}`, () => {
    assert.equal(parseTolerations(text, "--set-tolerations").tolerate.join(" "), is);
  });
}

test("section 9: options for tests may stand among the words; what is neither is refused with what there is", () => {
  assert.deepEqual(parseTolerations("-C --only_for_testing-debug", "x").testing, ["only_for_testing-debug"]);
  for (const text of ["everything", "none -C", "constructor"])
    assert.throws(() => parseTolerations(text, "SGX_TOLERATIONS"), { code: "E-OPTION-VALUE", message: /SGX_TOLERATIONS does not know/ });
});

test("section 9: the value of --set-tolerations may look like options", () => {
  const { values } = parseOptions(PROVISION_OPTIONS, ["--set-tolerations", "--accept-configuration-needed -G"]);
  assert.deepEqual(values.get("set-tolerations"), ["--accept-configuration-needed -G"]);
});

test("section 9: --dcap-api comes before DCAP_KEY; 32 zeros, the default, are no key", () => {
  const options = (...argv: string[]) => parseOptions(PROVISION_OPTIONS, argv);
  const [one, two] = ["1".repeat(32), "2".repeat(32)];
  assert.equal(collateralKey(options("-d", one), { environment: { DCAP_KEY: two } }), one);
  assert.equal(collateralKey(options(), { environment: { DCAP_KEY: two } }), two);
  assert.equal(collateralKey(options(), { environment: {} }), undefined);
  assert.throws(() => collateralKey(options(), { environment: { DCAP_KEY: "short" } }), { message: /DCAP_KEY needs 32 hex digits/ });
});
