import { Client, credentials, type ServiceError } from "@grpc/grpc-js";
import protobuf from "protobufjs";
import { z } from "zod";
import { KubernetesError } from "../kubernetes-error.ts";

/*
 * The part of the Container Runtime Interface (CRI v1, spoken by containerd and CRI-O on a Unix socket) that a measurement needs. Fields that
 * are not named here are skipped, as protobuf demands.
 */
const SCHEMA = `
  syntax = "proto3";
  package runtime.v1;
  message VersionRequest { string version = 1; }
  message VersionResponse { string runtime_name = 2; string runtime_version = 3; }
  message ImageSpec { string image = 1; }
  message ContainerStatusRequest { string container_id = 1; bool verbose = 2; }
  message ContainerStatus {
    string id = 1; int32 state = 3; int64 created_at = 4; ImageSpec image = 8; string image_ref = 9; map<string, string> labels = 12;
  }
  message ContainerStatusResponse { ContainerStatus status = 1; map<string, string> info = 2; }
  message ImageStatusRequest { ImageSpec image = 1; bool verbose = 2; }
  message Image { string id = 1; repeated string repo_digests = 3; }
  message ImageStatusResponse { Image image = 1; }
`;
const types = protobuf.parse(SCHEMA, { keepCase: true }).root;

const RUNNING = 1;
const TIMEOUT_MS = 5_000;
const ANSWER_MAX_BYTES = 4 * 1024 * 1024;

/** What the container runtime says about a running container. It started the container; nothing here comes from inside. */
export interface RunningContainer {
  readonly id: string;
  /** PID of the first process, in the namespace of the machine. */
  readonly pid: number;
  /** Nanoseconds since 1970; differs between containers of a machine, and survives a restart of the agent. */
  readonly createdAt: bigint;
  readonly pod: { readonly name: string; readonly namespace: string; readonly uid: string };
  readonly containerName: string;
  /** Digests of manifests, `sha256:…`, under which the image was pulled; all stand for the same configuration and layers. */
  readonly imageDigests: readonly string[];
  readonly process: {
    readonly arguments: readonly string[];
    readonly environment: ReadonlyMap<string, string>;
    readonly userId: number;
    readonly capabilities: readonly string[];
    readonly noNewPrivileges: boolean;
  };
  readonly mounts: readonly { readonly destination: string; readonly source: string; readonly type: string }[];
}

const StatusAnswer = z.object({
  status: z.object({
    id: z.string(),
    state: z.number(),
    created_at: z.string().regex(/^[0-9]+$/),
    image: z.object({ image: z.string() }).optional(),
    image_ref: z.string().default(""),
    labels: z.record(z.string(), z.string()).default({}),
  }),
  info: z.record(z.string(), z.string()).default({}),
});
const ImageAnswer = z.object({ image: z.object({ id: z.string(), repo_digests: z.array(z.string()).default([]) }).optional() });

/** `info` of a verbose status: JSON in both runtimes, with the container's OCI configuration. */
const ContainerInfo = z.object({
  pid: z.int().positive(),
  runtimeSpec: z.object({
    process: z.object({
      args: z.array(z.string()).default([]),
      env: z.array(z.string()).default([]),
      user: z.object({ uid: z.int().default(0) }).prefault({}),
      noNewPrivileges: z.boolean().default(false),
      capabilities: z
        .partialRecord(z.enum(["bounding", "effective", "inheritable", "permitted", "ambient"]), z.array(z.string()))
        .default({}),
    }),
    mounts: z.array(z.object({ destination: z.string(), source: z.string().default(""), type: z.string().default("") })).default([]),
  }),
});

/** A connection to the machine's container runtime. */
export class ContainerRuntime implements Disposable {
  readonly #client: Client;

  constructor(socketPath: string) {
    this.#client = new Client(`unix:${socketPath}`, credentials.createInsecure(), {
      "grpc.max_receive_message_length": ANSWER_MAX_BYTES,
      "grpc.default_authority": "localhost", // the socket's path is no authority that every server accepts
    });
  }

  /** Name and version, e.g. `containerd 1.6.20`. */
  async version(): Promise<string> {
    const answer = await this.#call("RuntimeService/Version", "VersionRequest", "VersionResponse", { version: "v1" });
    const { runtime_name, runtime_version } = z.object({ runtime_name: z.string(), runtime_version: z.string() }).parse(answer);
    return `${runtime_name} ${runtime_version}`;
  }

  /** Throws E-AGENT-RUNTIME when the runtime does not answer, and E-AGENT-CALLER when it does not know the container or it does not run. */
  async inspect(containerId: string): Promise<RunningContainer> {
    const request = { container_id: containerId, verbose: true };
    const { status, info } = StatusAnswer.parse(
      await this.#call("RuntimeService/ContainerStatus", "ContainerStatusRequest", "ContainerStatusResponse", request),
    );
    if (status.state !== RUNNING) throw new KubernetesError("E-AGENT-CALLER", `container ${containerId} is not running`);
    const details = ContainerInfo.parse(JSON.parse(info["info"] ?? "{}"));
    const { process, mounts } = details.runtimeSpec;
    const label = (name: string) => status.labels[`io.kubernetes.${name}`] ?? "";
    return {
      id: status.id,
      pid: details.pid,
      createdAt: BigInt(status.created_at),
      pod: { name: label("pod.name"), namespace: label("pod.namespace"), uid: label("pod.uid") },
      containerName: label("container.name"),
      imageDigests: await this.#imageDigests(status.image_ref === "" ? (status.image?.image ?? "") : status.image_ref),
      process: {
        arguments: process.args,
        environment: new Map(process.env.map((entry) => splitOnce(entry, "="))),
        userId: process.user.uid,
        capabilities: [...new Set(Object.values(process.capabilities).flat())].sort(),
        noNewPrivileges: process.noNewPrivileges,
      },
      mounts,
    };
  }

  close(): void {
    this.#client.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  async #imageDigests(image: string): Promise<readonly string[]> {
    const answer = await this.#call("ImageService/ImageStatus", "ImageStatusRequest", "ImageStatusResponse", { image: { image } });
    const names = ImageAnswer.parse(answer).image?.repo_digests ?? [];
    const digests = names.flatMap((name) => /@(sha256:[0-9a-f]{64})$/.exec(name)?.[1] ?? []);
    return [...new Set(digests)].sort();
  }

  #call(method: string, requestType: string, answerType: string, request: object): Promise<unknown> {
    const input = types.lookupType(`runtime.v1.${requestType}`);
    const output = types.lookupType(`runtime.v1.${answerType}`);
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#client.makeUnaryRequest(
      `/runtime.v1.${method}`,
      (value: object) => Buffer.from(input.encode(input.fromObject(value)).finish()),
      (bytes: Buffer) => output.toObject(output.decode(bytes), { longs: String }),
      request,
      { deadline: Date.now() + TIMEOUT_MS },
      (error: ServiceError | null, answer: unknown) => (error === null ? resolve(answer) : reject(failure(method, error))),
    );
    return promise;
  }
}

const NOT_FOUND = 5;

function failure(method: string, error: ServiceError): KubernetesError {
  if (error.code === NOT_FOUND)
    return new KubernetesError("E-AGENT-CALLER", "the container runtime does not know the caller's container", { cause: error });
  const remedy = "Check that the container runtime runs, and that spec.containerRuntime of the LAS resource names its socket.";
  return new KubernetesError("E-AGENT-RUNTIME", `the container runtime does not answer ${method}: ${error.details}`, {
    cause: error,
    remedy,
  });
}

function splitOnce(text: string, separator: string): readonly [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}
