import {
  existsSync,
  lstatSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  writeFileSync,
  mkdirSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { namesIn } from "../tree.ts";
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
  /** Arguments of bubblewrap, besides /etc. */
  args: string[];
  /** Small files of /etc, by path below it: copied, since each mount costs more than a copy. */
  files: { path: string; content: Buffer }[];
  /** Folders of /etc, by path below it: mounted. */
  folders: string[];
}

export async function systemRoot(): Promise<SystemRoot> {
  const root: SystemRoot = { args: [], files: [], folders: [] };
  for (const path of SYSTEM_FOLDERS.filter((path) => existsSync(path))) {
    if (lstatSync(path).isSymbolicLink()) root.args.push("--symlink", readlinkSync(path), path);
    else root.args.push("--ro-bind", path, path);
  }
  for (const path of ["/var", "/var/lib", "/run"]) root.args.push("--perms", "0755", "--dir", path);
  for (const path of VAR.filter((path) => existsSync(path))) root.args.push("--ro-bind", path, path);
  root.args.push("--symlink", "/tmp", "/var/tmp");

  const names = existsSync("/etc") ? await namesIn("/etc") : [];
  for (const wanted of ETC) {
    const matching = wanted.endsWith("*") ? names.filter((name) => name.startsWith(wanted.slice(0, -1))) : [wanted];
    for (const path of matching) {
      const stats = statSync(join("/etc", path), { throwIfNoEntry: false });
      if (stats?.isDirectory() === true) root.folders.push(path);
      else if (stats?.isFile() === true) root.files.push({ path, content: readFileSync(join("/etc", path)) });
    }
  }
  return root;
}

/**
 * Writes /etc and /sys as the world has them below `folder`; gives
 * bubblewrap's arguments to show them.
 */
export function worldFiles(
  world: World,
  host: HostAbilities,
  network: "none" | "host",
  system: SystemRoot,
  folder: string,
): string[] {
  const etc = join(folder, "etc");
  for (const path of ["", "ssl", ...system.folders]) mkdirSync(join(etc, path), { recursive: true });
  for (const { path, content } of system.files) writeFileSync(join(etc, path), content);
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
  put("nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n");
  if (network === "host") put("resolv.conf", hostFile("/etc/resolv.conf"));
  if (host.faketime !== undefined) {
    // The library and the offset come by files and not by variables: so the
    // environment is the same in every world, and `env -i` does not lose the clock.
    put("ld.so.preload", `${host.faketime}\n`);
    put("faketimerc", `${world.clockOffset < 0 ? "-" : "+"}${Math.abs(world.clockOffset)}\n`);
  }
  return [
    "--ro-bind",
    etc,
    "/etc",
    ...system.folders.flatMap((path) => ["--ro-bind", join("/etc", path), join("/etc", path)]),
    ...HIDDEN.filter((path) => existsSync(path)).flatMap((path) => ["--tmpfs", path, "--remount-ro", path]),
    ...processors(world, host, folder),
  ];
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
