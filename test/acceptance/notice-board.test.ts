import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type RunningService, request, serviceOf } from "./services.ts";
import { Workspace } from "./workspace.ts";

const RELEASE = "hall";

describe("another application, from its manifests alone", () => {
  let workspace: Workspace;
  let board: RunningService;
  let directory: string;
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
    const values: Record<string, string> = {
      RELEASE,
      APP_NAMESPACE: "hall-7",
      APP_IMAGE_REPO: "vouchsafe.local/apps",
      CAS_URL: "cas.scone-system",
    };
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
});
