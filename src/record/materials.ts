/** Which of a recording's bodies are artifacts: package URLs and checksums, by protocol and content, never by host name. */
import { join } from "node:path";
import { openSource } from "../bytesource.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import type { Checksums } from "../material.ts";
import { bodyPath } from "../body-path.ts";
import { debPurl, fileName, type FileKind, goModule, kindOfFile, tarballPurl } from "./contents.ts";
import { codingOf, decodedBody } from "./decode.ts";
import { headerOf } from "./headers.ts";
import {
  type CargoIndex,
  cargoClaims,
  cargoConfig,
  type Claim,
  type Claims,
  dscClaims,
  jsonObject,
  npmClaims,
  npmVersionClaim,
  pythonFilePurl,
  pythonHtmlClaims,
  pythonJsonClaims,
} from "./links.ts";
import { mavenBase, mavenFile, mavenFilePurl } from "./maven.ts";
import type { Exchange, Recording } from "./recording.ts";

const MAX_METADATA = 256 << 20;

/** An artifact whose bytes are not what the registry's own metadata says. */
export interface Contradiction {
  url: string;
  purl: string;
  algorithm: keyof Checksums;
  stated: string;
  actual: string;
}

/**
 * The recording with `purl` and `checksums` on artifacts, and on nothing else.
 * Reads bodies one at a time; what is broken is no artifact.
 */
export async function withMaterials(
  recording: Recording,
  cache: string,
): Promise<Recording & { contradictions: Contradiction[] }> {
  const answered = new Set(recording.exchanges.filter(({ method, status }) => method === "GET" && status === 200));
  const claims: Claims = new Map();
  const bases = new Set<string>();
  await readMetadata([...answered], cache, claims, bases);
  followRedirects(recording.exchanges, claims);
  const withFiles = new Set(
    [...answered].flatMap(({ url }) => {
      const file = inLayout(url, bases);
      return file === undefined || file.type === "pom" ? [] : [file.home];
    }),
  );
  const contradictions: Contradiction[] = [];
  const exchanges: Exchange[] = [];
  for (const exchange of recording.exchanges) {
    const { purl: _, checksums, ...plain } = exchange;
    const found = answered.has(exchange) ? await artifact(exchange, cache, claims, bases, withFiles) : undefined;
    if (found === undefined) {
      exchanges.push(plain);
      continue;
    }
    const sums = { ...checksums, ...found.own };
    contradictions.push(...contradictionsOf(exchange.url, found, sums));
    exchanges.push({ ...plain, purl: found.purl, checksums: sums });
  }
  return { version: 1, exchanges, contradictions };
}

async function readMetadata(
  exchanges: readonly Exchange[],
  cache: string,
  claims: Claims,
  bases: Set<string>,
): Promise<void> {
  const indexes: CargoIndex[] = [];
  // An index's own description first, then the rest.
  const ordered = [...exchanges].sort((a, b) => Number(isConfig(b)) - Number(isConfig(a)));
  for (const exchange of ordered) {
    if (!mayBeMetadata(exchange)) continue;
    const body = await attempt(async () => await decodedBody(exchange, cache, MAX_METADATA));
    if (body !== undefined) await attempt(async () => readOne(exchange, body.toString("utf8"), claims, bases, indexes));
  }
}

const isConfig = (exchange: Exchange): boolean => exchange.url.endsWith("/config.json");

function mayBeMetadata({ url, headers, size }: Exchange): boolean {
  if (size > MAX_METADATA) return false;
  const type = headerOf(headers, "content-type") ?? "";
  return /json|html|text|xml/.test(type) || type === "" || /\.(?:pom|dsc|json)$/.test(url) || !/\.\w{1,8}$/.test(url);
}

function readOne(
  { url, headers }: Exchange,
  text: string,
  claims: Claims,
  bases: Set<string>,
  indexes: CargoIndex[],
): void {
  if (url.endsWith(".pom")) {
    const base = mavenBase(text, url);
    if (base !== undefined) bases.add(base);
    return;
  }
  if (url.endsWith(".dsc")) return dscClaims(text, url, claims);
  const index = indexes.find(({ root }) => url.startsWith(root));
  if (index !== undefined && text.startsWith("{") && /"cksum"/.test(text.slice(0, 65_536)))
    return cargoClaims(text, index, claims);
  const document = jsonObject(text);
  if (document === undefined) {
    if (/html/.test(headerOf(headers, "content-type") ?? "")) pythonHtmlClaims(text, url, claims);
    return;
  }
  const config = cargoConfig(document, url);
  if (config !== undefined) indexes.push(config);
  else if ("versions" in document && "dist-tags" in document) npmClaims(document, claims);
  else if ("dist" in document) npmVersionClaim(document, claims);
  else if ("files" in document && "meta" in document) pythonJsonClaims(document, url, claims);
}

/** What a link promised is what it leads to: registries send to their stores that way. */
function followRedirects(exchanges: readonly Exchange[], claims: Claims): void {
  for (let round = 0; round < 5; round++) {
    for (const { status, url, headers } of exchanges) {
      const claim = claims.get(url);
      const target = URL.parse(headerOf(headers, "location") ?? "", url);
      if (status < 300 || status > 399 || claim === undefined || target === null) continue;
      target.hash = "";
      if (!claims.has(target.href)) claims.set(target.href, claim);
    }
  }
}

interface Found extends Claim {
  /** What the bytes say besides the digests that every body has. */
  own: Checksums;
}

async function artifact(
  exchange: Exchange,
  cache: string,
  claims: Claims,
  bases: ReadonlySet<string>,
  withFiles: ReadonlySet<string>,
): Promise<Found | undefined> {
  const path = bodyPath(cache, exchange.digest);
  const { url } = exchange;
  const maven = inLayout(url, bases);
  if (maven?.type === "pom") {
    // Beside a jar it describes that; alone, a parent or a list of versions, it is what is read.
    return withFiles.has(maven.home) ? undefined : { purl: mavenFilePurl(maven), checksums: {}, own: {} };
  }
  const kind = await attempt(async () => kindOf(path));
  const claim = claims.get(url);
  if (claim !== undefined && (kind !== undefined || url.endsWith(".dsc"))) return { ...claim, own: {} };
  if (kind === undefined || codingOf(exchange.headers) !== undefined) return undefined;
  if (maven !== undefined) return { purl: mavenFilePurl(maven), checksums: {}, own: {} };
  return await attempt(async () => await byContent(kind, path, url, join(cache, "bodies")));
}

async function byContent(kind: FileKind, path: string, url: string, temporary: string): Promise<Found | undefined> {
  if (kind === "ar") return named(await debPurl(path));
  if (kind === "zip") {
    const { pathname } = new URL(url);
    if (/\/@v\/v[^/]+\.zip$/.test(pathname)) {
      const module = await goModule(path);
      return module === undefined ? undefined : { purl: module.purl, checksums: {}, own: { goH1: module.goH1 } };
    }
    return fileName(url).endsWith(".whl") ? named(pythonFilePurl(fileName(url), undefined)) : undefined;
  }
  return kind === "bzip2" ? undefined : named(await tarballPurl(path, url, temporary));
}

function named(purl: string | undefined): Found | undefined {
  return purl === undefined ? undefined : { purl, checksums: {}, own: {} };
}

function kindOf(path: string): FileKind {
  const source = openSource(path);
  try {
    return kindOfFile(source);
  } finally {
    source.close();
  }
}

/** The longest base that fits: a repository may lie below another's. */
function inLayout(url: string, bases: ReadonlySet<string>): ReturnType<typeof mavenFile> {
  const fitting = [...bases].filter((base) => url.startsWith(base)).sort((a, b) => b.length - a.length);
  for (const base of fitting) {
    const file = mavenFile(url, base);
    if (file !== undefined) return file;
  }
  return undefined;
}

function contradictionsOf(url: string, { purl, checksums }: Found, actual: Checksums): Contradiction[] {
  return (["sha1", "sha256", "sha384", "sha512"] as const).flatMap((algorithm) => {
    const [stated, is] = [checksums[algorithm], actual[algorithm]];
    return stated === undefined || is === undefined || stated === is
      ? []
      : [{ url, purl, algorithm, stated, actual: is }];
  });
}

/** What cannot be read says nothing; what is wrong with this machine is thrown. */
async function attempt<T>(work: () => Promise<T> | T): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (systemCode(error) === "ENOSPC" || systemCode(error) === "EMFILE") throw error;
    if (error instanceof BitforbitError || error instanceof Error) return undefined;
    throw error;
  }
}
