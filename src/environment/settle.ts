/**
 * Makes an assembled root the same wherever it was made: what scripts leave
 * behind of the time, the machine and chance goes, and what remains gets one
 * time, one owner and modes that a shared read-only folder can have.
 */
import {
  chmodSync,
  lchownSync,
  lutimesSync,
  mkdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  lstatSync,
} from "node:fs";
import { join } from "node:path";
import { normaliseJks, looksLikeJks } from "../format/jks.ts";
import { type TreeEntry, walkTree } from "../tree.ts";
import { ROOT_EPOCH } from "./configure.ts";

/** Folders that sandboxes mount on; empty in every root, whatever scripts put there. */
const MOUNT_POINTS = ["proc", "sys", "dev", "tmp", "run", "build", "deps", "home", "mnt", "root", "var/tmp"];

/** Empty files that sandboxes mount on. */
const MOUNT_FILES = ["etc/hostname", "etc/hosts", "etc/resolv.conf"];

/** Files that are gone afterwards: logs, locks, backups, caches that time or a directory's order shapes, keys and ids of one machine. */
const DROPPED: readonly RegExp[] = [
  /^var\/log\//,
  /^var\/cache\/(?:apt|man|fontconfig|ldconfig|private)\//,
  /^var\/cache\/debconf\/.*-old$/,
  /^var\/lib\/dpkg\/(?:[a-z]+-old|lock|lock-frontend|triggers\/Lock|available-old)$/,
  /^var\/lib\/(?:systemd\/(?:random-seed|catalog\/database)|dbus\/machine-id)$/,
  /^var\/lib\/apt\/lists\//,
  /^var\/lib\/(?:shells\.state\.tmp|ucf\/.*\.\d+)$/,
  /^etc\/(?:passwd|group|shadow|gshadow|subuid|subgid)-$/,
  /^etc\/(?:\.pwd\.lock|\.updated|machine-id|mtab)$/,
  /^var\/\.updated$/,
  /^etc\/ssh\/ssh_host_[^/]+$/,
  /^etc\/ssl\/(?:private\/ssl-cert-snakeoil\.key|certs\/ssl-cert-snakeoil\.pem)$/,
  /^usr\/sbin\/policy-rc\.d$/,
  /^etc\/faketimerc$/,
  /\.(?:dpkg-new|dpkg-tmp)$/,
];

const DAY = Math.floor(ROOT_EPOCH / 86_400);

/** Settles the root in place; `owner` is [0, 0] as root. Nothing else may write to it meanwhile. */
export async function settle(root: string, owner: readonly [uid: number, gid: number] | undefined): Promise<void> {
  for (const path of MOUNT_POINTS) {
    rmSync(join(root, path), { recursive: true, force: true });
    mkdirSync(join(root, path), { recursive: true });
  }
  const entries: TreeEntry[] = [];
  for await (const entry of walkTree(root)) {
    if (entry.type === "other" || (entry.type !== "directory" && DROPPED.some((one) => one.test(entry.path)))) {
      unlinkSync(join(root, entry.path));
    } else entries.push(entry);
  }
  for (const path of MOUNT_FILES) addMountFile(root, path, entries);
  for (const { path, type } of entries) if (type === "file") rewrite(join(root, path), path);
  // Innermost first, so that a folder's own time is set after everything in it.
  for (const { path, type, stats } of entries.reverse()) settleEntry(join(root, path), type, stats.mode, owner);
  settleEntry(root, "directory", 0o755, owner);
}

function addMountFile(root: string, path: string, entries: TreeEntry[]): void {
  const full = join(root, path);
  if (lstatSync(full, { throwIfNoEntry: false })?.isFile() !== true) {
    rmSync(full, { recursive: true, force: true });
    writeFileSync(full, "");
    const at = entries.findIndex((entry) => entry.path === path);
    if (at >= 0) entries.splice(at, 1);
    entries.push({ path, type: "file", stats: lstatSync(full) });
  }
}

function settleEntry(
  path: string,
  type: TreeEntry["type"],
  mode: number,
  owner: readonly [number, number] | undefined,
): void {
  if (owner !== undefined) lchownSync(path, ...owner);
  if (type === "link") {
    lutimesSync(path, ROOT_EPOCH, ROOT_EPOCH);
    return;
  }
  chmodSync(path, settledMode(mode, type === "directory"));
  utimesSync(path, ROOT_EPOCH, ROOT_EPOCH);
}

/** Everyone may read, only the owner may write, nobody becomes another by running it. */
function settledMode(mode: number, folder: boolean): number {
  const run = folder || (mode & 0o111) !== 0 ? 0o111 : 0;
  return (mode & 0o755) | 0o644 | run;
}

function rewrite(full: string, path: string): void {
  if (/^etc\/g?shadow$/.test(path)) {
    // The day on which a password was last changed: the day of the assembly.
    const text = readFileSync(full, "utf8");
    if (path === "etc/shadow") writeFileSync(full, text.replaceAll(/^([^:\n]*:[^:\n]*:)[0-9]+:/gm, `$1${DAY}:`));
  } else if (path.startsWith("etc/ssl/certs/java/")) {
    const bytes = new Uint8Array(readFileSync(full));
    if (looksLikeJks(bytes)) writeFileSync(full, normaliseJks(bytes, ROOT_EPOCH * 1000, path));
  }
}
