import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { openLocalRepository } from "@vouchsafe/image";
import { type MeshRecord, MeshRecordSchema, type ServiceRecord } from "@vouchsafe/mesh";
import { RUNTIME, renderLauncher } from "../../image/src/launcher.ts";

/** Who runs programs in images of ours. */
const USER = { uid: 65_532, gid: 65_532 };

export interface ImageContent {
  /** Body of a shell script, or a program. */
  readonly launcher: string | Uint8Array;
  /** Copied with their libraries, to the path they have here or to another. */
  readonly programs: readonly (string | { readonly source: string; readonly target: string })[];
  /** Further files by path: content, or the file to copy. */
  readonly files?: ReadonlyMap<string, Uint8Array | { readonly source: string }>;
}

/** Makes a small image from programs of this machine, whose launcher is a shell script: the engine starts whatever stands there. */
export async function makeImage(
  layoutDir: string,
  reference: string,
  { launcher, programs, files = new Map() }: ImageContent,
): Promise<{ digest: string; layoutDir: string; reference: string }> {
  const tree = join(layoutDir, "..", `tree-${createHash("sha256").update(reference).digest("hex").slice(0, 8)}`);
  for (const name of ["bin", "sbin", "lib", "lib64"]) {
    mkdirSync(join(tree, "usr", name), { recursive: true });
    symlinkSync(`usr/${name}`, join(tree, name));
  }
  for (const program of ["/bin/sh", ...programs]) {
    if (typeof program === "string") copyWithLibraries(program, program, tree);
    else copyWithLibraries(program.source, program.target, tree);
  }
  mkdirSync(join(tree, "vouchsafe/bin"), { recursive: true });
  const launcherBytes = typeof launcher === "string" ? `#!/bin/sh\n${launcher}\n` : launcher;
  writeFileSync(join(tree, "vouchsafe/bin/launcher"), launcherBytes, { mode: 0o755 });
  for (const [path, content] of files) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    if (content instanceof Uint8Array) writeFileSync(join(tree, path), content);
    else copyFileSync(content.source, join(tree, path));
  }
  const packed = spawnSync("tar", ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "-C", tree, "-cf", "-", "."], {
    maxBuffer: 1 << 30,
  });
  if (packed.status !== 0) throw new Error(`tar failed: ${packed.stderr}`);
  const repository = openLocalRepository(layoutDir);
  const layer = await repository.blobs.put(packed.stdout);
  const diffId = `sha256:${createHash("sha256").update(packed.stdout).digest("hex")}`;
  const config = await repository.putDocument("application/vnd.oci.image.config.v1+json", {
    architecture: "amd64",
    os: "linux",
    config: {},
    rootfs: { type: "layers", diff_ids: [diffId] },
  });
  const manifest = await repository.putDocument("application/vnd.oci.image.manifest.v1+json", {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    config,
    layers: [{ mediaType: "application/vnd.oci.image.layer.v1.tar", ...layer }],
  });
  await repository.name(reference, manifest);
  return { digest: manifest.digest, layoutDir, reference };
}

/** What is executed gets the mode it has in images of ours: it cannot be read by who executes it (libraries must be). */
function copyWithLibraries(source: string, target: string, tree: string): void {
  const { stdout } = spawnSync("ldd", [source], { encoding: "utf8" });
  const libraries = [...stdout.matchAll(/(?:=> )?(\/\S+) \(0x/g)].map(([, path = ""]) => path);
  const copy = (from: string, to: string, mode: number) => {
    const directory = to.slice(0, to.lastIndexOf("/"));
    const place = join(tree, existsSync(directory) ? realpathSync(directory) : directory, to.slice(to.lastIndexOf("/") + 1));
    mkdirSync(dirname(place), { recursive: true });
    copyFileSync(realpathSync(from), place);
    chmodSync(place, mode);
  };
  copy(source, target, 0o711);
  for (const path of libraries) copy(path, path, /\/ld-[^/]*$/.test(path) ? 0o711 : 0o644);
}

/** An image with the real launcher and runtime, for programs of this machine. */
export function makeRuntimeImage(scratch: string, reference: string, programs: readonly string[]) {
  const bundle = join(scratch, "main.js");
  execFileSync(process.execPath, [fileURLToPath(new URL("../../../scripts/bundle-runtime.ts", import.meta.url)), bundle]);
  return makeImage(join(scratch, "images"), reference, {
    launcher: renderLauncher(),
    programs: [{ source: process.execPath, target: RUNTIME.node }, ...programs],
    files: new Map<string, Uint8Array | { source: string }>([
      [RUNTIME.main, { source: bundle }],
      ["/vouchsafe/mesh/service.json", Buffer.from(JSON.stringify(describeImage()))],
    ]),
  });
}

function describeImage() {
  return {
    ...{
      format: 1,
      platformVersion: "test",
      name: "launch",
      kind: "sconify_image",
      mode: "production",
      command: ["/bin/sh"],
      workingDirectory: "/tmp",
    },
    ...{
      user: USER,
      environment: { FROM_IMAGE: "1" },
      searchPath: ["/usr/bin", "/bin"],
      diversions: [],
      runtimeSettings: {},
      regions: [],
      volumes: [],
    },
    ...{ aliases: [], packages: [], lock: [], files: {} },
  };
}

/** A self-signed client identity. */
export function makeIdentity(scratch: string): { certificate: string; privateKey: string } {
  const [key, certificate] = [join(scratch, "key.pem"), join(scratch, "certificate.pem")];
  const make = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:P-256",
    "-nodes",
    "-keyout",
    key,
    "-out",
    certificate,
    "-subj",
    "/CN=tester",
    "-days",
    "2",
  ];
  execFileSync("openssl", make, { stdio: "ignore" });
  return { certificate: readFileSync(certificate, "utf8"), privateKey: readFileSync(key, "utf8") };
}

/** A record of a mesh with the given services; everything a test does not name has a plain value. */
export function makeRecord(
  services: readonly (Pick<ServiceRecord, "name" | "image"> & Partial<ServiceRecord>)[],
  { namespace = "test-ns", evidence = ["node"] }: { readonly namespace?: string; readonly evidence?: readonly string[] } = {},
): MeshRecord {
  return MeshRecordSchema.parse({
    format: 1,
    platformVersion: "0.1.0",
    namespace,
    release: null,
    mode: "production",
    evidence,
    cas: { name: "cas", host: "cas.scone-system", clientPort: 8081, key: null, mode: "EncryptedManifest" },
    nameService: { address: "10.96.0.10", namespace: "" },
    policies: [],
    secretFlows: [],
    services: services.map((service) => ({
      policy: `${namespace}/${service.name}`,
      serviceId: `${namespace}/${service.name}/main`,
      hostName: service.name,
      fileSystemTag: null,
      containerCommand: ["main"],
      containerEnvironment: {},
      ports: [],
      waitFor: [],
      readiness: { mode: "launcher" },
      restartPolicy: "Always",
      terminationGracePeriodSeconds: 2,
      replicas: 1,
      codeIdentities: {},
      volumes: [],
      publicSecrets: [],
      ...service,
    })),
  });
}

export const readText = (path: string): string => readFileSync(path, "utf8");
