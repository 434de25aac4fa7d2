import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { release, tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { probeHost } from "../sandbox/host.ts";
import { runSandboxed } from "../sandbox/sandbox.ts";
import { systemClock } from "../clock.ts";
import type { CauseName, World } from "../world.ts";
import { releaseIn } from "./kernel.ts";
import {
  adversarialWorld,
  canonicalWorld,
  experimentWorld,
  experimentWorlds,
  held,
  mixed,
  variations,
  variedBetween,
  worldPair,
} from "./worlds.ts";

const own: string = mkdtempSync(join(tmpdir(), "worlds-test-"));
after(() => rmSync(own, { recursive: true, force: true }));

/** What a script sees of each variation. */
const SEEN: Readonly<Partial<Record<CauseName, string>>> = {
  clock: "date -u +%Y-%m; perl -e 'printf \"%.0f\\n\", time / 86400'",
  mtime: "",
  timezone: "date +%z; echo $TZ",
  locale: "echo $LC_ALL; printf 'z\\ns\\nt\\n' | sort; locale decimal_point",
  path: "pwd",
  "readdir-order": 'ls -U; perl -e \'opendir(D, "."); print join(" ", readdir(D)), "\\n"\'',
  user: "LC_ALL=C id; echo $HOME $USER $LOGNAME; getent passwd $(id -u)",
  umask: "umask; : > made; stat -c %a made; rm made",
  hostname: "hostname; uname -n; perl -MSys::Hostname -e 'print hostname, \"\\n\"'",
  "hash-order": `echo $PYTHONHASHSEED $PERL_HASH_SEED; perl -e '%h = map { $_ => 1 } "a".."z"; print keys %h, "\\n"'`,
  random: "cat /proc/sys/kernel/random/uuid; od -An -tx1 -N16 /dev/urandom",
  pid: "echo $$; perl -e 'print $$ - getppid, \" $$\\n\"'",
  uninitialised: "echo $MALLOC_PERTURB_",
  kernel: "uname -r; perl -MPOSIX -e 'print +(POSIX::uname())[2], \"\\n\"'",
  "cpu-model": "echo $GLIBC_TUNABLES; /lib64/ld-linux-x86-64.so.2 --list-diagnostics | grep 'cpu_features.*active'",
  memory: "head -1 /proc/meminfo",
  environment: "echo $BLORVIK_ZANTHUM $EDITOR $SHELL $PATH; $SHELL -c 'echo runs'",
  terminal: "echo $TERM $COLUMNS; perl -e 'print -t STDIN ? 1 : 0, -t STDOUT ? 1 : 0, \"\\n\"'",
  "cpu-count": "nproc; getconf _NPROCESSORS_ONLN; grep -c ^processor /proc/cpuinfo",
  aslr: "grep -h stack /proc/self/maps",
};

async function seen(world: World, label: string): Promise<Record<string, string>> {
  const folder = join(own, label);
  mkdirSync(join(folder, "src"), { recursive: true });
  for (const name of ["alpha", "beta", "gamma", "delta"]) writeFileSync(join(folder, "src", name), name);
  const script = Object.entries(SEEN)
    .map(([name, command]) => `echo "== ${name}"; ${command === "" ? ":" : command}`)
    .join("\n");
  const spec = {
    world,
    command: ["sh", "-c", script],
    directory: world.buildPath,
    mounts: [{ from: join(folder, "src"), to: world.buildPath, writable: true }],
    environment: {},
    network: "none" as const,
    limits: { timeoutSeconds: 30, memoryBytes: 1 << 29, processes: 200, diskBytes: 1 << 26, logBytes: 1 << 20 },
    log: join(folder, "log"),
  };
  const result = await runSandboxed(spec, await probeHost());
  const log = readFileSync(spec.log, "latin1");
  assert.equal(result.outcome, "exited", log);
  const parts = log.split(/^== (.*)\n/m).slice(1);
  return Object.fromEntries(
    Array.from({ length: parts.length / 2 }, (_, index) => [parts[2 * index] ?? "", parts[2 * index + 1] ?? ""]),
  );
}

/** What no world fixes unless it is held, so that two equal builds differ in it. */
const DRAWN: readonly CauseName[] = ["random", "hash-order"];

const without = (seen: Record<string, string>, names: readonly string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(seen).filter(([name]) => !names.includes(name)));

test("a script sees the two worlds differ in every named way, and a canonical world stay the same", async (t) => {
  const host = await probeHost();
  const started = systemClock.elapsed();
  const [a, again, b] = await Promise.all([
    seen(worldPair("thing")[0], "a"),
    seen(canonicalWorld("thing"), "again"),
    seen(adversarialWorld("thing", Math.max(1, host.cpus.length - 1)), "b"),
  ]);
  assert.ok(systemClock.elapsed() - started > 2000, "one of the worlds starts later");
  assert.deepEqual(without(again, DRAWN), without(a, DRAWN));
  const lacking = new Set(host.lacks.flatMap(({ causes }) => causes));
  for (const { name, optional } of variations) {
    if (name === "mtime" || optional === true) continue;
    if (lacking.has(name)) t.diagnostic(`${name} is not varied on this machine`);
    else assert.notEqual(b[name], a[name], name);
  }
  if (!lacking.has("locale")) assert.match(b["locale"] ?? "", /s\nz\nt\n,/);
  if (!lacking.has("timezone")) assert.match(b["timezone"] ?? "", /^-0930\n/);
  if (!lacking.has("pid")) assert.match(b["pid"] ?? "", /^23417\n/);
  assert.match(b["memory"] ?? "", /^MemTotal: +11718391 kB\n/);
  assert.match(b["environment"] ?? "", /bin:\/sprondle\/blimport-tools\/bin\nruns\n$/);
  assert.equal(b["kernel"]?.split("\n")[0], releaseIn({ ...canonicalWorld("thing"), kernel: "2.6" }, release()));
});

/** What clamps to SOURCE_DATE_EPOCH, or refuses a source of the future. */
const CLAMPING = `: > made; touch -d @$EPOCH source
for file in made source; do time=$(stat -c %Y $file); [ $time -le $EPOCH ] || time=$EPOCH; echo $time; done
[ $(date +%s) -ge $EPOCH ] && echo built later
[ -z "$(find . -newermt @$(($(date +%s) + 1)))" ] && echo nothing from the future`;

test("what clamps to the source's time does the same in experiments as in the real worlds", async () => {
  const epoch = Math.floor(Date.now() / 1000) - 3600;
  const [still, other] = experimentWorlds("thing", epoch);
  const said = async (world: World, label: string): Promise<string> => {
    const folder = join(own, label);
    mkdirSync(folder);
    const spec = {
      world,
      command: ["sh", "-c", CLAMPING],
      directory: world.buildPath,
      mounts: [{ from: folder, to: world.buildPath, writable: true }],
      environment: { EPOCH: String(epoch) },
      network: "none" as const,
      limits: { timeoutSeconds: 30, memoryBytes: 1 << 29, processes: 200, diskBytes: 1 << 26, logBytes: 1 << 20 },
      log: join(own, `${label}.log`),
    };
    assert.equal((await runSandboxed(spec, await probeHost())).outcome, "exited");
    return readFileSync(spec.log, "utf8");
  };
  const expected = `${epoch}\n${epoch}\nbuilt later\nnothing from the future\n`;
  const worlds = { real: canonicalWorld("thing"), still, moved: mixed(still, other, ["clock", "mtime"], "moved") };
  for (const [name, world] of Object.entries(worlds)) assert.equal(await said(world, `clamp-${name}`), expected, name);
});

test("a world that takes one way from another differs from the held one in that way and no other", async () => {
  const host = await probeHost();
  const still = held(canonicalWorld("thing"));
  const other = experimentWorld(adversarialWorld("thing", Math.max(1, host.cpus.length - 1)));
  const expected = without(await seen(still, "held"), ["random"]);
  const lacking = new Set(host.lacks.flatMap(({ causes }) => causes));
  for (const { name, optional } of variations) {
    if (name === "mtime" || name === "random" || optional === true || lacking.has(name)) continue;
    const world = mixed(still, other, [name], `held-${name}`);
    assert.deepEqual(variedBetween(still, world), [name]);
    const varied = await seen(world, world.name);
    assert.notEqual(varied[name], expected[name], name);
    const besides = [name, "random"];
    assert.deepEqual(without(varied, besides), without(expected, besides), name);
  }
});

test("without ordered directories, a shifted clock, locales and control groups the sandbox still runs", async () => {
  const full = await probeHost();
  const bare = {
    ...full,
    ordering: undefined,
    faketime: undefined,
    clockShift: undefined,
    locales: undefined,
    aslrOff: false,
    cgroups: { memory: undefined, pids: undefined },
  };
  const world = { ...adversarialWorld("thing"), startDelay: 0 };
  const folder = join(own, "bare");
  mkdirSync(folder);
  const result = await runSandboxed(
    {
      world,
      command: ["sh", "-c", "pwd; hostname; echo x > new"],
      directory: world.buildPath,
      mounts: [{ from: folder, to: world.buildPath, writable: true }],
      environment: {},
      network: "none",
      limits: { timeoutSeconds: 30, memoryBytes: 1 << 29, processes: 200, diskBytes: 1 << 26, logBytes: 1 << 20 },
      log: join(own, "bare.log"),
    },
    bare,
  );
  assert.equal(result.exitCode, 0, readFileSync(join(own, "bare.log"), "utf8"));
  assert.equal(readFileSync(join(own, "bare.log"), "utf8"), `${world.buildPath}\n${world.hostname}\n`);
});

test("without our own program the kernel's release is varied as well, and a lack says what is not", async () => {
  const full = await probeHost();
  const world = { ...adversarialWorld("thing"), startDelay: 0, load: "busy" as const };
  const inWorld = async (name: string, host: typeof full) => {
    const folder = join(own, name);
    mkdirSync(folder);
    const limits = { timeoutSeconds: 30, memoryBytes: 1 << 29, processes: 200, diskBytes: 1 << 26, logBytes: 1 << 20 };
    const mounts = [{ from: folder, to: world.buildPath, writable: true }];
    const [environment, network, directory, log] = [{}, "none" as const, world.buildPath, join(own, `${name}.log`)];
    const command = ["sh", "-c", "uname -r; echo $$"];
    const { lacks } = await runSandboxed(
      { world, command, directory, mounts, environment, network, limits, log },
      host,
    );
    const causes = new Set(lacks.flatMap((lack) => lack.causes));
    const [told, number] = readFileSync(log, "utf8").split("\n");
    return { told, number: Number(number), causes };
  };
  const old = releaseIn(world, release());
  const bare = await inWorld("no-enter", { ...full, enter: undefined, ordering: undefined, firstPid: undefined });
  assert.equal(bare.told, old);
  assert.ok(bare.number < 100 && bare.causes.has("pid") && bare.causes.has("load"));
  // A machine that does not let the number be written.
  const refused = await inWorld("refused", { ...full, firstPid: "/bin/false" });
  assert.equal(refused.told, old);
  assert.ok(refused.number < 100 && refused.causes.has("pid"));
});

test("memory that a program did not write bears the world's bytes, fresh or freed", async (t) => {
  const folder = join(own, "heap");
  mkdirSync(folder);
  const source = `#include <stdio.h>
#include <stdlib.h>
int main(void) {
  char *fresh = malloc(64), *freed = malloc(4000);
  fwrite(fresh, 1, 64, stdout);
  free(freed);
  fwrite(freed + 64, 1, 64, stdout);
}
`;
  const compiled = spawnSync("cc", ["-w", "-O0", "-x", "c", "-o", join(folder, "heap"), "-"], { input: source });
  if (compiled.status !== 0) return t.skip("no C compiler");
  const world = adversarialWorld("thing");
  const spec = {
    world,
    command: ["./heap"],
    directory: world.buildPath,
    mounts: [{ from: folder, to: world.buildPath, writable: true }],
    environment: {},
    network: "none" as const,
    limits: { timeoutSeconds: 30, memoryBytes: 1 << 29, processes: 200, diskBytes: 1 << 26, logBytes: 1 << 20 },
    log: join(own, "heap.log"),
  };
  assert.equal((await runSandboxed(spec, await probeHost())).exitCode, 0);
  const bytes = readFileSync(spec.log);
  const times = { start: 0, end: 0 };
  const marks = variations.find(({ name }) => name === "uninitialised")?.watermarks(world, times) ?? [];
  const found = marks.flatMap((mark) => mark.find(bytes)).map(({ text }) => text);
  assert.deepEqual([...new Set(found)], ["bytes 0x15", "bytes 0xea"], bytes.toString("hex"));
});
