import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { CLUSTER_PROGRAMS } from "../testing/api-server.ts";
import { planPlatformCharts } from "./platform-chart.ts";

const PUBLISHED = join(import.meta.dirname, "..", "..", "charts");

test("the charts in the repository are what the objects make of them (VOUCHSAFE_UPDATE=1 writes them)", () => {
  for (const [path, text] of planPlatformCharts()) {
    const file = join(PUBLISHED, path);
    if (process.env["VOUCHSAFE_UPDATE"] === "1") {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
    assert.equal(readFileSync(file, "utf8"), text, path);
  }
});

test("hazard H4: Helm lints both charts strictly and renders them", (t) => {
  const helm = join(CLUSTER_PROGRAMS, "helm");
  if (!existsSync(helm)) return t.diagnostic(`not run: no helm in ${CLUSTER_PROGRAMS}; test/cluster/build.sh compiles it`);
  const directory = mkdtempSync(join(tmpdir(), "charts-"));
  t.after(() => rmSync(directory, { recursive: true }));
  for (const [path, text] of planPlatformCharts()) {
    mkdirSync(dirname(join(directory, path)), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  for (const chart of ["platform", "cas"]) execFileSync(helm, ["lint", "--strict", join(directory, chart)], { stdio: "pipe" });
  const rendered = execFileSync(helm, ["template", "v", join(directory, "platform"), "-n", "place", "--set", "repository=r.example/v"], {
    encoding: "utf8",
  });
  assert.match(rendered, /image: "?r\.example\/v\/operator:0\.1\.0"?/);
  assert.match(rendered, /namespace: "?place"?/);
  assert.doesNotMatch(rendered, /@@/);
  return undefined;
});
