/** Facts for the bill of materials, out of the files that were fetched and the source. What cannot be read adds none. */
import { createHash } from "node:crypto";
import { constants, createReadStream } from "node:fs";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { bodyPath } from "../body-path.ts";
import { memorySource } from "../bytesource.ts";
import { concat } from "../bytes.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { gunzip } from "../format/gzip.ts";
import { tarEntries } from "../format/tar.ts";
import { parsePurl } from "../format/purl.ts";
import { readZip, readZipMember } from "../format/zip.ts";
import type { Material } from "../material.ts";
import {
  cargoFacts,
  FACT_FILES,
  fileNameOf,
  formOf,
  goFacts,
  npmFacts,
  type PackageFacts,
  pythonFacts,
  wheelName,
} from "../sbom/package-facts.ts";

const MOST_PACKAGE = 64 << 20;
const LIMITS = { maxBytes: 256 << 20, maxRatio: 250, freeBytes: 64 << 20 };

/** Facts of each dependency whose file is in the cache, by purl. */
export async function factsOf(materials: readonly Material[], cache: string): Promise<Map<string, PackageFacts>> {
  const found = new Map<string, PackageFacts>();
  for (const material of materials) {
    if (material.kind !== "dependency" || material.purl === undefined) continue;
    const { type } = parsePurl(material.purl);
    const path =
      material.checksums.sha256 === undefined ? undefined : bodyPath(cache, `sha256:${material.checksums.sha256}`);
    const file = path === undefined ? {} : await fileFacts(path, type);
    const go = type === "golang" ? goFacts(material.name) : {};
    const fileName = file.fileName ?? fileNameOf(type, material.name, material.version ?? "");
    found.set(material.purl, {
      ...go,
      ...file,
      ...(fileName === undefined ? {} : { fileName, form: formOf(fileName, false) }),
    });
  }
  return found;
}

/** SHA-512 of a file, as it is delivered. */
export async function sha512Of(path: string): Promise<string> {
  const hasher = createHash("sha512");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hasher.update(chunk as Buffer);
  return hasher.digest("hex");
}

async function fileFacts(path: string, type: string): Promise<PackageFacts> {
  try {
    const sha512 = await sha512Of(path);
    return { ...(await insideFacts(path, type)), sha512 };
  } catch (error) {
    if (systemCode(error) === "ENOENT") return {};
    throw error;
  }
}

async function insideFacts(path: string, type: string): Promise<PackageFacts> {
  const wanted = FACT_FILES[type];
  if (wanted === undefined) return {};
  try {
    return factsIn(type, await membersOf(path, wanted));
  } catch (error) {
    // A package that cannot be read says nothing; the client that installs it judges it.
    if (error instanceof BitforbitError) return {};
    throw error;
  }
}

function factsIn(type: string, members: ReadonlyMap<string, Uint8Array>): PackageFacts {
  let facts: PackageFacts = {};
  for (const [name, content] of members) {
    const folder = name.split("/")[0] ?? "";
    if (name.endsWith("/WHEEL")) {
      const fileName = wheelName(folder, content);
      if (fileName !== undefined) facts = { ...facts, fileName };
    } else if (type === "npm") facts = { ...facts, ...npmFacts(content) };
    else if (type === "cargo") facts = { ...facts, ...cargoFacts(content) };
    else
      facts = {
        ...facts,
        ...(name.endsWith("/PKG-INFO") ? { fileName: `${folder}.tar.gz` } : {}),
        ...pythonFacts(content),
      };
  }
  return facts;
}

async function membersOf(path: string, wanted: RegExp): Promise<Map<string, Uint8Array>> {
  const bytes = new Uint8Array(await readFile(path));
  if (bytes.length > MOST_PACKAGE) return new Map();
  const source = memorySource(bytes, path);
  const members = new Map<string, Uint8Array>();
  const chunks: Uint8Array[] = [];
  const take = (chunk: Uint8Array): void => void chunks.push(Uint8Array.from(chunk));
  if (bytes[0] === 0x50) {
    for (const entry of readZip(source).entries.filter(({ name }) => wanted.test(name))) {
      chunks.length = 0;
      await readZipMember(source, entry, take, LIMITS);
      members.set(entry.name, concat(chunks));
    }
    return members;
  }
  await gunzip(source, take, LIMITS);
  const tar = memorySource(concat(chunks), path);
  for (const entry of tarEntries(tar)) {
    if (entry.type === "0" && wanted.test(entry.name)) members.set(entry.name, tar.read(entry.dataOffset, entry.size));
  }
  return members;
}

/** What a source tree says of itself, by the first of its ecosystem's files that is there. */
export async function sourceFacts(folder: string): Promise<PackageFacts> {
  const readers: [string, (source: Uint8Array) => PackageFacts][] = [
    ["package.json", npmFacts],
    ["Cargo.toml", cargoFacts],
    ["PKG-INFO", pythonFacts],
    ["go.mod", (source) => goFacts(/^module\s+"?([^\s"]+)/m.exec(Buffer.from(source).toString())?.[1] ?? "")],
    [
      "debian/control",
      (source) =>
        pythonFacts(
          Buffer.from(
            Buffer.from(source)
              .toString()
              .replace(/^Homepage:/m, "Home-page:"),
          ),
        ),
    ],
  ];
  for (const [name, read] of readers) {
    const source = await regularFile(join(folder, name));
    if (source === undefined) continue;
    try {
      return read(source);
    } catch (error) {
      if (!(error instanceof BitforbitError)) throw error;
    }
  }
  return {};
}

/** Of a hostile tree: no link, no pipe, no device, nothing large. */
async function regularFile(path: string): Promise<Uint8Array | undefined> {
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    try {
      const stats = await file.stat();
      return stats.isFile() && stats.size < 1 << 20 ? new Uint8Array(await file.readFile()) : undefined;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (systemCode(error) === undefined) throw error;
    return undefined;
  }
}
