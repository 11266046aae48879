import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { request, serviceOf, servicesOf } from "./services.ts";
import { filesContaining, Workspace } from "./workspace.ts";

const RELEASE = "documents";
const CANARY = "a-text-that-no-disk-may-hold";

describe("the document tutorial's manifests on one machine: nginx, MariaDB and memcached around a Python service", () => {
  let workspace: Workspace;
  let directory: string;
  let published: string;
  const values: Record<string, string> = {
    RELEASE,
    APP_NAMESPACE: "documents-7",
    APP_IMAGE_REPO: "vouchsafe.local/apps",
    SCONECTL_REPO: "vouchsafe.local/platform",
    CAS_URL: "cas.scone-system",
  };
  const render = (name: string) => {
    const text = readFileSync(join(directory, `${name}.template`), "utf8");
    writeFileSync(
      join(directory, name),
      text.replace(/\$([A-Z][A-Z_]*)\b/g, (whole, variable: string) => values[variable] ?? whole),
    );
  };
  const ok = async (command: string, ...args: string[]) => {
    const outcome = await workspace.run(command, args, { cwd: directory, env: { VOUCHSAFE_EVIDENCE: "node" } });
    assert.equal(outcome.status, 0, `${command} ${args.join(" ")}: ${outcome.stderr}`);
    return outcome.stdout.trim();
  };
  const ask = (...options: string[]) =>
    request(
      published,
      `${RELEASE}-nginx`,
      "/letter",
      "--cacert",
      join(directory, "target/public/nginx/NGINX_SERVER_CA_CERT.pem"),
      ...options,
    );

  before(async () => {
    workspace = new Workspace("curated");
    directory = join(workspace.root, "test/cluster/tutorials/documents");
    for (const name of ["api.yaml", "client.yaml"]) {
      render(name);
      await ok("sconectl", "apply", "-f", name, "--no-push");
    }
    await ok("vouchsafe", "cas", "start");
    values["CAS_KEY"] = await ok("vouchsafe", "cas", "show-identification", "-c");
    values["CAS_SESSION_ENCRYPTION_KEY"] = await ok("vouchsafe", "cas", "show-identification", "--session-encryption-key");
    render("mesh.yaml");
    await ok("sconectl", "apply", "-f", "mesh.yaml", "--release", RELEASE);
    await ok("vouchsafe", "up", "--release", RELEASE);
    published = (await serviceOf(workspace, RELEASE, "nginx")).published[0]?.address ?? "";
  });
  after(async () => {
    await workspace?.[Symbol.asyncDispose]();
  });

  test("MF-110: a request goes through nginx to the service, to MariaDB and to memcached", async () => {
    const states = await servicesOf(workspace, RELEASE);
    assert.deepEqual(states.map(({ name, state }) => [name, state]).sort(), [
      ["api", "ready"],
      ["client", "ready"],
      ["mariadb", "ready"],
      ["memcached", "ready"],
      ["nginx", "ready"],
    ]);
    assert.equal((await ask()).status, 404);
    assert.equal((await ask("-X", "PUT", "-d", CANARY)).body, "stored");
    const [first, second] = [await ask(), await ask()].map(({ body }) => /^(\S+) \(request (\d+)\)$/.exec(body));
    assert.equal(first?.[1], CANARY);
    assert(Number(second?.[2]) > Number(first?.[2]), "memcached counts");
  });

  test("MF-110: nginx is known by the CA that the CAS made for it, and by no other", async () => {
    assert.equal((await request(published, `${RELEASE}-nginx`, "/letter")).curl, 60);
    assert(existsSync(join(directory, "target/public/nginx/NGINX_SERVER_CA_CERT.pem")));
  });

  test("MF-110: what the database holds is in no file of this machine", async () => {
    assert.equal((await ask("-X", "PUT", "-d", CANARY)).status, 200);
    await sleep(2000); // long enough for a write that a database puts off; nothing waits for it
    for (const place of [workspace.state, directory]) assert.deepEqual(filesContaining(place, [CANARY]), []);
  });
});
