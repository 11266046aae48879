import assert from "node:assert/strict";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type RunningService, request, serviceOf } from "./services.ts";
import { Workspace } from "./workspace.ts";

const RELEASE = "hall";

describe("another application, from its manifests alone", () => {
  let workspace: Workspace;
  let board: RunningService;
  let directory: string;
  const values: Record<string, string> = {};
  const api = (path: string, ...options: string[]) =>
    request(
      board.published[0]?.address ?? "",
      "board.example",
      path,
      "--cacert",
      join(directory, "target/public/board/board_ca.pem"),
      ...options,
    );

  /** Fills in the $NAMEs of a template, as `envsubst` does in a user's script. */
  const render = (name: string, values: Record<string, string>) => {
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

  before(async () => {
    workspace = new Workspace("board");
    directory = join(workspace.root, "test/acceptance/notice-board");
    Object.assign(values, {
      RELEASE,
      APP_NAMESPACE: "hall-7",
      APP_IMAGE_REPO: "vouchsafe.local/apps",
      CAS_URL: "cas.scone-system",
      STAMP_VERSION: "1",
      STAMP_STABLE: "",
    });
    for (const name of ["board-service.yaml", "stamp-service.yaml"]) {
      render(name, values);
      await ok("sconectl", "apply", "-f", name, "--no-push");
    }
    await ok("vouchsafe", "cas", "start");
    values["CAS_KEY"] = await ok("vouchsafe", "cas", "show-identification", "-c");
    values["CAS_SESSION_ENCRYPTION_KEY"] = await ok("vouchsafe", "cas", "show-identification", "--session-encryption-key");
    render("mesh.yaml", values);
    await ok("sconectl", "apply", "-f", "mesh.yaml", "--release", RELEASE, "--no-pull");
    await ok("vouchsafe", "up", "--release", RELEASE);
    board = await serviceOf(workspace, RELEASE, "board");
  });
  after(async () => {
    await workspace?.[Symbol.asyncDispose]();
  });

  test("the program has exactly the policy's variables, arguments, directory and files", async () => {
    const answer = await api("/about");
    assert.equal(answer.status, 200, answer.body);
    const about = JSON.parse(answer.body);
    const madeByProgram = ["LC_CTYPE", "WERKZEUG_SERVER_FD"]; // Python and Flask set these themselves
    assert.deepEqual(
      about.variables.filter((name: string) => !madeByProgram.includes(name)),
      ["ADMIN_PIN", "MOTTO", "STAMP_HOST", "STAMP_PORT"],
    );
    assert.deepEqual(about.arguments, ["--hall", "Hall 9"]);
    assert.equal(about.directory, "/srv/board");
    assert.equal(about.motto, 'news of the hall: "quoted", $HOME and\ntwo lines');
    assert.equal(about.greeting, "Welcome to the board.\n");
    assert.equal(about.pin_length, 12);
  });

  test("two services with the same inner port meet over mutual TLS", async () => {
    const added = await api("/notices", "-d", "title=Lost Cat!", "-d", "text=grey, answers to Ada");
    assert.equal(added.status, 200, added.body);
    const notice = JSON.parse(added.body);
    assert.equal(notice.slug, "lost-cat");
    assert.match(notice.stamp, /^[0-9a-f]{64}$/);
    assert.equal(JSON.parse((await api("/notices/lost-cat")).body).stamp, notice.stamp);
  });

  test("MF-89: the code identities stand in policies of their own, and only there", () => {
    const policy = (name: string) => readFileSync(join(directory, "target/policies", `${name}.yaml`), "utf8");
    assert.match(policy("board"), /\$\$SCONE::image_attestation\$\$/);
    assert.doesNotMatch(policy("board"), /mrenclave/);
    const { policies } = JSON.parse(readFileSync(join(directory, "target/mesh.json"), "utf8"));
    assert.deepEqual(
      policies.map(({ name }: { name: string }) => name).filter((name: string) => name.includes("images")),
      ["hall-7-images", "hall-7-images/board", "hall-7-images/stamp"],
    );
  });

  test("MF-55, MF-94: a new version is rolled out while the policy accepts the stable one too", async () => {
    Object.assign(values, { STAMP_VERSION: "2", STAMP_STABLE: "vouchsafe.local/apps/stamp:1" });
    render("stamp-service.yaml", values);
    appendFileSync(join(directory, "stamp.py"), "# a new version\n");
    await ok("sconectl", "apply", "-f", "stamp-service.yaml", "--no-push");
    render("mesh.yaml", values);
    await ok("sconectl", "apply", "-f", "mesh.yaml", "--release", RELEASE, "--no-pull");
    const record = JSON.parse(readFileSync(join(directory, "target/mesh.json"), "utf8"));
    assert.match(record.services.find(({ name }: { name: string }) => name === "stamp").image.reference, /stamp:2$/);
    await ok("vouchsafe", "verify");
    await ok("vouchsafe", "up", "--release", RELEASE);
    board = await serviceOf(workspace, RELEASE, "board");
    const added = await api("/notices", "-d", "title=New stamp", "-d", "text=both versions count");
    assert.equal(added.status, 200, added.body);
  });
});
