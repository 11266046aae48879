import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { BuildPlan, BuildSettings } from "../plan.ts";
import { temporaryDirectory } from "./small-image.ts";

/** Kept between runs: Debian packages and bases are the slow part. */
export const TEST_CACHE = join(import.meta.dirname, "../../../../.cache/image-test");

export const CANARY = "the-secret-recipe-of-the-house";

export interface SampleBuild {
  readonly directory: string;
  readonly plan: BuildPlan;
  readonly settings: BuildSettings;
}

let count = 0;

/**
 * A small program with a requirement, under a name of its own. The runtime's Node is a stand-in, because compressing the real one takes longer than
 * all tests together; what it is does not matter here.
 */
export function sampleBuild(context: TestContext, changes: Partial<BuildPlan> = {}): SampleBuild {
  const directory = temporaryDirectory(context, "build");
  mkdirSync(join(directory, "project/static"), { recursive: true });
  writeFileSync(join(directory, "project/app.py"), `import six\nprint("${CANARY}", six.__name__)\n`);
  writeFileSync(join(directory, "project/static/menu.txt"), `${CANARY} in a second file\n`);
  writeFileSync(join(directory, "main.js"), "// the runtime\n");
  mkdirSync(TEST_CACHE, { recursive: true });
  const source = (name: string) => ({ source: join(directory, "project", name), target: `/srv/${name}` });
  const plan: BuildPlan = {
    name: "sample",
    kind: "python",
    reference: `vouchsafe.local/sample-${process.pid}-${++count}:1`,
    mode: "production",
    base: { kind: "debian", packages: ["python3"] },
    command: ["python3", "app.py"],
    workingDirectory: "/srv",
    copy: [source("app.py"), source("static")],
    copyRoot: join(directory, "project"),
    requirements: { text: "six" },
    run: [],
    encrypt: true,
    runtimeSettings: { SCONE_HEAP: "64M" },
    volumes: [],
    aliases: [],
    metadata: { policyTemplate: "policy", secretsTemplate: "[]", environment: "[]", chart: new Map([["values.yaml.template", "a: 1"]]) },
    ...changes,
  };
  const settings: BuildSettings = {
    cacheDir: TEST_CACHE,
    repositoryDir: join(TEST_CACHE, "images"),
    runtimeBundle: join(directory, "main.js"),
    nodeBinary: "/usr/bin/env",
    signingKeyFile: join(directory, "target/identity.pem"),
    platformVersion: "0.0.0-test",
  };
  if (!existsSync("/usr/bin/apt-get")) throw new Error("images are built from Debian packages: apt-get is missing");
  return { directory, plan, settings };
}
