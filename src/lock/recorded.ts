/**
 * What was fetched, set against what the project's own lockfiles say. Pure: the
 * recording and the lockfiles' pins go in, findings and materials come out. What
 * has to be read from the recorded bodies for it is in `recorded-bodies.ts`.
 */
import { hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { goHash1 } from "../format/go-sum.ts";
import { parsePurl, type Purl } from "../format/purl.ts";
import type { Checksums, Material } from "../material.ts";
import { sortedBy } from "../order.ts";
import { purl as purlText } from "../purl.ts";
import type { Exchange, Recording } from "../record/recording.ts";
import { agreement, bestAgreement, checksumText, type Pin, type Pins } from "./pins.ts";
import { askedUrl, fileName, goModOf, isDownload, redirects, shownUrl } from "./recorded-url.ts";

/** Something fetched whose content should never change. */
export interface Artifact {
  purl: string;
  /** Where it came from, for people: without credentials and query. */
  url: string;
  /** Bytes. */
  size: number;
  checksums: Checksums;
}

/** Bytes that are not those that the project pinned. */
export interface Contradiction extends Artifact {
  /** What says otherwise: a lockfile's path, or a checksum file's URL. */
  where: string;
  expected: string;
  found: string;
}

export interface Findings {
  /** Any of them refuses the lock. */
  contradictions: Contradiction[];
  /** Named by a lockfile that gives no checksum, or none that can be compared: from now on pinned by the lock alone. */
  unpinned: Artifact[];
  /** Pinned by SHA-1 only, of which two contents can be made. */
  weak: Artifact[];
  /** In no lockfile (what a build back end asks for): pinned by the lock alone. */
  unlisted: Artifact[];
  /** In a lockfile and not fetched: for other platforms, optional, or only for the graph. */
  unfetched: { purl: string; where: string }[];
  /** Lockfiles that were not compared, since their format is not known. */
  unread: string[];
  /** How many artifacts have the bytes that a lockfile pins. */
  confirmed: number;
}

/** What was read from recorded bodies. */
export interface Served {
  /** Checksums that were served beside an artifact (Maven's `.sha1`), by the artifact's URL. */
  beside: ReadonlyMap<string, { url: string; checksums: Checksums }>;
  /** Go's hash of module zips, by digest of the zip. */
  goH1: ReadonlyMap<string, string>;
}

export const NOTHING_READ: Served = { beside: new Map(), goH1: new Map() };

interface Found {
  artifact: Artifact;
  exchange: Exchange;
  pins: Pin[];
}

/** Findings, and the materials that were fetched: a purl once, in byte order, with SHA-256 and size. */
export function compareRecording(
  recording: Recording,
  pins: Pins,
  served: Served = NOTHING_READ,
): { findings: Findings; materials: Material[] } {
  const found = artifactsOf(recording, pins, served);
  const findings: Findings = {
    contradictions: [...goModContradictions(recording, pins), ...sameNameOtherBytes(found)],
    unpinned: [],
    weak: [],
    unlisted: [],
    unfetched: [],
    unread: pins.unread,
    confirmed: 0,
  };
  for (const item of found) judge(item, served, findings);
  const fetched = new Set(found.flatMap((item) => item.pins));
  for (const pin of pins.artifacts) {
    if (!fetched.has(pin) && pin.alternatives.length > 0) findings.unfetched.push({ purl: pin.purl, where: pin.where });
  }
  return { findings: sorted(findings), materials: materialsOf(found) };
}

/** Throws `refused` when anything fetched contradicts a lockfile, naming each with both checksums. */
export function requireNoContradiction({ contradictions }: Findings): void {
  const [first, ...rest] = contradictions.map(
    ({ purl, url, where, expected, found }) => `${purl} from ${url} is ${found}, and ${where} says ${expected}`,
  );
  if (first === undefined) return;
  const more = rest.length > 4 ? [...rest.slice(0, 4), `and ${rest.length - 4} more`] : rest;
  throw new BitforbitError(
    "refused",
    `what was fetched is not what the project pinned: ${[first, ...more].join("; ")}`,
    {
      hint: "find out whether the registry or mirror changed what it serves, or the lockfile is wrong; nothing was locked",
    },
  );
}

function judge({ artifact, exchange, pins }: Found, served: Served, findings: Findings): void {
  const beside = served.beside.get(exchange.url);
  if (beside !== undefined && agreement(beside.checksums, artifact.checksums) === "other") {
    findings.contradictions.push(contradiction(artifact, shownUrl(beside.url), [beside.checksums]));
  }
  const pinned = pins.filter((pin) => pin.alternatives.length > 0);
  const all = pinned.map((pin) => ({ pin, result: bestAgreement(pin.alternatives, artifact.checksums) }));
  for (const { pin, result } of all) {
    if (result === "other") findings.contradictions.push(contradiction(artifact, pin.where, pin.alternatives));
  }
  const results = new Set(all.map((item) => item.result));
  if (results.has("other")) return;
  if (results.has("same")) findings.confirmed++;
  else if (results.has("weak")) findings.weak.push(artifact);
  else if (pins.length > 0) findings.unpinned.push(artifact);
  else findings.unlisted.push(artifact);
}

function contradiction(artifact: Artifact, where: string, alternatives: readonly Checksums[]): Contradiction {
  const [first = {}] = alternatives;
  const expected = alternatives.map((pinned) => checksumText(pinned, artifact.checksums));
  const said = expected.length > 3 ? [...expected.slice(0, 3), `or ${expected.length - 3} others`] : expected;
  return { ...artifact, where, expected: said.join(" or "), found: checksumText(artifact.checksums, first) };
}

/** The artifacts of a recording, each once by purl and content, with the pins that name them. */
function artifactsOf(recording: Recording, pins: Pins, served: Served): Found[] {
  const index = pinIndex([...pins.artifacts, ...pins.trusted]);
  const sources = redirects(recording.exchanges);
  const found = new Map<string, Found>();
  for (const exchange of recording.exchanges) {
    if (exchange.method !== "GET" || exchange.status !== 200) continue;
    const checksums = { ...exchange.checksums, sha256: hexOf(exchange.digest) };
    const goH1 = checksums.goH1 ?? served.goH1.get(exchange.digest);
    const whole: Checksums = goH1 === undefined ? checksums : { ...checksums, goH1 };
    const own = exchange.purl ?? downloadPurl(askedUrl(exchange.url, sources));
    const named = own === undefined ? [] : (index.byName.get(bareName(own)) ?? []);
    // A mirror may have addresses of its own: what has the pinned bytes is what was pinned.
    const same =
      named.length > 0 ? named : (index.bySum.get(sumKeys(whole).find((key) => index.bySum.has(key)) ?? "") ?? []);
    const purl = same[0]?.purl ?? own;
    if (purl === undefined) continue;
    const artifact = { purl, url: shownUrl(exchange.url), size: exchange.size, checksums: whole };
    found.set(`${purl} ${exchange.digest}`, { artifact, exchange, pins: same });
  }
  return [...found.values()];
}

function downloadPurl(url: string): string | undefined {
  return isDownload(url) ? purlText("generic", undefined, fileName(url), undefined, { download_url: url }) : undefined;
}

/** Pins by the name of what they pin, and by each of its checksums. */
function pinIndex(pins: readonly Pin[]): { byName: Map<string, Pin[]>; bySum: Map<string, Pin[]> } {
  const byName = Map.groupBy(pins, (pin) => bareName(pin.purl));
  const bySum = new Map<string, Pin[]>();
  for (const pin of pins) {
    for (const key of pin.alternatives.flatMap(sumKeys)) {
      const known = bySum.get(key);
      if (known === undefined) bySum.set(key, [pin]);
      else known.push(pin);
    }
  }
  return { byName, bySum };
}

/** SHA-1 names nothing: two contents can have the same. */
function sumKeys({ sha256, sha384, sha512, goH1 }: Checksums): string[] {
  return Object.entries({ sha256, sha384, sha512, goH1 }).flatMap(([name, value]) =>
    value === undefined ? [] : `${name}:${value}`,
  );
}

/** Qualifiers that tell where a thing comes from or which of its files it is, not what it is. */
const PLACES = new Set(["file_name", "repository_url", "checksum"]);

function bareName(purl: string): string {
  const parsed = partsOf(purl);
  if (parsed === undefined || parsed.type === "generic" || parsed.qualifiers === undefined) return purl;
  const kept = Object.entries(parsed.qualifiers).filter(([key]) => !PLACES.has(key));
  return purlText(parsed.type, parsed.namespace, parsed.name, parsed.version, Object.fromEntries(kept));
}

function partsOf(purl: string): Purl | undefined {
  try {
    return parsePurl(purl);
  } catch {
    return undefined;
  }
}

/** Files of one version that may well differ: wheels and source archives of a Python project. */
const SEVERAL_FILES = /^pkg:pypi\//;

/** One name with two contents in one recording: whichever came last would be built. */
function sameNameOtherBytes(found: readonly Found[]): Contradiction[] {
  const byPurl = Map.groupBy(found, (item) => item.artifact.purl);
  return [...byPurl].flatMap(([purl, items]) => {
    const [first, other] = items;
    if (first === undefined || other === undefined || SEVERAL_FILES.test(purl)) return [];
    return contradiction(other.artifact, first.artifact.url, [{ sha256: hexOf(first.exchange.digest) }]);
  });
}

/** go.mod files decide about versions: go.sum has a hash of each. */
function goModContradictions(recording: Recording, { goMods }: Pins): Contradiction[] {
  return recording.exchanges.flatMap((exchange) => {
    if (goMods.size === 0 || exchange.method !== "GET" || exchange.status !== 200) return [];
    const module = goModOf(exchange.url).find((name) => goMods.has(name));
    const pin = goMods.get(module ?? "");
    if (module === undefined || pin === undefined) return [];
    const goH1 = goHash1([["go.mod", hexOf(exchange.digest)]]);
    if (goH1 === pin.h1) return [];
    const purl = `${module.replace(" ", "@")}/go.mod`;
    const artifact = { purl, url: shownUrl(exchange.url), size: exchange.size, checksums: { goH1 } };
    return contradiction(artifact, pin.where, [{ goH1: pin.h1 }]);
  });
}

/** As the lock lists them. Of several files of one version each has its `file_name`. */
function materialsOf(found: readonly Found[]): Material[] {
  const byPurl = Map.groupBy(found, (item) => item.artifact.purl);
  const files = Map.groupBy(byPurl.keys(), (purl) => purl.replace(/\?.*/, ""));
  const materials = [...byPurl].flatMap(([purl, items]) => {
    // Beside a jar a pom describes that; alone it is a parent or a BOM.
    if (/^pkg:maven\/.*\?type=pom$/.test(purl) && (files.get(purl.replace(/\?.*/, ""))?.length ?? 0) > 1) return [];
    return items.map(({ artifact, exchange, pins }): Material => {
      const parsed = partsOf(purl);
      const { sha256, goH1 } = artifact.checksums;
      const several = items.length > 1 && SEVERAL_FILES.test(purl) && parsed?.qualifiers?.["file_name"] === undefined;
      const [pin] = pins;
      const qualifiers = { ...parsed?.qualifiers, file_name: fileName(exchange.url) };
      const own =
        parsed === undefined ? purl : purlText(parsed.type, parsed.namespace, parsed.name, parsed.version, qualifiers);
      return {
        kind: "dependency",
        purl: several ? own : purl,
        name: pin?.name ?? nameOf(purl, parsed),
        ...(parsed?.version === undefined ? {} : { version: parsed.version }),
        checksums: { ...(sha256 === undefined ? {} : { sha256 }), ...(goH1 === undefined ? {} : { goH1 }) },
        size: artifact.size,
      };
    });
  });
  return sortedBy(materials, (material) => material.purl ?? "");
}

/** As lockfile readers name things. */
function nameOf(purl: string, parsed: Purl | undefined): string {
  if (parsed === undefined) return purl;
  const { type, namespace, name } = parsed;
  if (namespace === undefined || type === "deb") return name;
  return type === "maven" ? `${namespace}:${name}` : `${namespace}/${name}`;
}

function byPurl<T extends { purl: string }>(items: readonly T[]): T[] {
  return sortedBy(items, (item) => item.purl);
}

function sorted(findings: Findings): Findings {
  return {
    ...findings,
    contradictions: byPurl(findings.contradictions),
    unpinned: byPurl(findings.unpinned),
    weak: byPurl(findings.weak),
    unlisted: byPurl(findings.unlisted),
    unfetched: byPurl(findings.unfetched),
  };
}
