/** Debian's Chromium, driven over a pipe by its own protocol (Chrome DevTools Protocol): what a person sees of a page, for tests. */
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

const CHROMIUM = "/usr/bin/chromium";

/** Why there is no browser to test with; undefined when there is one. */
export const noBrowser: string | undefined = existsSync(CHROMIUM) ? undefined : "chromium is not installed";

type Answer = Record<string, unknown>;

/** What the page did besides showing itself. */
export interface Happened {
  /** Every address that was asked for. */
  requests: string[];
  /** Errors, and breaches of the page's policy. */
  complaints: string[];
}

export interface Page {
  readonly happened: Happened;
  open(url: string): Promise<void>;
  /** The value of an expression, as JSON would carry it; waits for promises. */
  value<T>(expression: string): Promise<T>;
  /** Waits until an expression is true. */
  until(expression: string, what?: string): Promise<void>;
  key(key: string, modifiers?: { shift?: boolean }): Promise<void>;
  type(text: string): Promise<void>;
  wheel(x: number, y: number, pixels: number): Promise<void>;
  media(features: Record<string, string>, media?: string): Promise<void>;
  size(width: number, height: number): Promise<void>;
  screenshot(): Promise<Buffer>;
  pdf(): Promise<Buffer>;
  close(): void;
}

const CODES: Readonly<Record<string, number>> = {
  Enter: 13,
  Escape: 27,
  Tab: 9,
  PageDown: 34,
  PageUp: 33,
  End: 35,
  Home: 36,
  ArrowDown: 40,
  ArrowUp: 38,
  ArrowLeft: 37,
  ArrowRight: 39,
};

class Browser {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #waiting = new Map<number, { give(answer: Answer): void; fail(error: Error): void }>();
  readonly happened: Happened = { requests: [], complaints: [] };
  #loaded: (() => void) | undefined;
  #count = 0;
  session = "";

  constructor() {
    this.#profile = mkdtempSync(join(tmpdir(), "bitforbit-browser-"));
    const flags = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--hide-scrollbars=false",
      "--remote-debugging-pipe",
      `--user-data-dir=${this.#profile}`,
      "--no-first-run",
      "--disable-background-networking",
      "--window-size=1280,800",
      "about:blank",
    ];
    this.#child = spawn(CHROMIUM, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
    let rest = "";
    (this.#child.stdio[4] as Readable).setEncoding("utf8").on("data", (chunk: string) => {
      const messages = (rest + chunk).split("\0");
      rest = messages.pop() ?? "";
      for (const message of messages) this.#heard(JSON.parse(message) as Answer);
    });
    this.#child.on("exit", () => this.#waiting.forEach(({ fail }) => fail(new Error("the browser ended"))));
  }

  #heard(message: Answer): void {
    const waiting = this.#waiting.get(Number(message["id"]));
    if (waiting !== undefined) {
      this.#waiting.delete(Number(message["id"]));
      const error = message["error"] as { message: string } | undefined;
      if (error === undefined) waiting.give(message["result"] as Answer);
      else waiting.fail(new Error(error.message));
      return;
    }
    const told = JSON.stringify(message["params"]);
    const { request } = (message["params"] ?? {}) as { request?: { url: string } };
    if (message["method"] === "Network.requestWillBeSent") this.happened.requests.push(request?.url ?? "");
    if (message["method"] === "Page.loadEventFired") this.#loaded?.();
    if (["Runtime.exceptionThrown", "Page.javascriptDialogOpening"].includes(String(message["method"])))
      this.happened.complaints.push(told);
    // What Chromium calls generic are hints to authors: a form without a name, an entry of the history that it skips.
    if (message["method"] === "Audits.issueAdded" && !told.includes('"code":"GenericIssue"'))
      this.happened.complaints.push(told);
    if (message["method"] === "Log.entryAdded" && /"level":"error"/.test(told)) this.happened.complaints.push(told);
  }

  async ask(method: string, params: Answer = {}): Promise<Answer> {
    const id = ++this.#count;
    const session = this.session === "" ? {} : { sessionId: this.session };
    const answer = new Promise<Answer>((give, fail) => this.#waiting.set(id, { give, fail }));
    (this.#child.stdio[3] as Writable).write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    return await answer;
  }

  async open(url: string): Promise<void> {
    const loaded = new Promise<void>((done) => (this.#loaded = done));
    await this.ask("Page.navigate", { url });
    await loaded;
  }

  close(): void {
    this.#child.on("exit", () => rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 }));
    this.#child.kill("SIGKILL");
  }
}

/** A browser with one page. Close it when the test ends. */
export async function openPage(): Promise<Page> {
  const browser = new Browser();
  const { targetId } = await browser.ask("Target.createTarget", { url: "about:blank" });
  const { sessionId } = await browser.ask("Target.attachToTarget", { targetId, flatten: true });
  browser.session = String(sessionId);
  for (const domain of ["Page", "Runtime", "Network", "Log", "Audits"]) await browser.ask(`${domain}.enable`);
  const value = async <T>(expression: string): Promise<T> => {
    const answer = await browser.ask("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if (answer["exceptionDetails"] !== undefined)
      throw new Error(`${expression}: ${JSON.stringify(answer["exceptionDetails"])}`);
    return (answer["result"] as { value: T }).value;
  };
  const image = async (method: string, params: Answer): Promise<Buffer> =>
    Buffer.from(String((await browser.ask(method, params))["data"]), "base64");
  return {
    happened: browser.happened,
    open: async (url) => await browser.open(url),
    value,
    until: async (expression, what = expression) => {
      for (let tries = 0; tries < 300; tries++) {
        if (await value<boolean>(`Boolean(${expression})`)) return;
        await new Promise((later) => setTimeout(later, 50));
      }
      throw new Error(`never: ${what}`);
    },
    key: async (key, { shift = false } = {}) => {
      const text = key.length === 1 ? { text: key } : key === "Enter" ? { text: "\r" } : {};
      const code = {
        key,
        ...text,
        modifiers: shift ? 8 : 0,
        windowsVirtualKeyCode: CODES[key] ?? key.toUpperCase().charCodeAt(0),
      };
      await browser.ask("Input.dispatchKeyEvent", { type: "keyDown", ...code });
      await browser.ask("Input.dispatchKeyEvent", { type: "keyUp", ...code });
    },
    type: async (text) => void (await browser.ask("Input.insertText", { text })),
    wheel: async (x, y, pixels) =>
      void (await browser.ask("Input.dispatchMouseEvent", { type: "mouseWheel", x, y, deltaX: 0, deltaY: pixels })),
    media: async (features, media = "") =>
      void (await browser.ask("Emulation.setEmulatedMedia", {
        media,
        features: Object.entries(features).map(([name, one]) => ({ name, value: one })),
      })),
    size: async (width, height) =>
      void (await browser.ask("Emulation.setDeviceMetricsOverride", {
        width,
        height,
        deviceScaleFactor: 1,
        mobile: false,
      })),
    screenshot: async () => await image("Page.captureScreenshot", { format: "png" }),
    pdf: async () => await image("Page.printToPDF", { printBackground: true }),
    close: () => browser.close(),
  };
}
