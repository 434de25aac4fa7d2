import {
  copyFileSync,
  existsSync,
  lstatSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { namesIn, walkTree } from "../tree.ts";
import type { World } from "../world.ts";
import type { HostAbilities } from "./host.ts";

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

/** The system's part of a root: the same for every run of this process. */
export interface SystemRoot {
  /** Folder that is shown as /etc. */
  etc: string;
  /** Arguments of bubblewrap that show it. */
  args: readonly string[];
}

/** Folders of /etc with more entries than this are mounted; smaller ones are copied: a mount costs more. */
const MOUNTED_ENTRIES = 64;

/** Configuration of registry clients for the whole machine; there only with the network. */
const CLIENT_FILES = ["pip.conf", "npmrc", "go.env"];

/** Where the files of /etc that differ between worlds really are. */
const WORLD_FOLDER = "/run/world";
const WORLD_FILES = [
  "passwd",
  "group",
  "hostname",
  "hosts",
  "resolv.conf",
  "ld.so.preload",
  "faketimerc",
  ...CLIENT_FILES,
];

/** Composes the system's part; the copies of /etc's files are written below `etc`. */
export async function systemRoot(etc: string): Promise<SystemRoot> {
  const args: string[] = [];
  for (const path of SYSTEM_FOLDERS.filter((path) => existsSync(path))) {
    if (lstatSync(path).isSymbolicLink()) args.push("--symlink", readlinkSync(path), path);
    else args.push("--ro-bind", path, path);
  }
  for (const path of ["/var", "/var/lib", "/run"]) args.push("--perms", "0755", "--dir", path);
  for (const path of VAR.filter((path) => existsSync(path))) args.push("--ro-bind", path, path);
  args.push("--symlink", "/tmp", "/var/tmp", "--ro-bind", etc, "/etc");

  const names = existsSync("/etc") ? await namesIn("/etc") : [];
  for (const wanted of ETC) {
    const matching = wanted.endsWith("*") ? names.filter((name) => name.startsWith(wanted.slice(0, -1))) : [wanted];
    for (const name of matching) {
      if (!existsSync(join("/etc", name)) || (await copied(join("/etc", name), join(etc, name)))) continue;
      rmSync(join(etc, name), { recursive: true, force: true });
      mkdirSync(join(etc, name), { recursive: true });
      args.push("--ro-bind", join("/etc", name), join("/etc", name));
    }
  }
  for (const path of HIDDEN.filter((path) => existsSync(path))) {
    if (args.includes("/etc/pki")) args.push("--tmpfs", path, "--remount-ro", path);
    else rmSync(path.replace("/etc", etc), { recursive: true, force: true });
  }
  writeFileSync(
    join(etc, "nsswitch.conf"),
    "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n",
  );
  for (const name of WORLD_FILES) symlinkSync(`..${WORLD_FOLDER}/${name}`, join(etc, name));
  return { etc, args };
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
  mkdirSync(dirname(to), { recursive: true });
  if (!statSync(from).isDirectory()) {
    writeFileSync(to, readFileSync(from));
    return true;
  }
  mkdirSync(to);
  let entries = 0;
  for await (const entry of walkTree(from)) {
    if (++entries > MOUNTED_ENTRIES) return false;
    if (entry.type === "directory") mkdirSync(join(to, entry.path));
    else if (entry.type !== "other") copyEntry(join(from, entry.path), join(to, entry.path));
  }
  return true;
}

/**
 * Writes what /etc and /sys say about the world below `folder`; gives
 * bubblewrap's arguments to show it.
 */
export function worldFiles(world: World, host: HostAbilities, network: "none" | "host", folder: string): string[] {
  const etc = join(folder, "world");
  mkdirSync(etc);
  const put = (path: string, content: string): void => writeFileSync(join(etc, path), content);
  const { user } = world;
  put(
    "passwd",
    `root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n` +
      (user.uid === 0 ? "" : `${user.name}:x:${user.uid}:${user.gid}:${user.fullName},,,:${user.home}:/bin/sh\n`) +
      `nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n`,
  );
  put("group", `root:x:0:\n${user.gid === 0 ? "" : `${user.group}:x:${user.gid}:\n`}nogroup:x:65534:\n`);
  put("hostname", `${world.hostname}\n`);
  const own = `127.0.0.1 localhost ${world.hostname}\n::1 localhost ip6-localhost\n`;
  put("hosts", network === "host" ? own + hostFile("/etc/hosts") : own);
  if (network === "host") {
    for (const name of ["resolv.conf", ...CLIENT_FILES.filter((one) => existsSync(join("/etc", one)))]) {
      put(name, hostFile(join("/etc", name)));
    }
  }
  const library = clockLibrary(world, host, network);
  if (library !== undefined) {
    // The library and the offset come by files and not by variables: so the
    // environment is the same in every world, and `env -i` does not lose the clock.
    if (library === host.clockShift) copyFileSync(library, join(etc, "clock.so"));
    put("ld.so.preload", `${library === host.clockShift ? `${WORLD_FOLDER}/clock.so` : library}\n`);
    put("faketimerc", `${world.clockOffset < 0 ? "-" : "+"}${Math.abs(world.clockOffset)}\n`);
  }
  return ["--ro-bind", etc, WORLD_FOLDER, ...processors(world, host, folder)];
}

/**
 * A library enters only where the clock is shifted: a canonical artifact must
 * not depend on it. Nor does it enter where the network is, whose certificates
 * are valid now.
 */
function clockLibrary(world: World, host: HostAbilities, network: "none" | "host"): string | undefined {
  if (world.clockOffset === 0 || network === "host") return undefined;
  return host.clockShift ?? host.faketime;
}

function hostFile(path: string): string {
  try {
    return readFileSync(realpathSync(path), "utf8");
  } catch {
    return "";
  }
}

/** CPUs that a run is given: the last ones, so that two worlds side by side meet as little as possible. */
export function cpusOf(world: World, host: HostAbilities): readonly number[] {
  return world.cpus === undefined ? host.cpus : host.cpus.slice(-Math.max(1, world.cpus));
}

/** /proc/cpuinfo and /sys/devices/system/cpu agree with the affinity mask: some tools ask there. */
function processors(world: World, host: HostAbilities, folder: string): string[] {
  const count = cpusOf(world, host).length;
  const range = count === 1 ? "0\n" : `0-${count - 1}\n`;
  const sys = join(folder, "sys", "devices", "system", "cpu");
  mkdirSync(sys, { recursive: true });
  for (const name of ["online", "possible", "present"]) writeFileSync(join(sys, name), range);
  const args = ["--ro-bind", join(folder, "sys"), "/sys"];
  if (count === host.cpus.length) return args;
  const blocks = hostFile("/proc/cpuinfo")
    .split(/\n\n+/)
    .filter((block) => block.startsWith("processor"));
  writeFileSync(join(folder, "cpuinfo"), `${blocks.slice(0, count).join("\n\n")}\n\n`);
  return [...args, "--ro-bind", join(folder, "cpuinfo"), "/proc/cpuinfo"];
}
