import { existsSync, lstatSync, readFileSync, readlinkSync, realpathSync, writeFileSync, mkdirSync } from "node:fs";
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

/** Arguments of bubblewrap that compose the system part of the root; the same for every run on this machine. */
export async function systemRoot(): Promise<string[]> {
  const args = ["/etc", "/etc/ssl", "/var", "/var/lib", "/run", "/sys"].flatMap((path) => [
    "--perms",
    "0755",
    "--dir",
    path,
  ]);
  for (const path of SYSTEM_FOLDERS.filter((path) => existsSync(path))) {
    if (lstatSync(path).isSymbolicLink()) args.push("--symlink", readlinkSync(path), path);
    else args.push("--ro-bind", path, path);
  }
  const names = existsSync("/etc") ? await namesIn("/etc") : [];
  for (const wanted of ETC) {
    const matching = wanted.endsWith("*") ? names.filter((name) => name.startsWith(wanted.slice(0, -1))) : [wanted];
    for (const name of matching) {
      const path = join("/etc", name);
      if (existsSync(path)) args.push("--ro-bind", path, path);
    }
  }
  for (const path of HIDDEN.filter((path) => existsSync(path))) args.push("--tmpfs", path, "--remount-ro", path);
  for (const path of VAR.filter((path) => existsSync(path))) args.push("--ro-bind", path, path);
  args.push("--symlink", "/tmp", "/var/tmp");
  return args;
}

/** Writes the files of /etc that describe the world into `folder`; gives bubblewrap's arguments to show them. */
export function worldFiles(world: World, host: HostAbilities, network: "none" | "host", folder: string): string[] {
  const args: string[] = [];
  mkdirSync(folder, { recursive: true, mode: 0o755 });
  const show = (path: string, content: string): void => {
    const file = join(folder, path.slice(1).replaceAll("/", "%"));
    writeFileSync(file, content, { mode: 0o644 });
    args.push("--ro-bind", file, path);
  };
  const { user } = world;
  show(
    "/etc/passwd",
    `root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n` +
      (user.uid === 0 ? "" : `${user.name}:x:${user.uid}:${user.gid}:${user.fullName},,,:${user.home}:/bin/sh\n`) +
      `nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n`,
  );
  show("/etc/group", `root:x:0:\n${user.gid === 0 ? "" : `${user.group}:x:${user.gid}:\n`}nogroup:x:65534:\n`);
  show("/etc/hostname", `${world.hostname}\n`);
  const own = `127.0.0.1 localhost ${world.hostname}\n::1 localhost ip6-localhost\n`;
  show("/etc/hosts", network === "host" ? own + hostFile("/etc/hosts") : own);
  show("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n");
  if (network === "host") show("/etc/resolv.conf", hostFile("/etc/resolv.conf"));
  if (host.faketime !== undefined) {
    // The library and the offset come by files and not by variables: so the
    // environment is the same in every world, and `env -i` does not lose the clock.
    show("/etc/ld.so.preload", `${host.faketime}\n`);
    show("/etc/faketimerc", `${world.clockOffset < 0 ? "-" : "+"}${Math.abs(world.clockOffset)}\n`);
  }
  processors(world, host, show);
  return args;
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
function processors(world: World, host: HostAbilities, show: (path: string, content: string) => void): void {
  const count = cpusOf(world, host).length;
  const range = count === 1 ? "0\n" : `0-${count - 1}\n`;
  for (const name of ["online", "possible", "present"]) show(`/sys/devices/system/cpu/${name}`, range);
  const info = hostFile("/proc/cpuinfo");
  const blocks = info.split(/\n\n+/).filter((block) => block.startsWith("processor"));
  if (blocks.length > count) show("/proc/cpuinfo", `${blocks.slice(0, count).join("\n\n")}\n\n`);
}
