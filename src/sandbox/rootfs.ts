import {
  existsSync,
  lstatSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { namesIn, walkTree } from "../tree.ts";
import { readableByAll } from "./scratch.ts";
import { WORLD_FILES, WORLD_FOLDER } from "./world-files.ts";

/**
 * The root that a build sees is put together from this list; whatever is not
 * named here (/home, /root, /var, /srv, keys, shadow files) is not there.
 */
const SYSTEM_FOLDERS = ["/usr", "/opt", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];

/** What of /etc tools need, and that holds no secret and names no machine. A final * stands for any ending. */
const ETC = [
  "alternatives",
  "apache-maven*",
  "debian_version",
  "default-java",
  "dpkg",
  "fonts",
  "ghc*",
  "host.conf",
  "java*",
  "ld.so.cache",
  "ld.so.conf",
  "ld.so.conf.d",
  "lsb-release",
  "magic",
  "magic.mime",
  "maven*",
  "mime.types",
  "networks",
  "os-release",
  "perl",
  "pki",
  "protocols",
  "python*",
  "rpc",
  "services",
  "sgml",
  "shells",
  "ssl/certs",
  "ssl/openssl.cnf",
  "texmf",
  "xml",
  "ca-certificates",
  "ca-certificates.conf",
];

/** Read-only parts of /var that packaging tools look into: the package database. */
const VAR = ["/var/lib/dpkg"];

/** Certificates may be shown from /etc/pki, private keys may not. */
const HIDDEN = ["/etc/pki/tls/private", "/etc/pki/consumer", "/etc/pki/entitlement"];

/** One entry of a root, by its path inside. */
export type Place =
  /** A file or folder of this machine, shown read-only. */
  | { to: string; from: string }
  /** A symbolic link. */
  | { to: string; link: string }
  /** A folder that is empty but for other places. */
  | { to: string };

/** The system's part of a root: the same for every run of this process. */
export interface SystemRoot {
  /** Folder that is shown as /etc. */
  etc: string;
  /** In an order in which each can be made. */
  places: readonly Place[];
  /** Folders inside to cover. */
  hidden: readonly string[];
}

/** Folders of /etc with more entries than this are mounted; smaller ones are copied: a mount costs more. */
const MOUNTED_ENTRIES = 64;

/** Composes the system's part; the copies of /etc's files are written below `etc`. */
export async function systemRoot(etc: string): Promise<SystemRoot> {
  readableByAll(() => mkdirSync(etc));
  const places: Place[] = [];
  for (const path of SYSTEM_FOLDERS.filter((path) => existsSync(path))) {
    if (lstatSync(path).isSymbolicLink()) places.push({ to: path, link: readlinkSync(path) });
    else places.push({ to: path, from: path });
  }
  for (const path of ["/var", "/var/lib", "/run"]) places.push({ to: path });
  for (const path of VAR.filter((path) => existsSync(path))) places.push({ to: path, from: path });
  places.push({ to: "/var/tmp", link: "/tmp" }, { to: "/etc", from: etc });

  const names = existsSync("/etc") ? await namesIn("/etc") : [];
  for (const wanted of ETC) {
    const matching = wanted.endsWith("*") ? names.filter((name) => name.startsWith(wanted.slice(0, -1))) : [wanted];
    for (const name of matching) {
      if (!existsSync(join("/etc", name)) || (await copied(join("/etc", name), join(etc, name)))) continue;
      rmSync(join(etc, name), { recursive: true, force: true });
      readableByAll(() => mkdirSync(join(etc, name), { recursive: true }));
      places.push({ to: join("/etc", name), from: join("/etc", name) });
    }
  }
  const hidden: string[] = [];
  for (const path of HIDDEN.filter((path) => existsSync(path))) {
    if (places.some(({ to }) => to === "/etc/pki")) hidden.push(path);
    else rmSync(path.replace("/etc", etc), { recursive: true, force: true });
  }
  const switching = "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n";
  readableByAll(() => writeFileSync(join(etc, "nsswitch.conf"), switching));
  for (const name of WORLD_FILES) symlinkSync(`..${WORLD_FOLDER}/${name}`, join(etc, name));
  return { etc, places, hidden };
}

/** What everyone may not read is left out: the build may not read it either. */
function copyEntry(from: string, to: string): void {
  if (lstatSync(from).isSymbolicLink()) symlinkSync(readlinkSync(from), to);
  else if ((statSync(from).mode & 0o004) !== 0) writeFileSync(to, readFileSync(from));
}

/** Makes a place in /etc at which a file or folder of this machine can be mounted. */
export function placeInEtc(system: SystemRoot, path: string): void {
  const place = join(system.etc, path.slice("/etc/".length));
  if (lstatSync(place, { throwIfNoEntry: false }) !== undefined) return;
  if (statSync(path).isDirectory()) mkdirSync(place, { recursive: true });
  else {
    mkdirSync(dirname(place), { recursive: true });
    writeFileSync(place, "");
  }
}

/** Copies a file, or a folder of few entries, for everyone to read; false when it has too many. */
async function copied(from: string, to: string): Promise<boolean> {
  readableByAll(() => mkdirSync(dirname(to), { recursive: true }));
  if (!statSync(from).isDirectory()) {
    readableByAll(() => writeFileSync(to, readFileSync(from)));
    return true;
  }
  readableByAll(() => mkdirSync(to));
  let entries = 0;
  for await (const entry of walkTree(from)) {
    if (++entries > MOUNTED_ENTRIES) return false;
    const copy = (): void => {
      if (entry.type === "directory") mkdirSync(join(to, entry.path));
      else if (entry.type !== "other") copyEntry(join(from, entry.path), join(to, entry.path));
    };
    readableByAll(copy);
  }
  return true;
}
