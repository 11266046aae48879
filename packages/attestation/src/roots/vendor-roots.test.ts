import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import { parseCertificate } from "../x509/certificate.ts";
import { isIssuedBy } from "../x509/certification-path.ts";
import { findCommonName } from "../x509/distinguished-name.ts";
import { VENDOR_TRUST_ANCHORS } from "./vendor-roots.ts";

test("every vendor root is a self-signed CA under the name and digest that its vendor publishes", () => {
  const roots = new Set(Object.values(VENDOR_TRUST_ANCHORS).flat());
  const found = [...roots].map((der) => {
    const certificate = parseCertificate(der);
    assert.ok(isIssuedBy(certificate, certificate), String(findCommonName(certificate.subject)));
    assert.equal(certificate.basicConstraints?.isCa, true);
    return `${findCommonName(certificate.subject)} ${hash("sha256", der).slice(0, 16)}`;
  });
  assert.deepEqual(found.sort(), [
    "ARK-Genoa 4c6598d19c18719c",
    "ARK-Milan 69d063b45344d26a",
    "ARK-Turin 1f084161a44bb6d9",
    "EK/AK CA Root 594759594b9b6152",
    "Intel SGX Root CA 44a0196b2b99f889",
    "aws.nitro-enclaves 641a0321a3e244ef",
    "tpm_ek_v1_cloud_host_root-signer-0-2018-04-06T10:58:26-07:00 K:1, 1:Pw003HsFYO4:0:18 9bd5285f8fb18502",
  ]);
});

test("nobody is trusted for node and simulated evidence unless enrolled", () => {
  assert.equal(VENDOR_TRUST_ANCHORS.node, undefined);
  assert.equal(VENDOR_TRUST_ANCHORS.simulated, undefined);
});
