/** Time travel: registries' answers as they were at a time, as far as their own metadata tell. */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { codingOf, decoded, wholeOf } from "./decode.ts";
import { headerOf, recordedHeaders } from "./headers.ts";
import { jsonObject } from "./links.ts";
import {
  cargoBefore,
  type Filtered,
  highestVersion,
  mavenVersions,
  mavenWith,
  npmBefore,
  pythonBefore,
  pythonHtml,
  timeOf,
} from "./published.ts";
import type { Exchange } from "./recording.ts";

/** Asks the same registry, as the client who asked; undefined when it does not answer with 200. */
export type AskMore = (
  url: string,
  method: "GET" | "HEAD",
) => Promise<{ headers: Exchange["headers"]; body: Buffer; lastModified: string | undefined } | undefined>;

export interface Rewritten {
  headers: Exchange["headers"];
  body: Uint8Array;
  /** What of it could not be filtered, in words. */
  cannot?: string;
}

type Kind = "npm-or-python" | "cargo" | "go-list" | "go-version" | "maven" | "maven-checksum" | "debian";

const MAX_DOCUMENT = 256 << 20;
/** Versions of one package that are dated one by one. */
const MAX_DATED = 3000;
const AT_ONCE = 8;
const NPM = "application/vnd.npm.install-v1+json";
const PYTHON = "application/vnd.pypi.simple.v1+json";

export class TimeTravel {
  readonly #until: number;
  readonly #metadata = new Map<string, Uint8Array>();

  /** `epoch`: seconds since 1970; what was published then is still there. */
  constructor(epoch: number) {
    this.#until = epoch * 1000;
  }

  /** Asks for the form of a document that has dates: npm's full one, Python's in JSON. */
  requestHeaders(url: string, headers: Exchange["headers"]): Exchange["headers"] {
    const accept = headerOf(headers, "accept") ?? "";
    const instead = accept.includes(NPM)
      ? "application/json"
      : wantsPython(url, accept)
        ? `${PYTHON}, text/html;q=0.1`
        : undefined;
    if (instead === undefined) return headers;
    return headers.map(([name, value]) => (name === "accept" ? [name, instead] : [name, value]));
  }

  /** The answer as it was then; undefined for what has nothing to do with versions, whose body is then untouched. */
  async rewrite(url: string, accept: string, answer: IncomingMessage, ask: AskMore): Promise<Rewritten | undefined> {
    if (answer.statusCode !== 200) return undefined;
    const original = recordedHeaders(answer.rawHeaders, "GET");
    const kind = kindOf(url, accept, original);
    if (kind === undefined) return undefined;
    const raw = await wholeOf(answer, MAX_DOCUMENT, url);
    if (!answer.complete) throw new Error("the connection ended early");
    const untouched: Rewritten = { headers: original, body: raw };
    const body = await wholeOf(decoded(Readable.from([raw]), codingOf(original)), MAX_DOCUMENT, url);
    const text = body.toString("utf8");
    switch (kind) {
      case "npm-or-python":
        return this.#document(text, accept, untouched);
      case "cargo":
        return rewritten(cargoBefore(text, this.#until), (document) => document, untouched, "text/plain");
      case "go-list":
        return await this.#goList(text, url, untouched, ask);
      case "go-version":
        return await this.#goVersion(text, url, untouched, ask);
      case "maven":
        return await this.#maven(text, url, untouched, ask);
      case "maven-checksum":
        return this.#mavenChecksum(url, untouched);
      case "debian":
        return this.#debian(text, untouched);
    }
  }

  #document(text: string, accept: string, untouched: Rewritten): Rewritten {
    const document = jsonObject(text);
    if (document === undefined) {
      if (!/<a\s/i.test(text)) return untouched;
      return { ...untouched, cannot: "an index in HTML bears no dates, and the registry gave no JSON" };
    }
    if ("versions" in document && "dist-tags" in document) {
      const found = npmBefore(document, this.#until);
      if (found === undefined) return { ...untouched, cannot: "the registry gives no times of publication" };
      return rewritten(found, (left) => JSON.stringify(left), untouched, "application/json");
    }
    if (!("files" in document) || !("meta" in document)) return untouched;
    const found = pythonBefore(document, this.#until);
    if (found === undefined) return untouched;
    const json = accept.includes(PYTHON);
    return rewritten(found, json ? JSON.stringify : pythonHtml, untouched, json ? PYTHON : "text/html");
  }

  /** Go Modules Reference, "GOPROXY protocol": the list has no dates, `.info` has. */
  async #goList(text: string, url: string, untouched: Rewritten, ask: AskMore): Promise<Rewritten> {
    const versions = text.split("\n").filter((line) => line !== "");
    const found = await this.#dated(versions, async (version) => {
      const info = await ask(url.replace(/list$/, `${escapedVersion(version)}.info`), "GET");
      return info === undefined ? Number.NaN : timeOf(jsonObject(info.body.toString("utf8"))?.["Time"]);
    });
    return rewritten(
      found,
      (left) => left.map((version) => `${version}\n`).join(""),
      untouched,
      "text/plain; charset=UTF-8",
    );
  }

  /** `@latest`, and `.info` of a branch: what it is now need not be what it was then. */
  async #goVersion(text: string, url: string, untouched: Rewritten, ask: AskMore): Promise<Rewritten> {
    if (!(timeOf(jsonObject(text)?.["Time"]) > this.#until)) return untouched;
    const cannot = "it names a later version, and the registry does not say what it named then";
    if (!url.endsWith("/@latest")) return { ...untouched, cannot };
    const versions = url.replace(/@latest$/, "@v/");
    const list = await ask(`${versions}list`, "GET");
    if (list === undefined) return { ...untouched, cannot };
    const left = await this.#goList(list.body.toString("utf8"), `${versions}list`, untouched, ask);
    const latest = highestVersion(
      Buffer.from(left.body)
        .toString("utf8")
        .split("\n")
        .filter((line) => line !== ""),
    );
    const info = latest === undefined ? undefined : await ask(`${versions}${escapedVersion(latest)}.info`, "GET");
    return info === undefined ? { ...untouched, cannot } : { headers: untouched.headers, body: info.body };
  }

  /** Maven's metadata have no dates: those of the poms' files stand in for them. */
  async #maven(text: string, url: string, untouched: Rewritten, ask: AskMore): Promise<Rewritten> {
    const versions = mavenVersions(text);
    const artifact = /<artifactId>\s*([\w.-]+)\s*<\/artifactId>/.exec(text)?.[1];
    if (versions.length === 0 || artifact === undefined) return untouched;
    const folder = url.replace(/maven-metadata\.xml$/, "");
    const found = await this.#dated(versions, async (version) => {
      const head = await ask(`${folder}${version}/${artifact}-${version}.pom`, "HEAD");
      return Date.parse(head?.lastModified ?? "");
    });
    const result = rewritten(found, (left) => mavenWith(text, new Set(left)), untouched, "text/xml");
    this.#metadata.set(url, result.body);
    return result;
  }

  #mavenChecksum(url: string, untouched: Rewritten): Rewritten {
    const [, document = "", algorithm = ""] = /^(.*)\.(sha1|md5|sha256|sha512)$/.exec(url) ?? [];
    const metadata = this.#metadata.get(document);
    if (metadata === undefined) return untouched;
    return { headers: untouched.headers, body: Buffer.from(createHash(algorithm).update(metadata).digest("hex")) };
  }

  #debian(text: string, untouched: Rewritten): Rewritten {
    const date = Date.parse(/^Date:\s*(.+)$/m.exec(text)?.[1] ?? "");
    if (!(date > this.#until)) return untouched;
    return { ...untouched, cannot: "a signed index of packages is of a later time: name a snapshot of the archive" };
  }

  async #dated(versions: readonly string[], dateOf: (version: string) => Promise<number>): Promise<Filtered<string[]>> {
    const dates = new Map<string, number>();
    const queue = versions.slice(0, MAX_DATED);
    const one = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) dates.set(next, await dateOf(next));
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    const at = (version: string): number => dates.get(version) ?? Number.NaN;
    const document = versions.filter((version) => !(at(version) > this.#until));
    return {
      document,
      undated: versions.filter((version) => Number.isNaN(at(version))),
      emptied: document.length === 0 && versions.length > 0,
    };
  }
}

/** By protocol: what was asked for, and how. */
function kindOf(url: string, accept: string, headers: Exchange["headers"]): Kind | undefined {
  const { pathname } = new URL(url);
  if (pathname.endsWith("/@v/list")) return "go-list";
  if (pathname.endsWith("/@latest")) return "go-version";
  if (/\/@v\/[^/]+\.info$/.test(pathname))
    return /\/@v\/v\d+\.\d+\.\d+[^/]*\.info$/.test(pathname) ? undefined : "go-version";
  if (pathname.endsWith("/maven-metadata.xml")) return "maven";
  if (/\/maven-metadata\.xml\.(?:sha1|md5|sha256|sha512)$/.test(pathname)) return "maven-checksum";
  if (/\/dists\/.*\/(?:In)?Release$/.test(pathname)) return "debian";
  if (isCargoIndex(pathname)) return "cargo";
  const type = headerOf(headers, "content-type") ?? "";
  return accept.includes(NPM) || wantsPython(url, accept) || /json/.test(type) ? "npm-or-python" : undefined;
}

/** The Cargo Book, "Index files": `1/a`, `2/ab`, `3/a/abc`, `ab/cd/abcd`. */
function isCargoIndex(pathname: string): boolean {
  const [name = "", ...folders] = pathname.toLowerCase().split("/").reverse();
  if (!/^[a-z][a-z0-9_-]*$/.test(name)) return false;
  if (name.length < 3) return folders[0] === String(name.length);
  if (name.length === 3) return folders[1] === "3" && folders[0] === name[0];
  return folders[1] === name.slice(0, 2) && folders[0] === name.slice(2, 4);
}

/** Old clients ask for HTML only: then the path that the specification uses tells. */
function wantsPython(url: string, accept: string): boolean {
  return (
    accept.includes("application/vnd.pypi.simple") || (accept.startsWith("text/html") && /\/simple\/[^/]+\/$/.test(url))
  );
}

/** As module paths are escaped: an upper-case letter is "!" and the lower-case one. */
function escapedVersion(version: string): string {
  return encodeURI(version.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`));
}

function rewritten<T>(
  { document, undated, emptied }: Filtered<T>,
  write: (document: T) => string,
  { headers }: Rewritten,
  type: string,
): Rewritten {
  const kept = headers.filter(
    ([name]) => !["content-encoding", "content-type", "etag", "last-modified"].includes(name),
  );
  const shown = undated.slice(0, 3).join(", ") + (undated.length > 3 ? ", …" : "");
  return {
    headers: [...kept, ["content-type", type] as [string, string]].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
    body: Buffer.from(write(document)),
    ...(undated.length === 0 ? {} : { cannot: `${undated.length} versions bear no date and stay: ${shown}` }),
    ...(emptied ? { cannot: "nothing of it was published by then, as this registry dates it" } : {}),
  };
}
