import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { LocalRepository } from "../../image/src/local-repository.ts";
import { chooseEngine, keepImage } from "./kept-image.ts";
import { ManifestReport } from "./manifest-report.ts";
import { Progress } from "./progress.ts";
import type { Shell } from "./shell.ts";
import { TargetDirectory } from "./target-directory.ts";
import { CliWorkplace } from "./testing/run-cli.ts";
import { storeServiceImage } from "./testing/store-service-image.ts";

const SERVICE =
  "apiVersion: scone/5.8\nkind: genservice\nenvironment: {}\nbuild:\n  name: app\n  kind: python\n  to: reg.example.org/team/app:1\n  command: python3 app.py\n";

test("cli.md 3.1, --no-push: the image is an OCI layout in target/images/<key>, and goes to the engine of DOCKER_HOST where one answers", async (t) => {
  const place = new CliWorkplace();
  t.after(() => place[Symbol.dispose]());
  const { reference, digest } = await storeServiceImage(place, SERVICE);
  // A container engine as far as it is asked here: a real one is asked in packages/image.
  const loaded: number[] = [];
  const engine = createServer((incoming, outgoing) => {
    let size = 0;
    incoming.on("data", (chunk: Buffer) => {
      size += chunk.length;
    });
    incoming.on("end", () => {
      if (incoming.url?.startsWith("/images/load") === true) loaded.push(size);
      outgoing.end("OK");
    });
  });
  await new Promise<void>((resolve) => engine.listen(0, "127.0.0.1", resolve));
  const { port } = engine.address() as AddressInfo; // a TCP server has one
  const notes: string[] = [];
  const keep = async (environment: Record<string, string>): Promise<void> => {
    notes.length = 0;
    const shell = { environment, note: (text: string) => notes.push(text), colour: false, isTerminal: false } as unknown as Shell; // what is used of it
    const report = new ManifestReport(shell, { json: false, failOnWarning: false, sources: new Map() });
    const target = await TargetDirectory.open(place.path("target"));
    const { signal } = new AbortController();
    const context = { target, report, progress: new Progress(shell, 0), signal };
    const image = { layoutDir: place.path("state", "vouchsafe", "images"), reference, key: "reg-example-org-team-app-1" };
    await keepImage(image, chooseEngine(shell, report), context).finally(() => target.close());
  };

  await keep({ DOCKER_HOST: `127.0.0.1:${port}` });
  assert.equal(loaded.length, 1);
  assert.match(notes.join("\n"), new RegExp(`^Export to the container engine at tcp://127\\.0\\.0\\.1:${port}`));
  const kept = new LocalRepository(join(place.path("target"), "images", "reg-example-org-team-app-1"));
  assert.deepEqual(await kept.list(), [{ reference, digest }]);
  assert.ok(await kept.isComplete(reference));

  engine.closeAllConnections();
  await new Promise((resolve) => engine.close(resolve));
  await keep({ DOCKER_HOST: `tcp://127.0.0.1:${port}` });
  assert.match(notes.join("\n"), /^warning\[W-ENGINE\]: no container engine answers at tcp:/);
  assert.ok(await kept.isComplete(reference));
});
