/** Hostile projects and builds: what they must not reach, and what must be left when they are gone. */
import { strict as assert } from "node:assert";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { spawnSync } from "node:child_process";
import test from "node:test";
import { openFolders, removeTree } from "../src/tree.ts";
import { publishedNames } from "../src/flow/publish.ts";
import { bitforbit, git, project, scratchFolder, PINNED } from "./command.ts";

const MAIN = resolve(import.meta.dirname, "../src/cli/main.ts");

const recipe = (command: string, outputs: string, limits = ""): string =>
  `name = "thing"\ncommand = '''\n${command}\n'''\noutputs = [${outputs}]\n${PINNED}[limits]\n${limits}\n`;

test("a project's own dist link does not lead the outputs elsewhere", async (t) => {
  const folder = project(t, { "bitforbit.toml": recipe("echo evil > .bashrc", '".bashrc"') });
  const victim = scratchFolder(t);
  symlinkSync(victim, join(folder, "dist"));
  git(folder, "add", "--all");
  git(folder, "commit", "--quiet", "--message=link");
  const ran = await bitforbit(folder, ["build"]);
  assert.equal(ran.code, 2, ran.stderr);
  assert.match(ran.stderr, /dist is a link/);
  assert.deepEqual(readdirSync(victim), []);
  const deeper = await bitforbit(folder, ["build", "--output", "dist/sub"]);
  assert.equal(deeper.code, 2, deeper.stderr);
});

test("a .bitforbit that came with the project as a link is not used, and nothing is tidied up there", async (t) => {
  const folder = project(t, { "bitforbit.toml": recipe("echo x > out", '"out"') });
  const victim = scratchFolder(t);
  mkdirSync(join(victim, "precious"));
  mkdirSync(join(folder, ".bitforbit"));
  symlinkSync(victim, join(folder, ".bitforbit", "scratch"));
  for (const args of [["build"], ["check"], ["lock"], ["stats"]]) {
    const ran = await bitforbit(folder, args);
    assert.equal(ran.code, 2, ran.stderr);
    assert.match(ran.stderr, /scratch is a link[\s\S]*--home/);
  }
  assert.deepEqual(readdirSync(victim), ["precious"]);
});

const names = (...paths: string[]): string[] =>
  publishedNames(
    paths.map((path) => ({ path })),
    "thing",
  );

test("outputs of one name do not overwrite each other, nor evidence", () => {
  assert.deepEqual(names("dist/a", "b/c"), ["a", "c"]);
  assert.deepEqual(names("dist/a/x", "a/x"), ["dist/a/x", "a/x"]);
  assert.deepEqual(names("dist/a/x", "dist/b/x"), ["a/x", "b/x"]);
  assert.throws(() => names("out/thing.cdx.json"), /has the name of a file of evidence/);
});

test("a tree that is closed and too deep to be named is opened and removed", async (t) => {
  const root = join(scratchFolder(t), "tree");
  let top = root;
  mkdirSync(top);
  // Built from the inside out: a path beyond PATH_MAX cannot be made in one go.
  for (let round = 0; round < 4; round++) {
    const outer = join(scratchFolder(t), "outer");
    const inner = join(outer, ...Array.from({ length: 14 }, () => "a".repeat(100)));
    mkdirSync(inner, { recursive: true });
    renameSync(top, join(inner, "next"));
    top = outer;
  }
  chmodSync(top, 0o000);
  await openFolders(top);
  assert.equal(lstatSync(top).mode & 0o700, 0o700);
  await removeTree(top);
  assert.ok(!existsSync(top));
});

test("a build that closes or disguises what it wrote is judged all the same", async (t) => {
  const folder = project(t, {
    "bitforbit.toml": recipe("mkdir out d; echo x > out/b; chmod 000 out/b out d", '"out"'),
  });
  const closed = await bitforbit(folder, ["build"]);
  assert.equal(closed.code, 0, closed.stderr);
  const output = lstatSync(join(folder, "dist", "b"));
  assert.equal(output.uid, process.geteuid?.(), "what is published is ours, not the build user's");
  assert.match(readFileSync(join(folder, ".bitforbit", ".gitignore"), "utf8"), /^\*$/m);
  assert.deepEqual(readdirSync(join(folder, ".bitforbit", "scratch")), []);

  const named = project(t, {
    "bitforbit.toml": recipe(`mkdir out; echo x > "out/$(printf '\\377')"`, '"out"'),
  });
  const ran = await bitforbit(named, ["check", "--json"]);
  assert.equal(ran.code, 3, ran.stderr);
  assert.match(ran.stdout, /not UTF-8/);
});

test("what a build writes is counted under any name", async (t) => {
  const command = `d=$(printf '\\377'); mkdir "$d"; for i in 1 2 3 4 5 6 7 8; do head -c 20000000 /dev/zero > "$d/$i"; sleep 0.3; done; echo x > out`;
  const folder = project(t, { "bitforbit.toml": recipe(command, '"out"', 'disk = "48 MiB"') });
  const ran = await bitforbit(folder, ["check", "--json"]);
  assert.equal(ran.code, 3, ran.stdout);
  assert.match(ran.stdout, /limits\.disk/);
});

test("what the end of a build needs is looked at before the build", async (t) => {
  const folder = project(t, { "bitforbit.toml": recipe("echo x > out", '"out"') });
  assert.equal((await bitforbit(folder, ["build"])).code, 0);
  const log = join(folder, ".bitforbit", "log");
  writeFileSync(join(log, "checkpoint"), "cut");
  const audit = await bitforbit(folder, ["log", "audit"]);
  assert.equal(audit.code, 2);
  assert.match(audit.stderr, /log\/checkpoint cannot be read[\s\S]*hint: 'bitforbit log fsck' says what to restore/);
  const build = await bitforbit(folder, ["build"]);
  assert.equal(build.code, 2);
  assert.equal(build.stdout, "", "nothing was built");
});

test("a reader that leaves early ends neither the build nor its evidence", async (t) => {
  const folder = project(t, { "bitforbit.toml": recipe("echo x > out", '"out"') });
  const ran = spawnSync("sh", ["-c", '("$0" "$1" build; echo "exit $?" >&2) | true', process.execPath, MAIN], {
    cwd: folder,
    encoding: "utf8",
  });
  assert.match(ran.stderr, /exit 0/);
  assert.ok(existsSync(join(folder, "dist", "out")));
  const full = spawnSync("sh", ["-c", '"$0" "$1" stats --json >/dev/full', process.execPath, MAIN], {
    cwd: folder,
    encoding: "utf8",
  });
  assert.equal(full.status, 4, "an answer that was not written is no success");
  assert.match(full.stderr, /cannot be written/);
});

test("keys that came with a repository are not trusted", async (t) => {
  const folder = project(t, {
    "bitforbit.toml": 'name = "x"\ncommand = "echo made > out"\noutputs = ["out"]\n' + PINNED,
  });
  assert.equal((await bitforbit(folder, ["build"])).code, 0);
  assert.equal((await bitforbit(folder, ["verify", "dist/out"])).code, 0);
  git(folder, "add", "--force", ".bitforbit/keys", "dist");
  git(folder, "commit", "--quiet", "--message=trap");
  const trapped = await bitforbit(folder, ["verify", "dist/out"]);
  assert.equal(trapped.code, 2);
  assert.match(trapped.stderr, /tracked by git[\s\S]*--policy/);
});
