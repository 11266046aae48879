import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Cluster } from "@vouchsafe/kubernetes";
import { defineResources, startApiServer } from "../../../kubernetes/src/testing/api-server.ts";
import { commandLine } from "./command-line.ts";

/** A cluster that has the resource `cas`, and a CAS beside it that `--cas-address` reaches. */
export async function clusterWithCas(t: TestContext) {
  const server = await startApiServer();
  t.after(() => server.stop());
  const cluster = new Cluster(server.config);
  await defineResources(cluster);
  const header = { apiVersion: "services.scone.cloud/v1beta1", kind: "CAS", metadata: { name: "cas", namespace: "default" } };
  await cluster.apply({ ...header, spec: {} });
  const directory = mkdtempSync(join(tmpdir(), "vouchsafe-provision-"));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const kubeconfig = join(directory, "kubeconfig");
  writeFileSync(kubeconfig, server.kubeconfig);
  const client = (environment: Record<string, string> = {}) => {
    const { run, home } = commandLine(t, { KUBECONFIG: kubeconfig, ...environment });
    const ask = async (at: { readonly host: string; readonly port: number }, ...argv: string[]) => {
      const place = ["--cas-address", at.host, "--cas-client-port", String(at.port)];
      try {
        return await run("provision", "cas", "cas", ...place, ...argv);
      } catch (error) {
        assert(error instanceof Error && "remedy" in error, String(error));
        return { code: 1, out: "", notes: `${error.message}\nhelp: ${error.remedy}` };
      }
    };
    return { ask, home, run };
  };
  return { client, directory, cluster, header };
}
