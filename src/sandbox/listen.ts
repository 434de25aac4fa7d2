/** Listening inside a sandbox's own network, and who calls there. */
import { spawn } from "node:child_process";
import { readFile, readlink } from "node:fs/promises";
import { Server } from "node:net";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import { neutralised, showable } from "../bytes.ts";
import { namesIn } from "../tree.ts";

const OUR_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Runs in the other network: listens, hands the listening socket over the
 * channel that Node made, and ends. What remains there is the socket alone.
 */
const LISTENER = `
const server = require("node:net").createServer();
const fail = (error) => { process.send({ failed: error.message }, () => process.exit(1)); };
server.on("error", fail);
server.listen({ port: Number(process.argv[1]), host: "127.0.0.1", backlog: 511 }, () => {
  process.send({ listening: true }, server, (error) => (error ? fail(error) : process.disconnect()));
});
process.once("disconnect", () => process.exit(0));`;

/**
 * Enters the user namespace that owns a network namespace (ioctl_ns(2),
 * NS_GET_USERNS), then the network. bubblewrap puts its command into a second
 * user namespace inside the first; from there the network cannot be entered,
 * and nsenter knows no way to the outer one.
 */
const ENTER_OWNER = `
my ($pid, @command) = @ARGV;
open(my $net, "<", "/proc/$pid/ns/net") or die "network namespace: $!\\n";
my $user = ioctl($net, 0xb701, 0) or die "owner of the network namespace: $!\\n";
my %numbers = (x86_64 => 308, aarch64 => 268, riscv64 => 268, loongarch64 => 268, ppc64le => 350, s390x => 339, i686 => 346, armv7l => 375);
my (undef, undef, undef, undef, $machine) = POSIX::uname();
my $setns = $numbers{$machine} or die "unknown machine $machine\\n";
syscall($setns, int($user), 0x10000000) == 0 or die "user namespace: $!\\n";
syscall($setns, fileno($net), 0x40000000) == 0 or die "network namespace: $!\\n";
exec { $command[0] } @command or die "$command[0]: $!\\n";`;

/**
 * A server that listens at 127.0.0.1 and `port` (0: any) inside the network
 * namespace of process `pid`, and accepts in this process: nothing relays, and
 * nothing of ours lives inside. The loopback there must be up, which
 * bubblewrap's --unshare-net sees to. Root may enter any network; an ordinary
 * user those of user namespaces of their own. Throws `lacking` when the
 * network cannot be entered.
 */
export async function listenIn(pid: number, port: number, timeoutMilliseconds = 10_000): Promise<Server> {
  const listener = [process.execPath, "-e", LISTENER, String(port)];
  const ways =
    process.geteuid?.() === 0
      ? [["nsenter", "-t", String(pid), "-n", "--", ...listener]]
      : [
          ["perl", "-MPOSIX", "-e", ENTER_OWNER, String(pid), ...listener],
          ["nsenter", "-t", String(pid), "-U", "--preserve-credentials", "-n", "--", ...listener],
        ];
  const reasons: string[] = [];
  for (const [program = "", ...args] of ways) {
    try {
      return await handedOver(program, args, timeoutMilliseconds);
    } catch (error) {
      reasons.push(`${program}: ${messageOf(error)}`);
    }
  }
  throw new BitforbitError("lacking", `cannot listen in the network of process ${pid}: ${reasons.join("; ")}`, {
    hint: "nsenter (util-linux) is needed; as an ordinary user, perl too",
  });
}

async function handedOver(program: string, args: readonly string[], timeout: number): Promise<Server> {
  return await new Promise<Server>((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: "/",
      env: { PATH: OUR_PATH, LC_ALL: "C" },
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      timeout,
      killSignal: "SIGKILL",
    });
    let said = "";
    let server: Server | undefined;
    let failure: string | undefined;
    child.stderr?.on("data", (chunk: Buffer) => {
      if (said.length < 2000) said += chunk.toString();
    });
    child.on("message", (message: unknown, handle: unknown) => {
      if (handle instanceof Server) server = handle;
      else if (typeof message === "object" && message !== null && "failed" in message) failure = String(message.failed);
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (server !== undefined) return resolve(server);
      reject(new Error(failure ?? (said.trim() || `ended with ${signal ?? code}, without a server`)));
    });
  });
}

/** As long as a message about it should be. */
const MAX_COMMAND = 300;

/**
 * The command line of the process that connected from `port` in the network of
 * process `pid` (proc_pid_net(5): /proc/PID/net/tcp), told while the connection
 * is open. Undefined when it is gone, or is not ours to see. Bounded, with
 * terminal escapes made visible.
 */
export async function processBehind(pid: number, port: number): Promise<string | undefined> {
  const inode = (await inodeOf(pid, port, "tcp")) ?? (await inodeOf(pid, port, "tcp6"));
  if (inode === undefined) return undefined;
  const network = await readlink(`/proc/${pid}/ns/net`).catch(() => undefined);
  if (network === undefined) return undefined;
  for (const name of await namesIn("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    if ((await readlink(`/proc/${name}/ns/net`).catch(() => undefined)) !== network) continue;
    if (await holds(`/proc/${name}/fd`, `socket:[${inode}]`)) return await commandOf(name);
  }
  return undefined;
}

/** The socket whose local port is `port`: second column, address and port in hexadecimal; tenth, the inode. */
async function inodeOf(pid: number, port: number, table: "tcp" | "tcp6"): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/net/${table}`, "utf8").catch(() => "");
  const ending = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  for (const line of text.split("\n").slice(1)) {
    const columns = line.trim().split(/\s+/);
    if (columns[1]?.endsWith(ending) === true && columns[9] !== "0") return columns[9];
  }
  return undefined;
}

async function holds(folder: string, target: string): Promise<boolean> {
  let names: string[];
  try {
    names = await namesIn(folder);
  } catch (error) {
    // It ended, or it is not ours to look into.
    if (systemCode(error) === undefined) throw error;
    return false;
  }
  for (const name of names) {
    if ((await readlink(`${folder}/${name}`).catch(() => undefined)) === target) return true;
  }
  return false;
}

async function commandOf(pid: string): Promise<string | undefined> {
  const line = await readFile(`/proc/${pid}/cmdline`).catch(() => undefined);
  if (line === undefined || line.length === 0) return undefined;
  const text = neutralised(showable(new Uint8Array(line)).replaceAll("\0", " ").trimEnd()).replaceAll("\n", " ");
  return text.length > MAX_COMMAND ? `${text.slice(0, MAX_COMMAND)}…` : text;
}
