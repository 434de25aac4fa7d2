/** Registries' documents without what was published after a time. Pure: documents in, documents out. Times are milliseconds. */
import { isObject, type JsonObject } from "../json.ts";
import { pythonFilePurl } from "./links.ts";

/** What is left of a document, and what could not be dated. */
export interface Filtered<T> {
  document: T;
  /** Versions or files that bear no date: they stay, and are named to the user. */
  undated: string[];
  /** There was something, and nothing of it is left: a mirror may date what it has by the day on which it got it. */
  emptied: boolean;
}

/**
 * npm's full packument: `versions` by `time`; tags that point to what is gone
 * go, too, but for `latest`, which becomes the highest release that is left.
 */
export function npmBefore(document: JsonObject, until: number): Filtered<JsonObject> | undefined {
  const { versions, time, "dist-tags": tags } = document;
  if (!isObject(versions) || !isObject(time)) return undefined;
  const undated = Object.keys(versions).filter((version) => Number.isNaN(timeOf(time[version])));
  const isLate = (version: string): boolean => timeOf(time[version]) > until;
  const kept = Object.entries(versions).filter(([version]) => !isLate(version));
  const keptNames = new Set(kept.map(([version]) => version));
  const keptTimes = Object.entries(time).filter(([name, date]) => name !== "modified" && !(timeOf(date) > until));
  const modified = keptTimes
    .map(([, date]) => (typeof date === "string" ? date : ""))
    .sort((a, b) => timeOf(a) - timeOf(b))
    .at(-1);
  const keptTags = Object.entries(isObject(tags) ? tags : {}).filter(([, version]) => keptNames.has(String(version)));
  const latest = highestVersion([...keptNames]);
  if (latest !== undefined && !keptTags.some(([tag]) => tag === "latest")) keptTags.push(["latest", latest]);
  return {
    document: {
      ...document,
      versions: Object.fromEntries(kept),
      time: { ...Object.fromEntries(keptTimes), ...(modified === undefined ? {} : { modified }) },
      "dist-tags": Object.fromEntries(keptTags),
    },
    undated,
    emptied: kept.length === 0 && Object.keys(versions).length > 0,
  };
}

/** PyPA's Simple API in JSON: `files` by `upload-time`, `versions` that have files left (PEP 700). */
export function pythonBefore(document: JsonObject, until: number): Filtered<JsonObject> | undefined {
  const { files, versions, name } = document;
  if (!Array.isArray(files)) return undefined;
  const undated: string[] = [];
  const gone = new Set<string>();
  const left = new Set<string>();
  const kept = files.filter((file) => {
    if (!isObject(file)) return false;
    const [at, fileName] = [timeOf(file["upload-time"]), String(file["filename"])];
    if (Number.isNaN(at)) undated.push(fileName);
    const version = /@([^?]*)/.exec(pythonFilePurl(fileName, name) ?? "")?.[1] ?? "";
    (at > until ? gone : left).add(decodeURIComponent(version));
    return !(at > until);
  });
  const keptVersions = Array.isArray(versions)
    ? { versions: versions.filter((version) => left.has(String(version)) || !gone.has(String(version))) }
    : {};
  return {
    document: { ...document, files: kept, ...keptVersions },
    undated,
    emptied: kept.length === 0 && files.length > 0,
  };
}

/** The same document as HTML, for clients that ask for it. */
export function pythonHtml(document: JsonObject): string {
  const files = Array.isArray(document["files"]) ? document["files"].filter(isObject) : [];
  const anchors = files.map((file) => {
    const hashes = isObject(file["hashes"]) ? Object.entries(file["hashes"]) : [];
    const [algorithm, digest] = hashes.find(([name]) => name === "sha256") ?? hashes[0] ?? [];
    const hash = algorithm === undefined ? "" : `#${algorithm}=${String(digest)}`;
    const python = file["requires-python"];
    const needs = typeof python === "string" ? ` data-requires-python="${escaped(python)}"` : "";
    const yanked = file["yanked"];
    const pulled =
      yanked === undefined || yanked === false
        ? ""
        : ` data-yanked="${escaped(yanked === true ? "" : String(yanked))}"`;
    const [url, name] = [escaped(`${String(file["url"])}${hash}`), escaped(String(file["filename"]))];
    return `<a href="${url}"${needs}${pulled}>${name}</a><br>\n`;
  });
  return `<!DOCTYPE html>\n<html><head><meta name="pypi:repository-version" content="1.0"></head><body>\n${anchors.join("")}</body></html>\n`;
}

/** Cargo's index file: lines by `pubtime`. */
export function cargoBefore(text: string, until: number): Filtered<string> {
  const undated: string[] = [];
  const kept = text.split("\n").filter((line) => {
    if (line.trim() === "") return false;
    let item: unknown;
    try {
      item = JSON.parse(line);
    } catch {
      return true;
    }
    if (!isObject(item)) return true;
    const at = timeOf(item["pubtime"]);
    if (Number.isNaN(at)) undated.push(String(item["vers"]));
    return !(at > until);
  });
  return {
    document: kept.map((line) => `${line}\n`).join(""),
    undated,
    emptied: kept.length === 0 && text.trim() !== "",
  };
}

/** maven-metadata.xml with the versions that `keep` names; the last that is left is latest, and release if it is one. */
export function mavenWith(xml: string, keep: ReadonlySet<string>): string {
  const kept = mavenVersions(xml).filter((version) => keep.has(version));
  const release = kept.findLast((version) => !version.endsWith("-SNAPSHOT"));
  const list = kept.map((version) => `      <version>${version}</version>\n`).join("");
  return xml
    .replace(/(<versions>)[\s\S]*?(<\/versions>)/, (_, open: string, close: string) => `${open}\n${list}    ${close}`)
    .replace(/<latest>[^<]*<\/latest>/, () => (kept.length === 0 ? "" : `<latest>${kept.at(-1) ?? ""}</latest>`))
    .replace(/<release>[^<]*<\/release>/, () => (release === undefined ? "" : `<release>${release}</release>`));
}

/** Versions that an artifact's maven-metadata.xml lists; [] for a snapshot's or a plug-in group's. */
export function mavenVersions(xml: string): string[] {
  const list = /<versions>([\s\S]*?)<\/versions>/.exec(xml)?.[1] ?? "";
  return [...list.matchAll(/<version>\s*([\w.+~-]{1,200})\s*<\/version>/g)].map((match) => match[1] ?? "");
}

/** The highest release (Semantic Versioning 2.0.0, section 11), or the highest of all when there is no release. */
export function highestVersion(versions: readonly string[]): string | undefined {
  const releases = versions.filter((version) => !version.replace(/\+.*$/, "").includes("-"));
  return (releases.length > 0 ? releases : [...versions]).sort(compareVersions).at(-1);
}

export function compareVersions(a: string, b: string): number {
  const [first, second] = [partsOf(a), partsOf(b)];
  for (let at = 0; at < 3; at++) {
    const difference = (first.numbers[at] ?? 0) - (second.numbers[at] ?? 0);
    if (difference !== 0) return difference;
  }
  if (first.pre.length === 0 || second.pre.length === 0) return second.pre.length - first.pre.length;
  for (let at = 0; at < Math.max(first.pre.length, second.pre.length); at++) {
    const [x, y] = [first.pre[at], second.pre[at]];
    if (x === undefined || y === undefined) return x === undefined ? -1 : 1;
    if (x === y) continue;
    const [numericX, numericY] = [/^\d+$/.test(x), /^\d+$/.test(y)];
    if (numericX && numericY) return Number(x) - Number(y);
    if (numericX !== numericY) return numericX ? -1 : 1;
    return x < y ? -1 : 1;
  }
  return 0;
}

function partsOf(version: string): { numbers: number[]; pre: string[] } {
  const [, numbers = "", pre] = /^v?([\d.]*)(?:-([^+]*))?/.exec(version) ?? [];
  return { numbers: numbers.split(".").map(Number), pre: pre === undefined ? [] : pre.split(".") };
}

/** Milliseconds of an ISO 8601 date; NaN for anything else. */
export function timeOf(value: unknown): number {
  return typeof value === "string" && /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : Number.NaN;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
