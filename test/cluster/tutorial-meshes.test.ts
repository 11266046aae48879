import assert from "node:assert/strict";
import { test } from "node:test";
import { eventually, openCluster, preparePlatform, reasonNotToRun } from "./cluster.ts";
import { openTutorial, succeeded } from "./tutorial.ts";

/* cli.md section 17, as `tutorial-scripts.test.ts`: the tutorials that work in a namespace of their own, and need no container engine. */
test("cli.md section 17: the scripts of the mesh, update and document tutorials run unmodified", { timeout: 40 * 60_000 }, async (t) => {
  const reason = reasonNotToRun();
  if (reason !== undefined) return t.diagnostic(`not run: ${reason}`);
  const cluster = await openCluster(t);
  const { namespace, directory, repository, environment, run } = cluster;
  await preparePlatform(cluster);
  const step = (name: string, work: () => Promise<void>) => t.test(name, work);

  await step("AC-11: the first-mesh tutorial", async () => {
    const mesh = await openTutorial("mesh", directory, environment);
    succeeded(await mesh.runScript(["--image-repo", `${repository}/apps`, "--namespace", namespace, "-v"]));
    // It listens nowhere: its pod is ready before the program has its secrets.
    await eventually("it prints what it was given", async () =>
      /hello pythonapp, key: True/.test(await run("kubectl", "-n", namespace, "logs", "deployment/pythonapp-pythonservice"))
        ? true
        : undefined,
    );
    succeeded(await mesh.runScript(["--image-repo", `${repository}/apps`, "--namespace", namespace]));
    // With this mode anybody could read the policy in the chart, and with it the key of the program.
    const options = ["--image-repo", `${repository}/apps`, "--namespace", namespace, "--release", "signedapp"];
    const { status, output } = await mesh.runScript(options, { UPLOAD_MODE: "SignedManifest" });
    assert.equal(status, 1);
    assert.match(output, /E-SIGNED-CODEKEY/);
  });

  await step("AC-11: the software-update tutorial alternates between two images; keys that migrate stay", async () => {
    const update = await openTutorial("update", directory, environment);
    const keys = new Set<string>();
    for (const number of ["1", "2", "3"]) {
      succeeded(await update.runScript([`${repository}/apps`, number], { ns: namespace }));
      const tag = number === "2" ? "v2" : "v1";
      const line = await eventually("the new version runs", async () => {
        const log = await run("kubectl", "-n", namespace, "logs", "deployment/update-counter");
        return new RegExp(`counter ${tag} with the key (\\w+)`).exec(log)?.[1];
      });
      keys.add(line);
      assert.match(await run("helm", "-n", namespace, "list", "--filter", "update"), new RegExp(`confidential-mesh-0\\.${number}\\.0`));
    }
    assert.equal(keys.size, 1);
  });

  await step(
    "AC-11, CL-106, MF-110, MF-112: the document tutorial: nginx, MariaDB and memcached around two services of one target",
    async () => {
      const documents = await openTutorial("documents", directory, environment);
      const output = succeeded(await documents.runScript([`${repository}/apps`], { ns: namespace }));
      assert.match(output, /documents-mariadb-0 +1\/1/);
      // Through nginx to the service; from there the text out of MariaDB, the count out of memcached.
      await eventually("the client reads what it stored", async () =>
        /read: signed \(request \d+\)/.test(await run("kubectl", "-n", namespace, "logs", "deployment/documents-client"))
          ? true
          : undefined,
      );
      const api = await run("kubectl", "-n", namespace, "logs", "deployment/documents-api");
      assert.match(api, /documents at the start: 0/); // asked as root, with the generated password
      const inside = (...command: string[]) =>
        run("kubectl", "-n", namespace, "exec", "documents-mariadb-0", "--", ...command).catch((error: Error) => error.message);
      assert.match(await inside("ls", "/mariadb", "/tls"), /No such file/);
      assert.equal((await inside("ls", "-A", "/var/tmp", "/external")).replace(/\/\S+:|\s/g, ""), "");
    },
  );
  return undefined;
});
