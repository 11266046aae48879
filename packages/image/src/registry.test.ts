import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, type TestContext, test } from "node:test";
import { digestOf } from "./blob-store.ts";
import { LocalRepository } from "./local-repository.ts";
import { pullImage, pushImage } from "./registry.ts";
import { findCredentials } from "./registry-credentials.ts";
import { packArchive, storeImage, temporaryDirectory } from "./testing/small-image.ts";
import { freePort, REGISTRY_PASSWORD, startRegistry, type TestRegistry } from "./testing/start-registry.ts";

const environment = { ...process.env };

let registry: TestRegistry | undefined;
before(async () => {
  registry = await startRegistry();
});
after(() => {
  registry?.[Symbol.dispose]();
  process.env["PATH"] = environment["PATH"];
  delete process.env["DOCKER_CONFIG"];
});
const hostOfRegistry = (): string => registry?.host ?? assert.fail("no registry");

/** Lets the code under test find these credentials. */
function login(context: TestContext, config: object): string {
  const directory = temporaryDirectory(context, "docker");
  writeFileSync(join(directory, "config.json"), JSON.stringify(config));
  process.env["DOCKER_CONFIG"] = directory;
  return directory;
}
const basic = (host: string, password = REGISTRY_PASSWORD) => ({
  auths: { [host]: { auth: Buffer.from(`builder:${password}`).toString("base64") } },
});

async function sample(
  context: TestContext,
  reference: string,
): Promise<{ directory: string; repository: LocalRepository; digest: string }> {
  const directory = temporaryDirectory(context);
  const archives = [await packArchive([[{ name: "a" }, "one"]]), await packArchive([[{ name: "b" }, "two"]])];
  return {
    directory,
    repository: new LocalRepository(directory),
    digest: await storeImage(directory, reference, archives, { compression: "zstd" }),
  };
}

test("an image is pushed with the user's password, other tools read it, and it comes back with the same digest", async (context) => {
  const config = login(context, basic(hostOfRegistry()));
  const reference = `${hostOfRegistry()}/team/app:1`;
  const { repository, digest } = await sample(context, reference);
  const moved: string[] = [];
  const progress = ({ kind, text }: { kind: string; text: string }) => kind === "blob" && moved.push(text);
  assert.equal(await pushImage(repository, reference, reference, { progress }), digest);
  assert.equal(moved.length, 3);
  const skopeo = (...args: string[]) =>
    execFileSync("skopeo", args, { encoding: "utf8", env: { ...process.env, REGISTRY_AUTH_FILE: join(config, "config.json") } });
  assert.equal(JSON.parse(skopeo("inspect", "--tls-verify=false", `docker://${reference}`)).Digest, digest);
  const copy = join(temporaryDirectory(context), "layout");
  skopeo("copy", "--src-tls-verify=false", `docker://${reference}`, `oci:${copy}:app`);
  moved.length = 0;
  await pushImage(repository, reference, reference, { progress });
  assert.deepEqual(moved, [], "blobs that the registry has are not sent again");
  const other = new LocalRepository(temporaryDirectory(context));
  assert.equal((await pullImage(other, reference)).digest, digest);
  assert(await other.isComplete(reference));
  assert.equal((await pullImage(other, `${hostOfRegistry()}/team/app@${digest}`)).digest, digest);
});

test("E-IMAGE-PUSH names the reference and how to go on: no login, a wrong password", async (context) => {
  const reference = `${hostOfRegistry()}/team/app:2`;
  const { repository } = await sample(context, reference);
  login(context, {});
  await assert.rejects(pushImage(repository, reference), {
    code: "E-IMAGE-PUSH",
    message: /team\/app:2 cannot be pushed/,
    remedy: /Log in.*--no-push.*build\.to/s,
  });
  login(context, basic(hostOfRegistry(), "wrong"));
  await assert.rejects(pushImage(repository, reference), (error: Error & { code?: string }) => {
    assert.equal(error.code, "E-IMAGE-PUSH");
    assert.doesNotMatch(`${error.message} ${error.stack}`, /wrong/, "the password is not told");
    return true;
  });
});

test("E-IMAGE-PULL names the reference: an unknown image, a registry that is not there", async (context) => {
  login(context, basic(hostOfRegistry()));
  const repository = new LocalRepository(temporaryDirectory(context));
  await assert.rejects(pullImage(repository, `${hostOfRegistry()}/none:1`), { code: "E-IMAGE-PULL", message: /answers 404/ });
  await assert.rejects(pullImage(repository, `127.0.0.1:${await freePort()}/none:1`), {
    code: "E-IMAGE-PULL",
    message: /cannot be reached/,
  });
  await assert.rejects(pullImage(repository, "vouchsafe.local/none:1"), { code: "E-IMAGE-PULL", message: /not in the local repository/ });
});

test("CL-39: auths come first, then credHelpers, then credsStore; a missing helper is a warning", async (context) => {
  const directory = login(context, {
    auths: { "one.example": { auth: Buffer.from("u:p").toString("base64") }, "two.example": {} },
    credHelpers: { "two.example": "fake" },
    credsStore: "missing",
  });
  mkdirSync(join(directory, "bin"));
  writeFileSync(
    join(directory, "bin/docker-credential-fake"),
    '#!/bin/sh\nread host\necho "{\\"Username\\":\\"<token>\\",\\"Secret\\":\\"for $host\\"}"\n',
  );
  chmodSync(join(directory, "bin/docker-credential-fake"), 0o755);
  process.env["PATH"] = `${join(directory, "bin")}:${environment["PATH"]}`;
  assert.deepEqual(await findCredentials("one.example"), { username: "u", password: "p" });
  assert.deepEqual(await findCredentials("two.example"), { username: "", password: "", identityToken: "for two.example" });
  const warnings: string[] = [];
  assert.equal(await findCredentials("three.example", (warning) => warnings.push(warning)), undefined);
  assert.match(warnings.join(), /docker-credential-missing/);
});

/** A registry that answers as told. */
async function fakeRegistry(context: TestContext, answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`; // a TCP server's address is no text
}

test("a token service is asked with the user's credentials, and its token is used", async (context) => {
  const { repository, digest } = await sample(context, "vouchsafe.local/x:1");
  const seen: string[] = [];
  const host = await fakeRegistry(context, (request, response) => {
    const url = new URL(request.url ?? "", `http://${host}`);
    seen.push(`${url.pathname} ${request.headers.authorization ?? "-"}`);
    if (url.pathname === "/token") {
      assert.equal(url.searchParams.get("scope"), "repository:x:pull");
      response.end('{"token":"t0k3n"}');
    } else if (request.headers.authorization !== "Bearer t0k3n") {
      response.writeHead(401, { "www-authenticate": `Bearer realm="http://${host}/token",service="test",scope="repository:x:pull"` }).end();
    } else {
      const name = url.pathname.split("/").at(-1) ?? "";
      const mediaType = url.pathname.includes("/manifests/") ? "application/vnd.oci.image.manifest.v1+json" : "application/octet-stream";
      response.writeHead(200, { "content-type": mediaType }).end(readFileSync(repository.blobs.pathOf(name === "1" ? digest : name)));
    }
  });
  login(context, basic(host));
  const target = new LocalRepository(temporaryDirectory(context));
  assert.equal((await pullImage(target, `${host}/x:1`)).digest, digest);
  assert(seen.some((line) => line.startsWith("/token Basic ")));
});

const manifestType = { "content-type": "application/vnd.oci.image.manifest.v1+json" };
const indexOf = (digest: string) =>
  JSON.stringify({
    schemaVersion: 2,
    manifests: [
      {
        mediaType: "application/vnd.oci.image.index.v1+json",
        digest,
        size: 2,
        platform: { os: "linux", architecture: process.arch === "x64" ? "amd64" : process.arch },
      },
    ],
  });
const dishonest: readonly {
  readonly rule: string;
  readonly says: RegExp;
  readonly reference?: string;
  readonly answer: (host: string) => RequestListener;
}[] = [
  {
    rule: "a manifest of another digest",
    reference: `x@sha256:${"0".repeat(64)}`,
    says: /answers sha256:.* to a request for sha256:000/,
    answer: () => (_, response) => response.writeHead(200, manifestType).end("{}"),
  },
  {
    rule: "a manifest that is none",
    says: /manifest is malformed/,
    answer: () => (_, response) => response.writeHead(200, manifestType).end("<html>"),
  },
  {
    rule: "a manifest without end",
    says: /larger than 4194304/,
    answer: () => (_, response) => {
      response.writeHead(200, manifestType);
      const pour = () => {
        while (!response.destroyed && response.write("x".repeat(65_536)));
      };
      response.on("drain", pour);
      pour();
    },
  },
  {
    rule: "a login without end",
    says: /answers 401|asks for a login/,
    answer: (host) => (request, response) =>
      request.url?.startsWith("/token")
        ? response.end('{"token":"x"}')
        : response.writeHead(401, { "www-authenticate": `Bearer realm="http://${host}/token"` }).end(),
  },
  {
    rule: "a token service without TLS elsewhere",
    says: /does not use TLS/,
    answer: () => (_, response) => response.writeHead(401, { "www-authenticate": 'Bearer realm="http://tokens.example/"' }).end(),
  },
  {
    rule: "redirects without end",
    says: /redirects/,
    answer: () => (request, response) => response.writeHead(307, { location: request.url }).end(),
  },
  {
    rule: "a redirect to plain text elsewhere",
    says: /does not use TLS/,
    answer: () => (_, response) => response.writeHead(307, { location: "http://other.example/" }).end(),
  },
  {
    rule: "an index that lists an index",
    says: /lists another index/,
    answer: () => {
      const inner = indexOf(digestOf(new TextEncoder().encode("{}")));
      const outer = indexOf(digestOf(new TextEncoder().encode(inner)));
      return (request, response) =>
        response
          .writeHead(200, { "content-type": "application/vnd.oci.image.index.v1+json" })
          .end(request.url?.includes("sha256:") ? inner : outer);
    },
  },
];
for (const { rule, says, reference = "x:1", answer } of dishonest) {
  test(`hazard G3: a registry that gives ${rule} is refused`, async (context) => {
    login(context, {});
    let listener: RequestListener = (_, response) => response.end();
    const host = await fakeRegistry(context, (request, response) => listener(request, response));
    listener = answer(host);
    await assert.rejects(pullImage(new LocalRepository(temporaryDirectory(context)), `${host}/${reference}`), {
      name: "ImageError",
      code: "E-IMAGE-PULL",
      message: says,
    });
  });
}

for (const [rule, change, says] of [
  ["another content", (bytes: Uint8Array) => bytes.map((byte) => byte ^ 1), /answers sha256:/],
  ["a truncated blob", (bytes: Uint8Array) => bytes.subarray(1), /ends after/],
  ["a blob that goes on", (bytes: Uint8Array) => Buffer.concat([bytes, bytes]), /longer than/],
] as const) {
  test(`hazard G3: a registry that gives ${rule} is refused, and nothing is stored`, async (context) => {
    login(context, {});
    const { repository, digest } = await sample(context, "vouchsafe.local/x:1");
    const layer = (await repository.read("vouchsafe.local/x:1"))?.manifest.layers[0]?.digest ?? "";
    const host = await fakeRegistry(context, (request, response) => {
      const name = request.url?.split("/").at(-1) ?? "";
      const bytes = readFileSync(repository.blobs.pathOf(name === "1" ? digest : name));
      response.writeHead(200, manifestType).end(name === layer ? change(bytes) : bytes);
    });
    const target = new LocalRepository(temporaryDirectory(context));
    await assert.rejects(pullImage(target, `${host}/x:1`), { code: "E-IMAGE-PULL", message: says });
    assert.equal(await target.blobs.findSize(layer), undefined);
    assert.equal(await target.find(`${host}/x:1`), undefined);
  });
}
