import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fstatSync,
  futimesSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  utimesSync,
  writeSync,
} from "node:fs";
import { type ByteSource, partOf } from "../bytesource.ts";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import { namesIn } from "../tree.ts";
import { openArchive } from "./archive.ts";
import { EXTRACT_LIMITS, type ExtractLimits, ExtractionPlan, type PlacedPath } from "./extraction-plan.ts";
import { INFLATION_LIMITS, type InflationLimits } from "./inflation.ts";
import { TAR_LIMITS, type TarEntry, tarEntries } from "./tar.ts";
import { readZip, readZipMember, ZIP_LIMITS, type ZipEntry } from "./zip.ts";

export interface ExtractOptions {
  /** 1: the archive has one top folder; leave it away. Throws `input` when it has several. */
  strip?: 0 | 1;
  limits?: Partial<ExtractLimits>;
}

export interface Extracted {
  /** Files and links. */
  files: number;
  /** Bytes of all files. */
  bytes: number;
  /** Whole seconds since the epoch of the newest file or link; 0 when there is none. */
  newest: number;
}

/**
 * Extracts a tar, tar.gz, tar.xz, tar.zst or zip, told by its content, into
 * the empty or absent folder `into`. Refuses what could write outside of it or
 * fool a later reader: `..`, absolute paths, links that lead out, writing
 * through links, devices, FIFOs, a path twice. Modes become 0755 and 0644,
 * times are the members'. What is decompressed on the way lies in `temporary`.
 * Throws `refused`, `limit` or `input`; `into` may then hold a part.
 */
export async function extractArchive(
  path: string,
  into: string,
  options: ExtractOptions & { temporary: string; inflation?: InflationLimits },
): Promise<Extracted> {
  const inflation = options.inflation ?? {
    ...INFLATION_LIMITS,
    // Headers and padding take room as well.
    maxBytes: 2 * (options.limits?.maxBytes ?? EXTRACT_LIMITS.maxBytes) + (64 << 20),
  };
  const archive = await openArchive(path, { temporary: options.temporary, limits: inflation });
  try {
    const extract = archive.kind === "tar" ? extractTar : extractZip;
    return await extract(archive.source, into, options);
  } finally {
    archive.close();
  }
}

/** Extracts a plain tar. See `extractArchive`. */
export async function extractTar(source: ByteSource, into: string, options: ExtractOptions = {}): Promise<Extracted> {
  const tree = await newTree(source, into, options);
  for (const entry of tarEntries(source, { ...TAR_LIMITS, maxMembers: tree.limits.maxMembers })) {
    await breathe(tree);
    placeTarMember(source, entry, tree);
  }
  return finish(tree);
}

/** Extracts a zip. See `extractArchive`. */
export async function extractZip(source: ByteSource, into: string, options: ExtractOptions = {}): Promise<Extracted> {
  const tree = await newTree(source, into, options);
  for (const entry of readZip(source, { ...ZIP_LIMITS, maxMembers: tree.limits.maxMembers }).entries) {
    await breathe(tree);
    await placeZipMember(source, entry, tree);
  }
  return finish(tree);
}

interface Tree {
  plan: ExtractionPlan;
  limits: ExtractLimits;
  root: Buffer;
  members: number;
  files: number;
  newest: number;
  /** Times of links and folders, which later writes would change. */
  linkTimes: Map<PlacedPath, number>;
  /** Undefined for folders that no member names: they take the newest time. */
  folderTimes: Map<PlacedPath, number | undefined>;
}

async function newTree(source: ByteSource, into: string, options: ExtractOptions): Promise<Tree> {
  mkdirSync(into, { recursive: true });
  if ((await namesIn(into)).length > 0) {
    throw new BitforbitError("conflict", `${into} is not empty`, { hint: "extract into a folder of its own" });
  }
  const limits = { ...EXTRACT_LIMITS, ...options.limits };
  return {
    plan: new ExtractionPlan(source.name, limits, options.strip ?? 0),
    limits,
    root: Buffer.from(`${into}/`),
    members: 0,
    files: 0,
    newest: 0,
    linkTimes: new Map(),
    folderTimes: new Map([["", undefined]]),
  };
}

/** Lets others have a turn: writing is synchronous, and an archive may be large. */
async function breathe(tree: Tree): Promise<void> {
  if (++tree.members % 256 === 0) await new Promise((resolve) => setImmediate(resolve));
}

function placeTarMember(source: ByteSource, entry: TarEntry, tree: Tree): void {
  const { plan } = tree;
  if (entry.sparse) throw plan.refused(entry.nameBytes, "a sparse file, which source archives do not need");
  const names = plan.names(entry.nameBytes);
  switch (entry.type) {
    case "0":
    case "7": {
      // v7 wrote folders as files whose name ends in a slash.
      if (entry.dialect === "v7" && entry.name.endsWith("/")) return placeFolder(names, entry.mtime, tree);
      plan.count(entry.size);
      const file = createFile(names, entry.nameBytes, tree);
      try {
        const content = partOf(source, entry.dataOffset, entry.size);
        for (let at = 0; at < content.size; at += 1 << 20) {
          writeAll(file, content.read(at, Math.min(1 << 20, content.size - at)));
        }
        finishFile(file, entry.mode, entry.mtime, tree);
      } finally {
        closeSync(file);
      }
      return;
    }
    case "1":
      placeHardLink(names, entry, tree);
      return;
    case "2":
      placeLink(names, entry.linkBytes, entry.nameBytes, entry.mtime, tree);
      return;
    case "5":
      placeFolder(names, entry.mtime, tree);
      return;
    case "3":
    case "4":
      throw plan.refused(entry.nameBytes, "a device");
    case "6":
      throw plan.refused(entry.nameBytes, "a FIFO");
    default:
      throw plan.refused(entry.nameBytes, `a member of type ${JSON.stringify(entry.type)}, which is not known`);
  }
}

const UNIX = 3;
const FILE_TYPE = 0o170000;

async function placeZipMember(source: ByteSource, entry: ZipEntry, tree: Tree): Promise<void> {
  const { plan } = tree;
  if (Buffer.compare(entry.nameBytes, entry.local.nameBytes) !== 0) {
    throw plan.refused(entry.nameBytes, "named otherwise in its local header: readers disagree about it");
  }
  if (entry.nameBytes.includes(0x5c)) throw plan.refused(entry.nameBytes, "named with a backslash");
  const names = plan.names(entry.nameBytes);
  const mode = entry.versionMadeBy >> 8 === UNIX ? entry.externalAttributes >>> 16 : 0;
  const mtime = zipTime(entry);
  if (entry.name.endsWith("/")) return placeFolder(names, mtime, tree);
  const type = mode & FILE_TYPE;
  if (type === 0o120000) {
    const target = await zipContent(source, entry, tree);
    return placeLink(names, target, entry.nameBytes, mtime, tree);
  }
  if (type !== 0 && type !== 0o100000) throw plan.refused(entry.nameBytes, "neither a file, a folder nor a link");
  plan.count(entry.size);
  const file = createFile(names, entry.nameBytes, tree);
  try {
    await readZipMember(source, entry, (chunk) => writeAll(file, chunk), memberLimits(tree));
    finishFile(file, mode, mtime, tree);
  } finally {
    closeSync(file);
  }
}

function memberLimits(tree: Tree): InflationLimits {
  return { ...INFLATION_LIMITS, maxBytes: tree.limits.maxBytes };
}

async function zipContent(source: ByteSource, entry: ZipEntry, tree: Tree): Promise<Uint8Array> {
  if (entry.size > 4096) throw tree.plan.refused(entry.nameBytes, "a link with a target over 4096 bytes");
  const parts: Uint8Array[] = [];
  await readZipMember(source, entry, (chunk) => void parts.push(chunk), memberLimits(tree));
  return new Uint8Array(Buffer.concat(parts));
}

/** The extended timestamp (extra 0x5455) where there is one, else the DOS time taken as UTC. */
function zipTime(entry: ZipEntry): number {
  const stamp = entry.extras.find(({ id, data }) => id === 0x5455 && data.length >= 5 && ((data[0] ?? 0) & 1) === 1);
  if (stamp === undefined) return entry.dosTime;
  return new DataView(stamp.data.buffer, stamp.data.byteOffset).getInt32(1, true);
}

/** The path as bytes: names need not be UTF-8. */
function pathOf(tree: Tree, path: PlacedPath): Buffer {
  return Buffer.concat([tree.root, Buffer.from(path, "latin1")]);
}

function makeFolders(names: readonly string[], tree: Tree): void {
  for (const folder of tree.plan.missingFolders(names)) {
    makeFolder(folder, tree);
  }
}

function makeFolder(folder: PlacedPath, tree: Tree): void {
  attempt(folder, () => mkdirSync(pathOf(tree, folder)));
  // Not left to the umask, which differs between machines.
  chmodSync(pathOf(tree, folder), 0o755);
  tree.folderTimes.set(folder, undefined);
}

function placeFolder(names: readonly string[], mtime: number, tree: Tree): void {
  const path = names.join("/");
  if (names.length > 0) {
    makeFolders(names, tree);
    if (tree.plan.place(path, "directory")) makeFolder(path, tree);
  }
  tree.folderTimes.set(path, mtime);
}

function createFile(names: readonly string[], nameBytes: Uint8Array, tree: Tree): number {
  const path = placeAt(names, nameBytes, tree);
  tree.plan.place(path, "file");
  // Never follows a link and never opens what is there, whatever else writes to this folder meanwhile.
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0);
  return attempt(path, () => openSync(pathOf(tree, path), flags, 0o644));
}

function placeAt(names: readonly string[], nameBytes: Uint8Array, tree: Tree): PlacedPath {
  if (names.length === 0) throw tree.plan.refused(nameBytes, "no folder, but stands for the target folder");
  makeFolders(names, tree);
  return names.join("/");
}

function finishFile(file: number, mode: number, mtime: number, tree: Tree): void {
  fchmodSync(file, (mode & 0o100) === 0 ? 0o644 : 0o755);
  const seconds = settable(mtime);
  futimesSync(file, seconds, seconds);
  countFile(mtime, tree);
}

function countFile(mtime: number, tree: Tree): void {
  tree.files++;
  tree.newest = Math.max(tree.newest, Math.floor(settable(mtime)));
}

/** File systems do not all hold times before 1970 or after 2446. */
function settable(seconds: number): number {
  return Math.min(Math.max(seconds, 0), 15_032_385_535);
}

function placeHardLink(names: readonly string[], entry: TarEntry, tree: Tree): void {
  const target = tree.plan.existingFile(entry.linkBytes);
  const path = placeAt(names, entry.nameBytes, tree);
  tree.plan.place(path, "file");
  // A copy: two names of one file would let a build change both by writing to one.
  attempt(path, () => copyFileSync(pathOf(tree, target), pathOf(tree, path), constants.COPYFILE_EXCL));
  const file = openSync(pathOf(tree, path), "r+");
  try {
    tree.plan.count(fstatSync(file).size);
    finishFile(file, entry.mode, entry.mtime, tree);
  } finally {
    closeSync(file);
  }
}

function placeLink(
  names: readonly string[],
  target: Uint8Array,
  nameBytes: Uint8Array,
  mtime: number,
  tree: Tree,
): void {
  const path = placeAt(names, nameBytes, tree);
  tree.plan.placeLink(path, target);
  tree.linkTimes.set(path, mtime);
  countFile(mtime, tree);
}

/** Links come last, when it is known where each leads; then the times of folders, innermost first. */
function finish(tree: Tree): Extracted {
  for (const [path, target] of tree.plan.links()) {
    attempt(path, () => symlinkSync(Buffer.from(target, "latin1"), pathOf(tree, path)));
    const seconds = settable(tree.linkTimes.get(path) ?? 0);
    lutimesSync(pathOf(tree, path), seconds, seconds);
  }
  for (const [path, mtime] of [...tree.folderTimes].reverse()) {
    const seconds = settable(mtime ?? tree.newest);
    utimesSync(pathOf(tree, path), seconds, seconds);
  }
  return { files: tree.files, bytes: tree.plan.bytes, newest: tree.newest };
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
}

function attempt<T>(path: PlacedPath, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const code = systemCode(error);
    const name = JSON.stringify(Buffer.from(path, "latin1").toString());
    if (code === "EEXIST") {
      throw new BitforbitError("refused", `${name} exists already: this file system takes two names for one`, {
        cause: error,
      });
    }
    if (code === "ENOSPC") throw new BitforbitError("outside", `no space left to write ${name}`, { cause: error });
    throw new BitforbitError("input", `cannot write ${name}: ${messageOf(error)}`, { cause: error });
  }
}
