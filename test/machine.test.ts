/**
 * A build on a virtual machine: the causes that only one shows, and that it leaves what a build in the sandbox leaves.
 * One machine is started for all of it: emulated, it takes half a minute where others work beside it.
 */
import { strict as assert } from "node:assert";
import { lstatSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { build, type Built } from "../src/build/build.ts";
import { run } from "../src/child.ts";
import { diff } from "../src/diff/diff.ts";
import { explain } from "../src/explain/conclude.ts";
import { parseRecipe } from "../src/recipe/recipe.ts";
import { probeHost } from "../src/sandbox/host.ts";
import { machineParts } from "../src/sandbox/machine-parts.ts";
import { NO_TIME_EPOCH } from "../src/source/source.ts";
import { adversarialWorld, canonicalWorld, variations, withOptional } from "../src/vary/worlds.ts";
import type { World } from "../src/world.ts";
import { scratchFolder } from "./command.ts";

/** Static, so that no library of ours is loaded into it. */
const STAMP = `#include <stdio.h>
#include <time.h>
#include <unistd.h>
int main(int count, char **word) {
  if (word[1][0] == 't') printf("%ld\\n", (long)time(0));
  else if (word[1][0] == 'c') puts(__builtin_cpu_supports("avx2") ? "with AVX2" : "without AVX2");
  else printf("%ld\\n", sysconf(_SC_PHYS_PAGES));
}
`;

const COMMAND = `mkdir out
./stamp time >out/time; ./stamp cpu >out/features; ./stamp pages >out/pages
uname -r >out/release; grep MemTotal /proc/meminfo >out/memory; grep -m1 'model name' /proc/cpuinfo >out/processor
hostname >out/host; id -un >out/user; ls -U listed | tr '\\n' ' ' >out/order; cat /sys/devices/system/cpu/online >out/cpus
(ls /machine-parts/*; echo x >/dev/own; echo x >/usr/own) >/dev/null 2>&1 && exit 9
mv one other; mv two one; mv other two
cp -p kept/same kept/before; printf new >kept/same; touch -r kept/before kept/same
rm -r removed; ln -s ../kept/same out/link; chmod 755 out/host
echo said
`;

const FILES = ["one/name", "two/name", "kept/same", "removed/a", "listed/a", "listed/c", "listed/b"];

test("a build on a virtual machine", { timeout: 1_200_000 }, async (t) => {
  const host = await probeHost();
  const parts = await machineParts(host);
  if ("missing" in parts) return t.skip(`no virtual machine: ${parts.missing}`);
  const folder = scratchFolder(t);
  const staged = join(folder, "staged");
  for (const path of FILES) {
    mkdirSync(join(staged, path, ".."), { recursive: true });
    writeFileSync(join(staged, path), path.slice(0, 3));
  }
  writeFileSync(join(folder, "stamp.c"), STAMP);
  const compiled = await run("cc", ["-static", "-O1", "-o", join(staged, "stamp"), join(folder, "stamp.c")]);
  assert.equal(compiled.exitCode, 0, compiled.stderr);
  const recipe = parseRecipe(
    `name = "thing"\ncommand = '''\n${COMMAND}'''\noutputs = ["out", "one", "two", "kept"]\n[limits]\nmemory = "1 GiB"\n`,
    "bitforbit.toml",
  );
  const lines: string[] = [];
  const builtIn = async (world: World): Promise<Built> => {
    const scratch = join(folder, world.name);
    mkdirSync(scratch);
    return await build({
      recipe,
      source: {
        kind: "folder",
        name: "thing",
        uri: "file:thing",
        submodules: [],
        dirty: [],
        untracked: 0,
        shallow: false,
        treeDigest: `sha256:${"0".repeat(64)}`,
        digest: {},
        epoch: NO_TIME_EPOCH,
      },
      staged,
      world,
      host,
      root: undefined,
      deps: undefined,
      scratch,
      onOutput: (line) => lines.push(line),
    });
  };
  const varied = withOptional(adversarialWorld("thing"), ["machine"]);
  const [plain, virtual] = await Promise.all([builtIn(canonicalWorld("thing")), builtIn(varied)]);
  const [a, b] = [plain, virtual].map((built) => {
    assert.ok(built.result.ok, readFileSync(built.log, "utf8"));
    return built.result.folder;
  }) as [string, string];
  const text = (path: string): string => readFileSync(join(b, path), "utf8").trim();

  await t.test("the world tells what the machine was", () => {
    const { told } = virtual.world.machine ?? {};
    assert.equal(told?.release, parts.kernel.release);
    assert.equal(text("out/processor"), `model name\t: ${told?.processor}`);
    assert.equal(text("out/memory").replaceAll(/\D/g, ""), String(told?.totalKiB));
    assert.equal(text("out/pages"), String((told?.totalKiB ?? 0) / 4));
    assert.ok((told?.totalKiB ?? 0) < 2 ** 20, "no more than the recipe's limit");
  });
  await t.test("a static program sees the world's clock, and no AVX", () => {
    const moment = Number(text("out/time")) * 1000 - varied.clockOffset * 1000;
    assert.ok(moment >= virtual.times.start - 1000 && moment <= virtual.times.end + 1000, String(moment));
    assert.equal(text("out/features"), "without AVX2");
  });
  await t.test("the rest of the world is there as without a machine", () => {
    assert.equal(text("out/host"), varied.hostname);
    assert.equal(text("out/user"), varied.user.name);
    assert.equal(text("out/order"), "c b a");
    assert.equal(text("out/cpus"), "0");
    assert.deepEqual(lines, ["said", "said"]);
  });
  await t.test("what the build changed comes back, and nothing else", () => {
    assert.equal(text("one/name"), "two");
    assert.equal(text("two/name"), "one");
    assert.equal(text("kept/same"), "new");
    assert.equal(text("kept/before"), "kep");
    assert.equal(text("out/link"), "new");
    assert.equal(lstatSync(join(folder, varied.name, "tree", "removed"), { throwIfNoEntry: false }), undefined);
    assert.equal(virtual.result.ok && virtual.result.outputs.find(({ path }) => path === "out/host")?.executable, true);
  });
  await t.test("the difference names clock, kernel, memory and processor", async () => {
    const difference = await diff(a, b, {});
    assert.ok(difference !== undefined);
    const causes = explain(difference, [plain, virtual], variations);
    const of = (path: string): string[] => causes.filter(({ artifact }) => artifact === path).map(({ name }) => name);
    assert.deepEqual(of("out/time"), ["clock"]);
    assert.deepEqual(of("out/release"), ["kernel"]);
    assert.deepEqual(of("out/memory"), ["memory"]);
    assert.deepEqual(of("out/pages"), ["memory"]);
    assert.deepEqual(of("out/processor"), ["cpu-model"]);
  });
});
