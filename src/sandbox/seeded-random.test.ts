/** Seeded randomness, delays, and the clock of Go programs, in a sandbox. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import type { World } from "../world.ts";
import { type HostAbilities, probeHost } from "./host.ts";
import { startLacks, unansweredLacks } from "./notification-lacks.ts";
import { runSandboxed } from "./sandbox.ts";
import { plainWorld } from "./world-for-tests.ts";

const own: string = mkdtempSync(join(process.env["BITFORBIT_TEST_TMP"] ?? tmpdir(), "random-test-"));
after(() => rmSync(own, { recursive: true, force: true }));
const host = await probeHost();
const skip = host.ordering === "notifications" ? false : "this machine cannot answer system calls";

const unseeded: World = plainWorld("seeded", {
  buildPath: "/build/seeded",
  hostname: "random-host",
  user: { name: "random", uid: 1000, gid: 1000, group: "random", fullName: "Ran Dom", home: "/home/random" },
});
const world: World = { ...unseeded, random: 7 };

interface Case {
  script: string;
  files?: Readonly<Record<string, string>>;
  binaries?: Readonly<Record<string, string>>;
  on?: HostAbilities;
}

/** What the script prints in that world. */
async function printed(
  { script, files = {}, binaries = {}, on = host }: Case,
  change: Partial<World>,
  base: World = world,
): Promise<string[]> {
  const folder = mkdtempSync(join(own, "run-"));
  const source = join(folder, "src");
  const log = join(folder, "log");
  mkdirSync(source);
  for (const [name, text] of Object.entries(files)) writeFileSync(join(source, name), text);
  for (const [name, from] of Object.entries(binaries)) {
    writeFileSync(join(source, name), readFileSync(from), { mode: 0o755 });
  }
  const result = await runSandboxed(
    {
      world: { ...base, ...change },
      command: ["sh", "-ec", script],
      directory: change.buildPath ?? world.buildPath,
      mounts: [{ from: source, to: change.buildPath ?? world.buildPath, writable: true }],
      environment: {},
      network: "none",
      limits: { timeoutSeconds: 100, memoryBytes: 1 << 30, processes: 500, diskBytes: 1 << 28, logBytes: 1 << 20 },
      log,
    },
    on,
  );
  const said = readFileSync(log, "utf8");
  assert.equal(result.outcome, "exited", said);
  assert.equal(result.exitCode, 0, said);
  assert.deepEqual(result.lacks, on.lacks);
  return said.trimEnd().split("\n");
}

const PROGRAMS: Readonly<Record<string, string>> = {
  python3: `python3 -S -c 'print(hash("x"), [*{str(n) for n in range(9)}], __import__("os").urandom(40).hex())'`,
  perl: `perl -e '%h = map { $_ => 1 } 1..9; print join(",", keys %h), "\\n"'`,
  mktemp: "echo $(mktemp -u) $(mktemp -u)",
  od: "echo $(od -An -N16 -tx1 /dev/urandom) $(od -An -N16 -tx1 /dev/random)",
  dd: "dd if=/dev/urandom bs=1M count=3 2>/dev/null | sha256sum",
};

test(
  "what programs draw repeats with the seed, differs with another, and is the kernel's without one",
  { skip },
  async () => {
    const isolations = host.isolation === "dropped" ? (["dropped", "root"] as const) : [host.isolation];
    const script = Object.entries(PROGRAMS)
      .map(([name, line]) => `if command -v ${name} >/dev/null; then ${line}; fi`)
      .join("\n");
    for (const isolation of isolations) {
      const at = { script, on: { ...host, isolation } };
      const [one, two, moved, other, real] = [
        await printed(at, {}),
        await printed(at, {}),
        await printed(at, { buildPath: "/build/elsewhere", umask: 0o077 }),
        await printed(at, { random: 8 }),
        await printed(at, {}, unseeded),
      ];
      assert.ok((one?.length ?? 0) >= 3);
      assert.deepEqual(one, two, isolation);
      assert.deepEqual(one, moved);
      for (const [index, line] of (one ?? []).entries()) {
        assert.ok(line !== other?.[index] && line !== real?.[index], line);
      }
    }
  },
);

/** Prints AT_RANDOM, getrandom in one piece and in two, of a thread and a child, and a large one. */
const DRAWS = `#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <errno.h>
static void show(const unsigned char *at, int many) { for (int n = 0; n < many; n++) printf("%02x", at[n]); puts(""); fflush(stdout); }
static void *thread(void *to) { getrandom(to, 8, 0); return 0; }
int main(void) {
  unsigned char bytes[64];
  pthread_t other;
  show((void *)getauxval(AT_RANDOM), 16);
  getrandom(bytes, 24, 0), show(bytes, 24);
  getrandom(bytes, 3, GRND_NONBLOCK), show(bytes, 3);
  pthread_create(&other, 0, thread, bytes), pthread_join(other, 0), show(bytes, 8);
  if (fork() == 0) { getrandom(bytes, 8, 0), show(bytes, 8); _exit(0); }
  wait(0);
  unsigned char *large = calloc(1, 3000001);
  if (getrandom(large, 3000001, 0) != 3000001 || !memcmp(large + 2999900, large, 100)) return 1;
  if (getrandom((void *)8, 8, 0) != -1 || errno != EFAULT || getrandom(large, 8, 64) != -1 || errno != EINVAL) return 2;
  if (getrandom(large, 0, 0) != 0) return 3;
  int a = open("/dev/urandom", O_RDONLY | O_CLOEXEC), b = open("/dev/urandom", O_RDONLY);
  if (read(a, bytes, 16) != 16 || read(b, bytes + 16, 16) != 16 || !memcmp(bytes, bytes + 16, 16)) return 4;
  if (!(fcntl(a, F_GETFD) & FD_CLOEXEC) || (fcntl(b, F_GETFD) & FD_CLOEXEC) || write(a, "x", 1) != -1) return 5;
  int c = open("/dev/urandom", O_WRONLY);
  if (c < 0 || write(c, "x", 1) != 1) return 6;
  show(bytes, 32);
  return 0;
}
`;

test("a C program, static or not: its start, threads, children, devices, and nonsense", { skip }, async () => {
  const files = { "d.c": DRAWS };
  const script = "for how in -static -O1; do cc -w -pthread $how -o d d.c; ./d; ./d; done";
  const one = await printed({ script, files }, {});
  const two = await printed({ script, files }, {});
  assert.deepEqual(one, two);
  assert.equal(one.length, 24);
  assert.equal(new Set(one).size, 24, "each program has a stream of its own");
});

test("a parallel make draws the same in each of its jobs, whatever the order", { skip }, async () => {
  const jobs = Array.from({ length: 16 }, (_, index) => `j${index}`);
  const files = {
    Makefile: `all: ${jobs.join(" ")}\n\tcat $^\nj%:\n\tod -An -N8 -tx1 /dev/urandom >$@; mktemp -u >>$@\n`,
  };
  const script = "make -s -j5";
  const one = await printed({ script, files }, {});
  assert.deepEqual(one, await printed({ script, files }, { schedule: 3 }));
  assert.equal(new Set(one).size, 32);
});

const RACE = `for n in 1 2 3 4 5 6 7 8; do (/bin/echo $n) & done; wait`;

test("delays let what runs side by side meet in another order", { skip }, async () => {
  const orders = new Set<string>();
  for (let schedule = 1; schedule <= 6; schedule++) {
    const said = await printed({ script: RACE }, { schedule });
    assert.deepEqual(said.toSorted(), ["1", "2", "3", "4", "5", "6", "7", "8"]);
    orders.add(said.join(""));
  }
  assert.ok(orders.size >= 3, [...orders].join(" "));
});

const GO = `package main
import ("fmt"; "time")
func main() {
  from := time.Now()
  m := map[int]int{}
  for i := 0; i < 20; i++ { m[i] = i }
  for k := range m { fmt.Print(k, " ") }
  time.Sleep(200 * time.Millisecond)
  fmt.Println(from.Unix(), time.Since(from) < 5 * time.Second)
}
`;
const CGO = GO.replace("import (", '// #include <stdlib.h>\nimport "C"\nimport (').replace(
  "from := time.Now()",
  "from := time.Now(); C.abs(1)",
);
const alike = (a: string[], b: string[]): number => a.filter((order, index) => order === b[index]).length;

const go = ["/usr/local/go/bin/go", "/usr/bin/go"].find((path) => existsSync(path));

test(
  "Go, static or not: the shifted clock and a seeded order",
  { skip: skip === false && go === undefined ? "no Go" : skip },
  async () => {
    const binaries: Record<string, string> = {};
    for (const [name, code, cgo] of [
      ["plain", GO, "0"],
      ["linked", CGO, "1"],
    ] as const) {
      writeFileSync(join(own, `${name}.go`), code);
      const made = spawnSync(go ?? "go", ["build", "-o", join(own, name), join(own, `${name}.go`)], {
        env: { ...process.env, CGO_ENABLED: cgo },
        encoding: "utf8",
      });
      assert.equal(made.status, 0, made.stderr);
      binaries[name] = join(own, name);
    }
    const script = "for n in 1 2 3 4; do ./plain; ./linked; done";
    const shift = 400 * 86_400;
    const orders = async (random: number): Promise<string[]> => {
      const lines = await printed({ script, binaries }, { clockOffset: shift, cpus: 1, random });
      return lines.map((line) => {
        const [order = "", date, sane] = /^(.*) (\d+) (\w+)$/.exec(line)?.slice(1) ?? [];
        assert.ok(Math.abs(Number(date) - Date.now() / 1000 - shift) < 60, line);
        assert.equal(sane, "true");
        return order;
      });
    };
    const [one, two, other] = [await orders(7), await orders(7), await orders(8)];
    assert.equal(one.length, 8);
    // Not all of them: Go's own threads race for its stream. Of twenty keys hardly two orders meet by chance.
    assert.ok(alike(one, two) >= 4, `${one.join("\n")}\n\n${two.join("\n")}`);
    assert.equal(alike(one, other), 0);
  },
);

test("what could not be answered is a lack", () => {
  assert.deepEqual(startLacks("order answered=3 refused=0 why=0\n", world), []);
  assert.deepEqual(startLacks("order answered=3 refused=2 why=1\n", world)[0]?.causes, ["random"]);
  const clock = { ...unseeded, clockOffset: 5 };
  assert.match(
    startLacks("order answered=3 refused=2 why=1\n", clock)[0]?.what ?? "",
    /^clock: static programs under the real clock \(2 starts, EPERM\)/,
  );
  assert.deepEqual(
    unansweredLacks({ ...world, schedule: 1 }, true).flatMap(({ causes }) => causes),
    ["clock", "random", "race"],
  );
  assert.deepEqual(unansweredLacks(clock, false), []);
});
