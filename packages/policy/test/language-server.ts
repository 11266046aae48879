import { type ChildProcessByStdio, spawn } from "node:child_process";
import { dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath, pathToFileURL } from "node:url";

interface Message {
  readonly id?: number | string;
  readonly method?: string;
  readonly params?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

export interface Completion {
  readonly label: string;
  readonly documentation?: string | { readonly value: string };
}

export interface EditorDiagnostic {
  readonly message: string;
  readonly range: { readonly start: { readonly line: number; readonly character: number } };
}

/** The real `yaml-language-server`, spoken to as an editor does (LSP over standard streams). */
export class LanguageServer implements AsyncDisposable {
  readonly #process: ChildProcessByStdio<Writable, Readable, null>;
  readonly #schema: string;
  readonly #waiting = new Map<number | string, (message: Message) => void>();
  readonly #diagnostics = new Map<string, PromiseWithResolvers<readonly EditorDiagnostic[]>>();
  #buffer = Buffer.alloc(0);
  #lastId = 0;

  private constructor(schemaFile: string) {
    this.#schema = pathToFileURL(schemaFile).href;
    const main = join(dirname(fileURLToPath(import.meta.resolve("yaml-language-server/package.json"))), "bin", "yaml-language-server");
    this.#process = spawn(process.execPath, [main, "--stdio"], { stdio: ["pipe", "pipe", "inherit"] });
    this.#process.stdout.on("data", (chunk: Buffer) => this.#receive(chunk));
  }

  /** Starts it for files that follow the schema in `schemaFile`. */
  static async start(schemaFile: string): Promise<LanguageServer> {
    const server = new LanguageServer(schemaFile);
    const capabilities = { textDocument: { hover: { contentFormat: ["markdown"] } }, workspace: { configuration: true } };
    await server.#ask("initialize", { processId: process.pid, rootUri: null, capabilities });
    server.#tell("initialized", {});
    return server;
  }

  /** Opens a document; returns its diagnostics once they have been published. */
  open(name: string, text: string): Promise<readonly EditorDiagnostic[]> {
    const uri = uriOf(name);
    const published = Promise.withResolvers<readonly EditorDiagnostic[]>();
    this.#diagnostics.set(uri, published);
    this.#tell("textDocument/didOpen", { textDocument: { uri, languageId: "yaml", version: 1, text } });
    return published.promise;
  }

  /** Lines and characters count from 0. */
  async complete(name: string, line: number, character: number): Promise<readonly Completion[]> {
    const found = await this.#ask("textDocument/completion", { textDocument: { uri: uriOf(name) }, position: { line, character } });
    return Array.isArray(found) ? found : ((found as { items?: Completion[] } | null)?.items ?? []); // both forms are allowed by the protocol
  }

  async hover(name: string, line: number, character: number): Promise<string> {
    const found = await this.#ask("textDocument/hover", { textDocument: { uri: uriOf(name) }, position: { line, character } });
    return (found as { contents?: { value?: string } } | null)?.contents?.value ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited = new Promise((resolve) => this.#process.once("exit", resolve));
    await this.#ask("shutdown", null);
    this.#tell("exit", null);
    await exited;
  }

  async #ask(method: string, params: unknown): Promise<unknown> {
    this.#lastId += 1;
    const id = this.#lastId;
    const { promise, resolve } = Promise.withResolvers<Message>();
    this.#waiting.set(id, resolve);
    this.#send({ id, method, params });
    const { result, error } = await promise;
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result;
  }

  #tell(method: string, params: unknown): void {
    this.#send({ method, params });
  }

  #send(message: Message): void {
    const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }));
    this.#process.stdin.write(Buffer.concat([Buffer.from(`Content-Length: ${body.length}\r\n\r\n`), body]));
  }

  #receive(chunk: Buffer): void {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    for (;;) {
      const head = this.#buffer.indexOf("\r\n\r\n");
      const length = Number(/Content-Length: (\d+)/i.exec(this.#buffer.subarray(0, Math.max(head, 0)).toString())?.[1] ?? Number.NaN);
      if (head < 0 || this.#buffer.length < head + 4 + length) return;
      const body = this.#buffer.subarray(head + 4, head + 4 + length).toString();
      this.#buffer = this.#buffer.subarray(head + 4 + length);
      this.#handle(JSON.parse(body));
    }
  }

  #handle({ id, method, params, ...answer }: Message): void {
    if (method === undefined) {
      this.#waiting.get(id ?? "")?.(answer);
      return;
    }
    if (method === "textDocument/publishDiagnostics") {
      const { uri, diagnostics } = params as { readonly uri: string; readonly diagnostics: readonly EditorDiagnostic[] }; // as the protocol says
      this.#diagnostics.get(uri)?.resolve(diagnostics);
      return;
    }
    // What it asks an editor: its settings, and to confirm registrations.
    const settings = { schemas: { [this.#schema]: "*" }, validate: true, hover: true, completion: true, schemaStore: { enable: false } };
    const items = (params as { items?: { section: string }[] } | undefined)?.items ?? [];
    const result = method === "workspace/configuration" ? items.map(({ section }) => (section === "yaml" ? settings : {})) : null;
    if (id !== undefined) this.#send({ id, result });
  }
}

const uriOf = (name: string): string => `file:///${name}`;
