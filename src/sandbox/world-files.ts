import { copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { World } from "../world.ts";
import type { HostAbilities } from "./host.ts";
import type { Network } from "./sandbox.ts";

/** Configuration of registry clients for the whole machine; there only with the network. */
const CLIENT_FILES = ["pip.conf", "npmrc", "go.env"];

/** Where the files of /etc that differ between worlds really are. */
export const WORLD_FOLDER = "/run/world";
export const WORLD_FILES: readonly string[] = [
  "passwd",
  "group",
  "hostname",
  "hosts",
  "resolv.conf",
  "ld.so.preload",
  "faketimerc",
  ...CLIENT_FILES,
];

/** Where a build finds the library that shifts its clock. */
export const CLOCK_LIBRARY: string = `${WORLD_FOLDER}/clock.so`;

/**
 * Writes what /etc says about the world into the folder `etc`, and the library
 * that shifts the clock to `library`, which the build finds at CLOCK_LIBRARY.
 * `base`: what a locked root's own passwd and group say of its system users.
 */
export function worldFiles(
  world: World,
  host: HostAbilities,
  network: Network,
  etc: string,
  library: string,
  base: Accounts = HOST_ACCOUNTS,
): void {
  const put = (path: string, content: string): void => writeFileSync(join(etc, path), content);
  const { user } = world;
  put(
    "passwd",
    without(base.passwd, user.name, user.uid) +
      (user.uid === 0 ? "" : `${user.name}:x:${user.uid}:${user.gid}:${user.fullName},,,:${user.home}:/bin/sh\n`),
  );
  put("group", without(base.group, user.group, user.gid) + (user.gid === 0 ? "" : `${user.group}:x:${user.gid}:\n`));
  put("hostname", `${world.hostname}\n`);
  const own = `127.0.0.1 localhost ${world.hostname}\n::1 localhost ip6-localhost\n`;
  put("hosts", network === "host" ? own + hostFile("/etc/hosts") : own);
  if (network === "host") put("resolv.conf", hostFile("/etc/resolv.conf"));
  if (network !== "none") {
    for (const name of CLIENT_FILES.filter((one) => existsSync(join("/etc", one)))) put(name, hostFile(`/etc/${name}`));
  }
  const shifting = clockLibrary(world, host, network);
  if (shifting !== undefined) {
    // The library and the offset come by files and not by variables: so the
    // environment is the same in every world, and `env -i` does not lose the clock.
    if (shifting === host.clockShift) copyFileSync(shifting, library);
    put("ld.so.preload", `${shifting === host.clockShift ? CLOCK_LIBRARY : shifting}\n`);
    put("faketimerc", clockSettings(world));
  }
}

/**
 * What the library reads: the seconds to add; under a held clock also where it stands, and the time that files show
 * which the build makes: never later than the clock, so that nothing lies in the future.
 */
function clockSettings({ clockOffset, clockHeld, fileOffset = 0 }: World): string {
  const shift = `${clockOffset < 0 ? "-" : "+"}${Math.abs(clockOffset)}\n`;
  if (clockHeld === undefined) return shift;
  const files = clockHeld + Math.min(fileOffset, clockOffset);
  return `${shift}held ${clockHeld}\nfiles ${files}\n`;
}

/** passwd(5) and group(5). */
export interface Accounts {
  passwd: string;
  group: string;
}

const HOST_ACCOUNTS: Accounts = {
  passwd:
    "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
  group: "root:x:0:\nnogroup:x:65534:\n",
};

/** Lines of passwd(5) or group(5) but those that have this name or number: the world's own take their place. */
function without(lines: string, name: string, id: number): string {
  return lines
    .split("\n")
    .filter((line) => {
      const [known, , number] = line.split(":");
      return line !== "" && (id === 0 || (known !== name && number !== String(id)));
    })
    .map((line) => `${line}\n`)
    .join("");
}

/**
 * A library enters only where the clock is shifted or held: a canonical artifact
 * must not depend on it. Nor does it enter where the network is, whose
 * certificates are valid now. libfaketime can shift, but not hold.
 */
function clockLibrary(world: World, host: HostAbilities, network: Network): string | undefined {
  if (network === "host" || (world.clockOffset === 0 && world.clockHeld === undefined)) return undefined;
  return host.clockShift ?? (world.clockOffset === 0 ? undefined : host.faketime);
}

function hostFile(path: string): string {
  try {
    return readFileSync(realpathSync(path), "utf8");
  } catch {
    return "";
  }
}

/**
 * CPUs that a run is given: the first ones in the canonical world and the last ones in others, so that two worlds side by
 * side meet as little as possible.
 */
export function cpusOf({ name, cpus }: World, host: HostAbilities): readonly number[] {
  if (cpus === undefined) return host.cpus;
  return name === "canonical" ? host.cpus.slice(0, Math.max(1, cpus)) : host.cpus.slice(-Math.max(1, cpus));
}

/**
 * A folder to show as /sys, whose devices/system/cpu agrees with the affinity mask: some tools ask there. It is the same
 * in every run with so many CPUs, and written below `shared` once.
 */
export function systemDevices(world: World, host: HostAbilities, shared: string): string {
  const count = cpusOf(world, host).length;
  const range = count === 1 ? "0\n" : `0-${count - 1}\n`;
  const sys = join(shared, `sys-${count}`);
  if (!existsSync(sys)) {
    const cpu = join(sys, "devices", "system", "cpu");
    mkdirSync(cpu, { recursive: true });
    for (const name of ["online", "possible", "present"]) writeFileSync(join(cpu, name), range);
  }
  return sys;
}

/** Arguments of bubblewrap by which /proc/cpuinfo agrees with the affinity mask. */
export function processors(world: World, host: HostAbilities, folder: string): string[] {
  const count = cpusOf(world, host).length;
  if (count === host.cpus.length) return [];
  const blocks = hostFile("/proc/cpuinfo")
    .split(/\n\n+/)
    .filter((block) => block.startsWith("processor"));
  writeFileSync(join(folder, "cpuinfo"), `${blocks.slice(0, count).join("\n\n")}\n\n`);
  return ["--ro-bind", join(folder, "cpuinfo"), "/proc/cpuinfo"];
}

/** Arguments of bubblewrap by which /proc/meminfo shows the world's memory, three quarters of it free. proc_meminfo(5). */
export function memoryShown(world: World, folder: string): string[] {
  if (world.memoryShown === undefined) return [];
  const total = Math.floor(world.memoryShown / 1024);
  const free = Math.floor((total * 3) / 4);
  const cached = total - free;
  const lines = {
    MemTotal: total,
    MemFree: free,
    MemAvailable: free,
    Buffers: 0,
    Cached: cached,
    SwapCached: 0,
    Active: cached,
    Inactive: 0,
    SwapTotal: 0,
    SwapFree: 0,
    Dirty: 0,
    Writeback: 0,
    Shmem: 0,
    Slab: 0,
    CommitLimit: total,
    Committed_AS: cached,
  };
  const file = join(folder, "meminfo");
  const text = Object.entries(lines).map(([name, size]) => `${`${name}:`.padEnd(16)}${String(size).padStart(8)} kB\n`);
  writeFileSync(file, text.join(""), { mode: 0o644 });
  return ["--ro-bind", file, "/proc/meminfo"];
}
