import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { processesOf, type RunningService, request, serviceOf } from "./services.ts";
import { filesContaining, Workspace } from "./workspace.ts";

const RELEASE = "hello";
/** A base with a virtual machine is compressed anew in every workspace, on a machine that may be busy. */
const BUILD_LONGEST_MS = 14 * 60_000;

describe("a Java service: examples/greeter", () => {
  let workspace: Workspace;
  let directory: string;
  let greeter: RunningService;
  let program: number;

  const render = (name: string, values: Readonly<Record<string, string>>) => {
    const text = readFileSync(join(directory, `${name}.template`), "utf8");
    writeFileSync(
      join(directory, name),
      text.replace(/\$([A-Z][A-Z_]*)\b/g, (whole, variable: string) => values[variable] ?? whole),
    );
  };
  const ok = async (command: string, ...args: string[]) => {
    const outcome = await workspace.run(command, args, {
      cwd: directory,
      env: { VOUCHSAFE_EVIDENCE: "node" },
      timeoutMs: BUILD_LONGEST_MS,
    });
    assert.equal(outcome.status, 0, `${command} ${args.join(" ")}: ${outcome.stderr}`);
    return outcome.stdout.trim();
  };
  const textOf = (name: "cmdline" | "environ" | "status") => readFileSync(`/proc/${program}/${name}`, "utf8");
  const logs = () => ok("vouchsafe", "logs", "--release", RELEASE);

  before(async () => {
    workspace = new Workspace("greeter");
    directory = join(workspace.root, "examples/greeter");
    const values: Record<string, string> = {
      APP_NAMESPACE: "greeter-7",
      APP_IMAGE_REPO: "vouchsafe.local/apps",
      CAS_URL: "cas.scone-system",
    };
    render("service.yaml", values);
    await ok("sconectl", "apply", "-f", "service.yaml", "--no-push");
    await ok("vouchsafe", "cas", "start");
    values["CAS_KEY"] = await ok("vouchsafe", "cas", "show-identification", "-c");
    values["CAS_SESSION_ENCRYPTION_KEY"] = await ok("vouchsafe", "cas", "show-identification", "--session-encryption-key");
    render("mesh.yaml", values);
    await ok("sconectl", "apply", "-f", "mesh.yaml", "--release", RELEASE, "--no-pull");
    await ok("vouchsafe", "up", "--release", RELEASE);
    greeter = await serviceOf(workspace, RELEASE, "greeter");
    [program = 0] = processesOf(workspace, RELEASE, "main.java.Greeter");
  });
  after(async () => {
    await workspace?.[Symbol.asyncDispose]();
  });

  test("it answers with a certificate that the CAS made, which it took from PEM files", async () => {
    const ca = join(directory, "target/public/greeter/greeter_ca.pem");
    const answer = await request(greeter.published[0]?.address ?? "", "greeter", "/", "--cacert", ca);
    assert.deepEqual(answer, { curl: 0, status: 200, body: "Good evening\n" });
  });

  test("MF-34, MF-56: the program has the policy's variables and nothing else; the class path stands right behind java", () => {
    assert.equal(textOf("environ"), "GREETING=Good evening\0");
    assert.match(textOf("cmdline").replaceAll("\0", " "), /^java -cp \/app -XX\S+ .*-Xmx256m main\.java\.Greeter $/);
    assert.match(textOf("status"), /^NoNewPrivs:\s+1$/m);
  });

  test("MF-59: no file of the machine has the program in clear", () => {
    const texts = ["Greeter.java", "main/java/Greeter"];
    assert.deepEqual(filesContaining(workspace.state, texts), []);
    assert.deepEqual(readdirSync(`/proc/${program}/root/app/main/java`), ["Greeter.class"]);
  });

  test("MF-68, AC-14: java from a shell of the container, with variables for the virtual machine, runs nothing but the attested program", async () => {
    const launcher = Number(/^PPid:\s+(\d+)/m.exec(textOf("status"))?.[1]);
    const settings = readFileSync(`/proc/${launcher}/environ`, "utf8")
      .split("\0")
      .filter((text) => /^(?:SCONE|VOUCHSAFE)_/.test(text));
    assert(settings.length > 0);
    const hostile = [
      "JAVA_TOOL_OPTIONS=-XshowSettings:vm",
      "JDK_JAVA_OPTIONS=--version",
      "_JAVA_OPTIONS=-Xint",
      "CLASSPATH=/tmp",
      "LD_PRELOAD=/tmp/x.so",
    ];
    const inside = ["-t", String(launcher), "-m", "-p", "-n", "-i", "-u", "-U", "-S", "0", "-G", "0", "env", "-i"];
    const { output } = await run("nsenter", ...inside, ...settings, ...hostile, "java", "@/tmp/words", "--version");
    // The second instance is attested too, and finds its port taken: it is the policy's command, in the policy's environment.
    assert.match(output, /started after .*Greeter\.main/s);
    assert.match(output, /BindException/);
    assert.doesNotMatch(output, /openjdk \d|Picked up|VM settings/);
    for (const tool of ["javac", "jshell", "keytool", "jcmd"])
      assert.match((await run("nsenter", ...inside, tool)).output, /No such file/, tool);
  });

  test("MF-68: the virtual machine loads no agent for others, and writes nothing about itself to /tmp", async () => {
    const root = `/proc/${program}/root/tmp`;
    assert.deepEqual(readdirSync(root), []);
    // This is how jcmd and debuggers ask a virtual machine to open a socket for them.
    const asked = `/tmp/.attach_pid${/^NSpid:.*\s(\d+)$/m.exec(textOf("status"))?.[1]}`;
    // This memory belongs to the program's user namespace, which knows none of this machine's users.
    const user = /^\s*(\d+)/.exec(readFileSync(`/proc/${program}/uid_map`, "utf8"))?.[1] ?? "";
    const touched = await run("nsenter", "-t", String(program), "-m", "-U", "-S", user, "-G", user, "touch", asked);
    assert.equal(touched.output, "");
    process.kill(program, "SIGQUIT");
    for (let attempt = 0; !/Full thread dump/.test(await logs()); attempt++) {
      assert(attempt < 600, "the virtual machine takes the signal as one to open its socket");
      await sleep(100);
    }
    assert.deepEqual(
      readdirSync(root).filter((name) => !name.startsWith(".attach")),
      [],
    );
  });
});

function run(command: string, ...args: string[]): Promise<{ output: string }> {
  return new Promise((resolve) => {
    execFile(command, args, { timeout: 120_000 }, (_error, stdout, stderr) => resolve({ output: stdout + stderr }));
  });
}
