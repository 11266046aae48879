import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { bundleForBrowser } from "./bundle.ts";
import type { Task } from "./task.ts";

const EXECUTABLE = "/usr/bin/chromium";
const ARGUMENTS = [
  "--headless",
  "--no-sandbox", // the tests run as root in a container
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Why no browser can be started here; undefined when one can. */
export function findBrowserFault(): string | undefined {
  try {
    accessSync(EXECUTABLE, constants.X_OK);
    return undefined;
  } catch {
    return `${EXECUTABLE} is not installed: scripts/setup.sh test installs it`;
  }
}

export interface TestPage extends AsyncDisposable {
  readonly version: string;
  /** Value of an expression in the page, promises awaited. */
  evaluate<T>(expression: string): Promise<T>;
}

/** A page with these module scripts, on a loopback server of its own that has `files` too, in a browser with an empty profile. */
export async function openPage(scripts: Readonly<Record<string, string>>, files: (path: string) => string | undefined): Promise<TestPage> {
  const tags = Object.keys(scripts).map((path) => `<script type="module" src="${path}"></script>`);
  const html = `<!doctype html><meta charset="utf-8"><title>attestation</title>${tags.join("")}`;
  const server = createServer(({ url = "" }, response) => {
    const script = scripts[url];
    const text = url === "/" ? html : (script ?? files(url));
    const type = url === "/" ? "text/html" : script === undefined ? "application/json" : "text/javascript";
    response.writeHead(text === undefined ? 404 : 200, { "content-type": type }).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const profile = mkdtempSync(join(tmpdir(), "vouchsafe-chromium-"));
  const context = await chromium.launchPersistentContext(profile, { executablePath: EXECUTABLE, args: ARGUMENTS, headless: true });
  const page = await context.newPage();
  page.setDefaultTimeout(0);
  page.on("pageerror", (error) => console.error(`the page says: ${error.stack}`));
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return {
    version: context.browser()?.version() ?? "unknown",
    evaluate: <T>(expression: string) => page.evaluate<T>(expression),
    async [Symbol.asyncDispose]() {
      await context.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(profile, { recursive: true, force: true });
    },
  };
}

export interface TestBrowser extends AsyncDisposable {
  readonly version: string;
  /** Runs tasks in the page, with the library bundled as any web application would. */
  answer(tasks: readonly Task[]): Promise<{ readonly answers: readonly string[]; readonly milliseconds: number }>;
}

/** A browser with a page that answers tasks. Disposing it leaves nothing behind. */
export async function startBrowser(): Promise<TestBrowser> {
  const { text, nodeGlobals } = await bundleForBrowser({ file: join(import.meta.dirname, "page.ts") });
  if (nodeGlobals.length > 0) throw new TypeError(`the page uses globals of Node: ${nodeGlobals.join(", ")}`);
  let tasks: readonly Task[] = [];
  const page = await openPage({ "/page.js": text }, (path) => (path === "/tasks.json" ? JSON.stringify(tasks) : undefined));
  return {
    version: page.version,
    async answer(given) {
      tasks = given;
      return page.evaluate("answerAll('/tasks.json')");
    },
    [Symbol.asyncDispose]: () => page[Symbol.asyncDispose](),
  };
}
