/** Builds in the worlds that are asked for by name: their trees, what the build sees there, and what is left. */
import { strict as assert } from "node:assert";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { parseRecipe } from "../recipe/recipe.ts";
import { type HostAbilities, probeHost } from "../sandbox/host.ts";
import { scratchFolder } from "../sandbox/scratch.ts";
import { type Source, NO_TIME_EPOCH } from "../source/source.ts";
import { namesIn } from "../tree.ts";
import { adversarialWorld, canonicalWorld, mixed, variations, withOptional } from "../vary/worlds.ts";
import { type CauseName, type World } from "../world.ts";
import { build, type Built } from "./build.ts";

const own: string = mkdtempSync(join(tmpdir(), "optional-worlds-"));
after(() => rmSync(own, { recursive: true, force: true }));

const SOURCE: Source = {
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
};

let count = 0;

async function built(command: string, world: World, host: HostAbilities, files: Record<string, string> = {}) {
  const folder = join(own, String(++count));
  const staged = join(folder, "staged");
  mkdirSync(staged, { recursive: true });
  for (const [path, text] of Object.entries({ "main.c": "int main;", ...files })) {
    mkdirSync(join(staged, path, ".."), { recursive: true });
    writeFileSync(join(staged, path), text);
  }
  const recipe = parseRecipe(
    `name = "thing"\ncommand = '''\n${command}\n'''\noutputs = ["out"]\n[limits]\ndisk = "64 MiB"\n`,
    "bitforbit.toml",
  );
  const scratch = join(folder, "scratch");
  mkdirSync(scratch);
  return await build({ recipe, source: SOURCE, staged, world, host, root: undefined, deps: undefined, scratch });
}

function output({ result, log }: Built): string {
  assert.ok(result.ok, readFileSync(log, "utf8"));
  return readFileSync(join(result.folder, "out"), "utf8");
}

/** The canonical world with one optional variation. */
const worldWith = (name: CauseName): World =>
  mixed(canonicalWorld("thing"), withOptional(adversarialWorld("thing"), [name]), [name], `with-${name}`);

test("vcs: a repository of one clean commit, whose hash is a watermark of what was built", async () => {
  const host = await probeHost();
  const command =
    "git rev-parse HEAD >out; git describe --tags --dirty --long >>out; git log -1 --format=%an%ae%at >>out";
  const one = await built(command, worldWith("vcs"), host);
  const { commit = "" } = one.world;
  const text = output(one);
  assert.match(commit, /^[0-9a-f]{40}$/);
  assert.equal(
    text,
    `${commit}\nv0.0.0-drisquel-0-g${commit.slice(0, 7)}\nUlmgard Vexnitroyulmgard@vexnitroy.invalid1234567890\n`,
  );
  const marks = variations.find(({ name }) => name === "vcs")?.watermarks(one.world, one.times) ?? [];
  const found = marks.flatMap((mark) => mark.find(Buffer.from(text))).map((match) => match.text);
  for (const part of [commit, commit.slice(0, 7), "v0.0.0-drisquel"]) assert.ok(found.includes(part), part);
  const again = await built(command, worldWith("vcs"), host);
  assert.equal(again.world.commit, commit);
  const none = await built("git log >out 2>&1 || echo none >out", canonicalWorld("thing"), host);
  assert.match(output(none), /none\n$/);
});

test("vcs: a source's own .git is not touched, and its configuration runs nothing", async () => {
  const host = await probeHost();
  const mark = join(own, "ran");
  const config = `[core]\n\tfsmonitor = "touch ${mark}"\n[filter "x"]\n\tclean = "touch ${mark}"\n`;
  const one = await built("cat sub/.git/config >out", worldWith("vcs"), host, {
    "sub/.git/config": config,
    "sub/.git/HEAD": "ref: refs/heads/x\n",
    ".gitattributes": "* filter=x\n",
  });
  assert.equal(output(one), config);
  assert.equal(one.world.commit, undefined);
  assert.deepEqual(one.lacks.filter(({ causes }) => causes.includes("vcs")).length, 1);
  assert.equal(existsSync(mark), false);
});

test("filesystem: the tree lies on a tmpfs, its outputs are collected, its limit holds, and nothing is left", async (t) => {
  const host = await probeHost();
  const world = worldWith("filesystem");
  const one = await built("stat -f -c %T . >out; stat -c %d . >>out", world, host);
  if (one.lacks.some(({ causes }) => causes.includes("filesystem"))) return t.skip("no tmpfs, or nothing else");
  const other = await built("stat -f -c %T . >out; stat -c %d . >>out", canonicalWorld("thing"), host);
  assert.match(output(one), /^tmpfs\n/);
  assert.notEqual(output(other), output(one));
  const full = await built(
    "head -c 200000000 /dev/zero >big; head -c 200000000 /dev/zero >bigger; : >out",
    world,
    host,
  );
  assert.ok(!full.result.ok && /limits\.disk/.test(full.result.reason), JSON.stringify(full.result));
  const left = (await namesIn(await scratchFolder(host))).filter((name) => name.startsWith("tree-"));
  assert.deepEqual(left, []);
});

/** Processes of ours that this test started, with the ticks that they have worked. proc_pid_stat(5). */
async function workers(ours: string): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const pid of (await namesIn("/proc")).filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      if (!stat.includes("(enter-") || !readFileSync(`/proc/${pid}/cmdline`, "latin1").includes(ours)) continue;
      found.set(pid, Number(fields[11]));
    } catch {
      // It ended just now.
    }
  }
  return found;
}

test("load: a process works beside the build on each of its CPUs, and ends with it", async (t) => {
  const host = await probeHost();
  if (host.enter === undefined) return t.skip("no C compiler");
  const ours = await scratchFolder(host);
  const building = built("sleep 1.5; nproc >out", { ...worldWith("load"), cpus: 1 }, host);
  let most: string[] = [];
  const watch = setInterval(() => {
    void workers(ours).then((now) => {
      const busy = [...now].filter(([, ticks]) => ticks > 5).map(([pid]) => pid);
      if (busy.length > most.length) most = busy;
    });
  }, 100);
  const one = await building;
  clearInterval(watch);
  assert.equal(output(one), "1\n");
  assert.equal(most.length, 1);
  const state = existsSync(`/proc/${most[0]}`) ? readFileSync(`/proc/${most[0]}/stat`, "latin1") : "gone";
  assert.match(state, /^gone$|\) Z /, "it works no more; whether it was waited for is init's affair");
});
