import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  futimesSync,
  lchownSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { showable } from "../bytes.ts";
import { type ByteSource, openSource } from "../bytesource.ts";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import { readDeb } from "../format/deb.ts";
import { type TarEntry, tarEntries } from "../format/tar.ts";
import type { EnvironmentPackage } from "../lock/environment.ts";
import { ROOT_EPOCH } from "./configure.ts";
import { decompressed } from "./decompress.ts";
import { type ControlFiles, controlFiles, type UnpackedPackage } from "./dpkg-database.ts";
import { checkedNames, type Maker, type RootEntry, type RootPath, type RootPlan } from "./root-plan.ts";

const MAX_CONTROL = 32 << 20;
const CHUNK = 1 << 20;

export interface UnpackTarget {
  /** The root's folder. */
  root: string;
  plan: RootPlan;
  /** Where decompressed tars lie meanwhile. */
  temporary: string;
  /** Control files of every package in the set, by dpkg's name for it. */
  controls: ReadonlyMap<string, ControlFiles>;
  /** Kernel uid and gid that everything is given to; undefined: ours. */
  owner: number | undefined;
  /** dpkg-divert(1): a path without leading slash, to where everyone but `by` puts it. */
  diversions: ReadonlyMap<string, { to: string; by: string }>;
}

/** A package's control files. Throws `input`, `refused`. */
export async function readControl(path: string, locked: EnvironmentPackage, temporary: string): Promise<ControlFiles> {
  const file = openSource(path, `${locked.name} ${locked.version}`);
  try {
    const tar = await decompressed(readDeb(file).control, temporary);
    try {
      const members = new Map<string, { mode: number; content: Uint8Array }>();
      let size = 0;
      for (const entry of tarEntries(tar.source)) {
        if (entry.type !== "0") continue;
        const [name, ...more] = checkedNames(entry.nameBytes, entry.name);
        size += entry.size;
        if (name === undefined || more.length > 0 || !/^[a-z0-9_-]{1,64}$/.test(name)) continue;
        if (size > MAX_CONTROL)
          throw new BitforbitError("limit", `${file.name}: control files over ${MAX_CONTROL} bytes`);
        members.set(name, { mode: entry.mode, content: tar.source.read(entry.dataOffset, entry.size).slice() });
      }
      return controlFiles(members, locked);
    } finally {
      tar.close();
    }
  } finally {
    file.close();
  }
}

/** Starts decompressing a package's data; `unpackData` then places it. */
export async function openData(
  path: string,
  name: string,
  temporary: string,
): Promise<{ source: ByteSource; close(): void }> {
  const file = openSource(path, name);
  try {
    const tar = await decompressed(readDeb(file).data, temporary);
    return {
      source: tar.source,
      close: () => {
        tar.close();
        file.close();
      },
    };
  } catch (error) {
    file.close();
    throw error;
  }
}

/**
 * Places every member of a data.tar in the root. Owners are ours, set-id bits
 * are left out. Throws `refused` for devices and names that lead out, `input`
 * where two packages have the same file, `outside` when the disk is full.
 */
export async function unpackData(
  source: ByteSource,
  control: ControlFiles,
  target: UnpackTarget,
): Promise<UnpackedPackage> {
  const work: Unpacking = {
    ...target,
    source,
    control,
    bytes: Buffer.from(`${target.root}/`),
    paths: [],
    sums: new Map(),
    make: (path, entry) => makeEntry(path, entry, target),
  };
  let members = 0;
  for (const entry of tarEntries(source)) {
    if (++members % 512 === 0) await new Promise((resolve) => setImmediate(resolve));
    placeMember(entry, work);
  }
  return { control, paths: work.paths, conffileSums: work.sums };
}

interface Unpacking extends UnpackTarget {
  source: ByteSource;
  control: ControlFiles;
  /** The root's folder as bytes, with a slash. */
  bytes: Buffer;
  paths: string[];
  sums: Map<string, string>;
  make: Maker;
}

export function makeEntry(path: RootPath, entry: RootEntry, { root, owner }: UnpackTarget): void {
  const full = Buffer.concat([Buffer.from(`${root}/`), Buffer.from(path, "latin1")]);
  attempt(path, () => {
    if (entry.kind === "link") symlinkSync(Buffer.from(entry.target, "latin1"), full);
    else {
      mkdirSync(full);
      chmodSync(full, 0o755);
    }
    if (owner !== undefined) lchownSync(full, owner, owner);
  });
}

function placeMember(entry: TarEntry, work: Unpacking): void {
  const named = checkedNames(entry.nameBytes, entry.name);
  const stated = named.join("/");
  work.paths.push(stated === "" ? "/." : `/${stated}`);
  const names = diverted(stated, work)?.split("/") ?? named;
  const path = work.plan.placeNames(names, stated, work.make);
  switch (entry.type) {
    case "0":
    case "7":
      return placeFile(path, stated, entry, work);
    case "1":
      return placeHardLink(path, entry, work);
    case "2":
      return placeLink(path, entry, work);
    case "5":
      return placeFolder(path, entry, work);
    default:
      throw new BitforbitError("refused", `${work.control.name} has ${showable(entry.nameBytes)}, a device or FIFO`, {
        hint: "no package of Debian's has one: do not use it",
      });
  }
}

function diverted(path: string, work: Unpacking): string | undefined {
  const diversion = work.diversions.get(path);
  return diversion === undefined || diversion.by === work.control.name ? undefined : diversion.to;
}

function pathOf(path: RootPath, work: Unpacking): Buffer {
  return Buffer.concat([work.bytes, Buffer.from(path, "latin1")]);
}

function placeFolder(path: RootPath, entry: TarEntry, work: Unpacking): void {
  const there = work.plan.get(path);
  if (there?.kind === "directory") {
    if (there.owner !== undefined || path === "") return;
    // Made for something inside it, before the package that says its mode.
  } else if (there?.kind === "link") {
    // As dpkg does: a link to a folder serves as the folder.
    if (work.plan.folderBehind(path) !== undefined) return;
    throw collision(path, there, work);
  } else if (there !== undefined) throw collision(path, there, work);
  else attempt(path, () => mkdirSync(pathOf(path, work)));
  if (work.owner !== undefined) lchownSync(pathOf(path, work), work.owner, work.owner);
  chmodSync(pathOf(path, work), entry.mode & 0o1777);
  work.plan.set(path, { kind: "directory", owner: work.control.infoName });
}

function placeFile(path: RootPath, stated: string, entry: TarEntry, work: Unpacking): void {
  if (entry.sparse) throw new BitforbitError("refused", `${work.control.name} has ${stated}, a sparse file`);
  if (!cleared(path, entry, work)) return;
  const sum = work.control.conffiles.has(stated) ? createHash("md5") : undefined;
  // Never follows a link, never opens what is there.
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
  const file = attempt(path, () => openSync(pathOf(path, work), flags, 0o600));
  try {
    for (let at = 0; at < entry.size; at += CHUNK) {
      const bytes = work.source.read(entry.dataOffset + at, Math.min(CHUNK, entry.size - at));
      sum?.update(bytes);
      for (let done = 0; done < bytes.length;) done += attempt(path, () => writeSync(file, bytes, done));
    }
    if (work.owner !== undefined) fchownSync(file, work.owner, work.owner);
    fchmodSync(file, entry.mode & 0o777);
    // Now and not only at the end: what Python compiles while scripts run notes its source's time.
    futimesSync(file, ROOT_EPOCH, ROOT_EPOCH);
  } finally {
    closeSync(file);
  }
  if (sum !== undefined) work.sums.set(stated, sum.digest("hex"));
  work.plan.set(path, { kind: "file", owner: work.control.infoName });
}

function placeHardLink(path: RootPath, entry: TarEntry, work: Unpacking): void {
  const names = checkedNames(entry.linkBytes, entry.name);
  const original = work.plan.placeNames(diverted(names.join("/"), work)?.split("/") ?? names, entry.name, work.make);
  if (work.plan.get(original)?.kind !== "file") {
    throw new BitforbitError(
      "refused",
      `${work.control.name}: ${entry.name} is a hard link to no file unpacked before`,
    );
  }
  if (!cleared(path, entry, work)) return;
  attempt(path, () => linkSync(pathOf(original, work), pathOf(path, work)));
  work.plan.set(path, { kind: "file", owner: work.control.infoName });
}

function placeLink(path: RootPath, entry: TarEntry, work: Unpacking): void {
  const target = Buffer.from(entry.linkBytes).toString("latin1");
  const there = work.plan.get(path);
  if (there?.kind === "link" && there.target === target) return;
  if (!cleared(path, entry, work)) return;
  attempt(path, () => symlinkSync(Buffer.from(target, "latin1"), pathOf(path, work)));
  if (work.owner !== undefined) lchownSync(pathOf(path, work), work.owner, work.owner);
  work.plan.set(path, { kind: "link", owner: work.control.infoName, target });
}

/**
 * Makes room at `path` for a file or link of this package; false when another
 * package's stays. The rules are dpkg's: Replaces, diversions, and files that
 * the same package has in equal form for several machines.
 */
function cleared(path: RootPath, entry: TarEntry, work: Unpacking): boolean {
  const there = work.plan.get(path);
  if (there === undefined) return true;
  if (there.kind === "directory") throw collision(path, there, work);
  const { control } = work;
  const other = there.owner === undefined ? undefined : work.controls.get(there.owner);
  if (other?.replaces.has(control.name) === true && !control.replaces.has(other.name)) return false;
  if (other !== undefined && other.name !== control.name && !control.replaces.has(other.name)) {
    if (work.diversions.get(path)?.by !== control.name) throw collision(path, there, work);
  } else if (other !== undefined && other.name === control.name && other.infoName !== control.infoName) {
    if (sameContent(path, entry, work)) return false;
    throw collision(path, there, work);
  }
  attempt(path, () => unlinkSync(pathOf(path, work)));
  work.plan.delete(path);
  return true;
}

function sameContent(path: RootPath, entry: TarEntry, work: Unpacking): boolean {
  if (work.plan.get(path)?.kind !== "file" || entry.type === "2") return false;
  if (entry.type === "1") return true;
  return Buffer.compare(readFileSync(pathOf(path, work)), work.source.read(entry.dataOffset, entry.size)) === 0;
}

function collision(path: RootPath, there: RootEntry, work: Unpacking): BitforbitError {
  const name = showable(Buffer.from(path, "latin1"));
  return new BitforbitError(
    "input",
    `${work.control.name} and ${there.owner ?? "another package's script"} both have /${name}`,
    { hint: "dpkg would refuse them together, too: take one of them out of the packages" },
  );
}

export function attempt<T>(path: RootPath, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const name = JSON.stringify(showable(Buffer.from(path, "latin1")));
    if (systemCode(error) === "ENOSPC" || systemCode(error) === "EDQUOT") {
      throw new BitforbitError("outside", `no space left to write ${name} of the environment`, {
        cause: error,
        hint: "free disk space, or set BITFORBIT_HOME to where there is more, then run again",
      });
    }
    throw new BitforbitError("input", `cannot write ${name} of the environment: ${messageOf(error)}`, { cause: error });
  }
}
