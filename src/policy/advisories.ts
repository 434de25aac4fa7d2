/**
 * Vulnerabilities in OSV's JSON (ossf.github.io/osv-schema), handed in as
 * files. A component is affected when its version is listed or lies in a range.
 * Versions are compared by their numbers; one that cannot be compared with a
 * range's is taken for affected, since a gate fails closed.
 */
import { BitforbitError } from "../errors.ts";
import { parsePurl } from "../format/purl.ts";
import { isObject, type Json, type JsonObject, parseJson } from "../json.ts";

export interface Advisory {
  id: string;
  affected: readonly Affected[];
}

interface Affected {
  /** Package URL without version and qualifiers. */
  purl: string;
  versions: readonly string[];
  ranges: readonly { introduced: string; fixed?: string; last?: string }[];
}

const MAX_ADVISORIES = 200_000;
const TYPES: Readonly<Record<string, string>> = {
  npm: "npm",
  PyPI: "pypi",
  "crates.io": "cargo",
  Go: "golang",
  Maven: "maven",
  Debian: "deb/debian",
  RubyGems: "gem",
  NuGet: "nuget",
};

/** One advisory or a list of them. Throws `input`, naming `what`. */
export function parseAdvisories(source: Uint8Array, what: string): Advisory[] {
  const value = parseJson(source, what);
  const list = Array.isArray(value) ? value : [value];
  if (list.length > MAX_ADVISORIES) throw new BitforbitError("limit", `${what} has ${list.length} advisories`);
  return list.map((item, at) => parseAdvisory(item, `${what}[${at}]`)).filter(({ affected }) => affected.length > 0);
}

function parseAdvisory(value: Json, what: string): Advisory {
  const id = isObject(value) ? value["id"] : undefined;
  if (!isObject(value) || typeof id !== "string")
    throw new BitforbitError("input", `${what} is no OSV advisory: no id`);
  // A withdrawn one says nothing any more.
  if (typeof value["withdrawn"] === "string") return { id, affected: [] };
  return { id, affected: objects(value["affected"]).flatMap((item) => parseAffected(item)) };
}

function parseAffected(item: JsonObject): Affected[] {
  const about = item["package"];
  const purl = isObject(about) ? packagePurl(about) : undefined;
  if (purl === undefined) return [];
  const versions = Array.isArray(item["versions"]) ? item["versions"].filter((one) => typeof one === "string") : [];
  const ranges = objects(item["ranges"])
    .filter(({ type }) => type !== "GIT")
    .flatMap((range) => spans(objects(range["events"])));
  return [{ purl, versions, ranges }];
}

function packagePurl({ purl, ecosystem, name }: JsonObject): string | undefined {
  if (typeof purl === "string") return base(purl);
  const type = typeof ecosystem === "string" ? TYPES[ecosystem.split(":")[0] ?? ""] : undefined;
  if (type === undefined || typeof name !== "string") return undefined;
  return base(`pkg:${type}/${(type === "maven" ? name.replace(":", "/") : name).replace(/^@/, "%40")}`);
}

/** The events of a range as spans: from where it was introduced to where it was fixed. */
function spans(events: readonly JsonObject[]): Affected["ranges"] {
  const found: { introduced: string; fixed?: string; last?: string }[] = [];
  for (const { introduced, fixed, last_affected: last } of events) {
    const open = found.at(-1);
    if (typeof introduced === "string") found.push({ introduced });
    else if (open !== undefined && typeof fixed === "string") open.fixed = fixed;
    else if (open !== undefined && typeof last === "string") open.last = last;
  }
  return found;
}

/** The first advisory that says that this component (a package URL with its version) is affected. */
export function affectedBy(purl: string, advisories: readonly Advisory[]): Advisory | undefined {
  const name = base(purl);
  const version = versionOf(purl);
  return advisories.find(({ affected }) => affected.some((one) => one.purl === name && isAffected(version, one)));
}

function isAffected(version: string | undefined, { versions, ranges }: Affected): boolean {
  if (version === undefined) return true;
  if (versions.includes(version)) return true;
  return ranges.some(({ introduced, fixed, last }) => {
    if (introduced !== "0" && order(version, introduced) === -1) return false;
    if (fixed !== undefined) return (order(version, fixed) ?? -1) < 0;
    return last === undefined || (order(version, last) ?? 0) <= 0;
  });
}

/** −1, 0 or 1 by the numbers of dotted versions, a pre-release before its release; undefined where that does not tell. */
function order(one: string, two: string): number | undefined {
  const [a, b] = [parts(one), parts(two)];
  if (a === undefined || b === undefined) return one === two ? 0 : undefined;
  for (let at = 0; at < Math.max(a.numbers.length, b.numbers.length); at++) {
    const difference = (a.numbers[at] ?? 0) - (b.numbers[at] ?? 0);
    if (difference !== 0) return Math.sign(difference);
  }
  if (a.rest === b.rest) return 0;
  if (a.rest === "") return 1;
  return b.rest === "" ? -1 : undefined;
}

function parts(version: string): { numbers: number[]; rest: string } | undefined {
  const match = /^v?(\d{1,9}(?:\.\d{1,9}){0,5})(?:-([0-9A-Za-z.-]{1,100}))?(?:\+[0-9A-Za-z.-]*)?$/.exec(version);
  if (match === null) return undefined;
  return { numbers: (match[1] ?? "").split(".").map(Number), rest: match[2] ?? "" };
}

function base(purl: string): string {
  try {
    const { type, namespace, name } = parsePurl(purl);
    return `${type.toLowerCase()}/${namespace ?? ""}/${name}`;
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
    return purl.split(/[@?#]/)[0] ?? purl;
  }
}

function versionOf(purl: string): string | undefined {
  try {
    return parsePurl(purl).version;
  } catch (error) {
    if (!(error instanceof BitforbitError)) throw error;
    return undefined;
  }
}

function objects(value: Json | undefined): JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}
