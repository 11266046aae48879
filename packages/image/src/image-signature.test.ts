import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { MEDIA_TYPES } from "./descriptor.ts";
import { verifyImageSignature } from "./image-signature.ts";
import { LocalRepository } from "./local-repository.ts";
import { pushImage } from "./registry.ts";
import { signImage, simpleSigningPayload } from "./testing/sign-image.ts";
import { packArchive, storeImage, temporaryDirectory } from "./testing/small-image.ts";
import { REGISTRY_PASSWORD, startRegistry, type TestRegistry } from "./testing/start-registry.ts";

let registry: TestRegistry | undefined;
before(async () => {
  registry = await startRegistry();
});
after(() => {
  registry?.[Symbol.dispose]();
  delete process.env["DOCKER_CONFIG"];
});

const authorization = `Basic ${Buffer.from(`builder:${REGISTRY_PASSWORD}`).toString("base64")}`;
const pem = (key: KeyObject): string => key.export({ type: "spki", format: "pem" }).toString();

/** An image in the registry, and where its signature goes. */
async function pushed(context: TestContext, name: string) {
  const host = registry?.host ?? assert.fail("no registry");
  const directory = temporaryDirectory(context);
  const config = temporaryDirectory(context, "docker");
  writeFileSync(join(config, "config.json"), JSON.stringify({ auths: { [host]: { auth: authorization.slice(6) } } }));
  process.env["DOCKER_CONFIG"] = config;
  const reference = `${host}/team/${name}:1`;
  const digest = await storeImage(directory, reference, [await packArchive([[{ name }, name]])], {});
  await pushImage(new LocalRepository(directory), reference);
  return { reference, image: { registry: host, repository: `team/${name}`, digest, authorization } };
}

const keys = {
  "ECDSA P-256": () => generateKeyPairSync("ec", { namedCurve: "prime256v1" }),
  "ECDSA P-384": () => generateKeyPairSync("ec", { namedCurve: "secp384r1" }),
  Ed25519: () => generateKeyPairSync("ed25519"),
  "RSA 2048": () => generateKeyPairSync("rsa", { modulusLength: 2048 }),
};
for (const [kind, make] of Object.entries(keys)) {
  test(`an image signed with ${kind} is accepted, and pinned to what was signed`, async (context) => {
    const { reference, image } = await pushed(context, `signed-${kind.toLowerCase().replaceAll(/[^a-z0-9]/g, "")}`);
    const { publicKey, privateKey } = make();
    await signImage(image, privateKey);
    assert.equal(await verifyImageSignature(reference, pem(publicKey)), `${reference}@${image.digest}`);
  });
}

test("a signature that openssl made over the payload is accepted", async (context) => {
  const { reference, image } = await pushed(context, "openssl");
  const directory = temporaryDirectory(context);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: directory });
  openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "key.pem");
  openssl("pkey", "-in", "key.pem", "-pubout", "-out", "cosign.pub");
  const payload = simpleSigningPayload(image);
  writeFileSync(join(directory, "payload"), payload);
  const signature = openssl("dgst", "-sha256", "-sign", "key.pem", "payload").toString("base64");
  await signImage(image, createPrivateKey(readFileSync(join(directory, "key.pem"))), payload, signature);
  assert.equal(await verifyImageSignature(reference, readFileSync(join(directory, "cosign.pub"), "utf8")), `${reference}@${image.digest}`);
});

test("what is not signed by the key for this very image is refused, and says why", async (context) => {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const other = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const refused = (reference: string, message: RegExp, key = pem(publicKey)) =>
    assert.rejects(verifyImageSignature(reference, key), { code: "E-IMAGE-SIGNATURE", message });

  const bare = await pushed(context, "bare");
  await refused(bare.reference, /no signature of .* lies beside it/);

  const foreign = await pushed(context, "foreign");
  await signImage(foreign.image, other.privateKey);
  await refused(foreign.reference, /not signed by the given key: a signature was made by another key/);

  const moved = await pushed(context, "moved");
  await signImage(moved.image, privateKey, simpleSigningPayload(bare.image));
  await refused(moved.reference, new RegExp(`a signature is about another image, ${bare.image.digest}`));

  const damaged = await pushed(context, "damaged");
  await signImage(damaged.image, privateKey, simpleSigningPayload(damaged.image), "no base64!");
  await refused(damaged.reference, /a signature is not base64/);

  await refused(bare.reference, /holds no public key in PEM form/, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n");
  await refused(
    bare.reference,
    /a key of type rsa 1024 signs no images/,
    pem(generateKeyPairSync("rsa", { modulusLength: 1024 }).publicKey),
  );
  await refused(bare.reference, /a key of type x25519/, pem(generateKeyPairSync("x25519").publicKey));
  await refused(
    bare.reference,
    /a key of type ec secp256k1 signs no images/,
    pem(generateKeyPairSync("ec", { namedCurve: "secp256k1" }).publicKey),
  );
  await refused(
    bare.reference,
    /a key of type rsa-pss 2048 signs no images/,
    pem(generateKeyPairSync("rsa-pss", { modulusLength: 2048 }).publicKey),
  );
  await assert.rejects(verifyImageSignature(`${bare.image.registry}/team/nothing:1`, pem(publicKey)), { code: "E-IMAGE-PULL" });
});

test("a registry that keeps another payload than its list says, or none, is told apart from a wrong signature", async (context) => {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const digestOf = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
  const descriptor = (text: string, mediaType: string) => ({ mediaType, digest: digestOf(text), size: text.length });
  const manifestOf = (...layers: readonly object[]) =>
    JSON.stringify({
      ...{ schemaVersion: 2, mediaType: MEDIA_TYPES.manifest },
      ...{ config: descriptor("{}", "application/vnd.oci.image.config.v1+json"), layers },
    });
  const image = manifestOf();
  const payload = simpleSigningPayload({ registry: "r", repository: "team/x", digest: digestOf(image), authorization: "" });
  const annotations = { "dev.cosignproject.cosign/signature": sign(null, Buffer.from(payload), privateKey).toString("base64") };
  const list = manifestOf({ ...descriptor(payload, "application/vnd.dev.cosign.simplesigning.v1+json"), annotations });
  let kept: string | undefined = payload;
  const server = createServer(({ url = "" }, answer) => {
    const body = url.includes("/blobs/") ? kept : url.endsWith(".sig") ? list : image;
    answer.writeHead(body === undefined ? 404 : 200, { "content-type": MEDIA_TYPES.manifest }).end(body);
  }).listen(0, "127.0.0.1");
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const verify = () => verifyImageSignature(`127.0.0.1:${port}/team/x:1`, pem(publicKey));
  assert.match(await verify(), /\/team\/x:1@sha256:/);
  kept = `${payload} `;
  await assert.rejects(verify(), { code: "E-IMAGE-SIGNATURE", message: new RegExp(`keeps another payload than ${digestOf(payload)}`) });
  kept = undefined;
  await assert.rejects(verify(), { code: "E-IMAGE-PULL", message: /the signed payload cannot be pulled/ });
});
