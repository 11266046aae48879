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

export interface TestBrowser extends AsyncDisposable {
  readonly version: string;
  /** Runs tasks in the page, with the library bundled as any web application would. */
  answer(tasks: readonly Task[]): Promise<{ readonly answers: readonly string[]; readonly milliseconds: number }>;
}

/** A page on a loopback server of its own, in a browser with an empty profile. Disposing it leaves nothing behind. */
export async function startBrowser(): Promise<TestBrowser> {
  const { text, nodeGlobals } = await bundleForBrowser({ file: join(import.meta.dirname, "page.ts") });
  if (nodeGlobals.length > 0) throw new TypeError(`the page uses globals of Node: ${nodeGlobals.join(", ")}`);
  let tasks: readonly Task[] = [];
  const pages = new Map([
    [
      "/",
      {
        type: "text/html",
        body: () => '<!doctype html><meta charset="utf-8"><title>test</title><script type="module" src="/page.js"></script>',
      },
    ],
    ["/page.js", { type: "text/javascript", body: () => text }],
    ["/tasks.json", { type: "application/json", body: () => JSON.stringify(tasks) }],
  ]);
  const server = createServer(({ url }, response) => {
    const page = pages.get(url ?? "");
    response.writeHead(page === undefined ? 404 : 200, { "content-type": page?.type ?? "text/plain" }).end(page?.body());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const profile = mkdtempSync(join(tmpdir(), "vouchsafe-chromium-"));
  const context = await chromium.launchPersistentContext(profile, { executablePath: EXECUTABLE, args: ARGUMENTS, headless: true });
  const page = await context.newPage();
  page.setDefaultTimeout(0);
  await page.goto(`${address}/`);
  return {
    version: context.browser()?.version() ?? "unknown",
    async answer(given) {
      tasks = given;
      return page.evaluate("answerAll('/tasks.json')");
    },
    async [Symbol.asyncDispose]() {
      await context.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
