import { strict as assert } from "node:assert";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import test from "node:test";
import { listenIn, processBehind } from "./listen.ts";

const CLIENT = `use IO::Socket::INET; $| = 1; print "ready\\n"; my $port = <STDIN>; chomp $port;
my $s = IO::Socket::INET->new(PeerAddr => "127.0.0.1", PeerPort => $port) or die "unreachable: $!\\n";
print $s "who\\n"; print scalar <$s>; <STDIN>`;

/** Starts a client behind `wrapper`, and gives the process id of it once it runs in its own network. */
async function insider(wrapper: readonly string[]): Promise<{ child: ChildProcess; pid: number }> {
  const [program = "", ...args] = wrapper;
  const child = spawn(program, [...args, "perl", "-e", CLIENT], { stdio: ["pipe", "pipe", "inherit"] });
  assert.ok(child.stdout !== null);
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  assert.equal(line.toString(), "ready\n");
  let pid = child.pid ?? 0;
  // bubblewrap stays outside, and its first process inside starts the command.
  for (;;) {
    const [next] = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ");
    if (next === undefined || next === "") return { child, pid };
    pid = Number(next);
  }
}

const runs = (program: string, args: string[]): boolean => spawnSync(program, args, { timeout: 5000 }).status === 0;
const BWRAP = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-pid", "--unshare-net"];
const WAYS = [
  { name: "bubblewrap", wrapper: BWRAP },
  { name: "bubblewrap with a user namespace", wrapper: [...BWRAP, "--unshare-user", "--uid", "1234"] },
];

for (const { name, wrapper } of WAYS) {
  const [program = "", ...args] = wrapper;
  const skip = runs(program, [...args, "true"]) ? false : `${name} does not start on this machine`;
  test(`a server listens in the network of ${name}, and accepts here`, { skip, timeout: 20_000 }, async () => {
    const { child, pid } = await insider(wrapper);
    try {
      const server = await listenIn(pid, 0);
      const { port, address } = server.address() as AddressInfo;
      assert.equal(address, "127.0.0.1");
      const asked = once(server, "connection");
      child.stdin?.write(`${port}\n`);
      const [socket] = (await asked) as [import("node:net").Socket];
      const behind = await processBehind(pid, socket.remotePort ?? 0);
      assert.match(behind ?? "", /^perl -e use IO::Socket::INET/);
      assert.ok((behind ?? "").length <= 301);
      assert.equal(await processBehind(pid, 1), undefined);
      socket.end("you\n");
      assert.ok(child.stdout !== null);
      assert.equal(String((await once(child.stdout, "data"))[0]), "you\n");
      server.close();
      // The port is not one of this network's.
      assert.equal(
        runs("perl", ["-MIO::Socket::INET", "-e", `exit !IO::Socket::INET->new("127.0.0.1:${port}")`]),
        false,
      );
    } finally {
      child.kill("SIGKILL");
    }
  });
}

test("a network that cannot be entered is named", async () => {
  await assert.rejects(listenIn(2 ** 22 + 1, 0), { code: "lacking", message: /network of process 4194305: / });
});
