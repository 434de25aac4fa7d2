/** Variations that are asked for and left out, from the command line. */
import { strict as assert } from "node:assert";
import test from "node:test";
import { bitforbit, PINNED, project } from "./command.ts";

interface Document {
  verdict: string;
  covered: string[];
  notCovered: { what: string; remedy: string; causes: string[] }[];
  causes: { name: string; artifact: string }[];
}

const recipe = (command: string, more = ""): string =>
  `name = "thing"\ncommand = '''\n${command}\n'''\noutputs = ["out/*"]\n${more}${PINNED}`;

const SEES_GIT = "mkdir -p out; test -d .git && echo yes > out/git || echo no > out/git";

test("version control is varied when it is asked for, and told as not covered when not", async (t) => {
  const folder = project(t, { "bitforbit.toml": recipe(SEES_GIT) });
  const usual = await bitforbit(folder, ["check", "--json"]);
  assert.equal(usual.code, 0, usual.stderr);
  const plain = JSON.parse(usual.stdout) as Document;
  assert.ok(!plain.covered.includes("vcs"));
  const lack = plain.notCovered.find(({ causes }) => causes.includes("vcs"));
  assert.deepEqual(lack?.causes, ["race", "load", "filesystem", "vcs"]);
  assert.match(lack?.remedy ?? "", /bitforbit check --vary all/);

  const asked = await bitforbit(folder, ["check", "--vary", "vcs", "--json"]);
  assert.equal(asked.code, 1, asked.stderr);
  const document = JSON.parse(asked.stdout) as Document;
  assert.ok(document.covered.includes("vcs"));
  assert.deepEqual(
    document.causes.map(({ name, artifact }) => [name, artifact]),
    [["vcs", "out/git"]],
  );
});

test("what the recipe leaves out is the same in both worlds, and the verdict says so", async (t) => {
  const folder = project(t, {
    "bitforbit.toml": recipe("mkdir -p out; pwd > out/where; umask > out/umask", 'no-vary = ["path", "umask"]\n'),
  });
  const ran = await bitforbit(folder, ["check"]);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  assert.match(ran.stdout.replaceAll(/\s+/g, " "), /not covered: path, umask: left out by no-vary in bitforbit\.toml/);
  const all = JSON.parse((await bitforbit(folder, ["check", "--vary=path", "--json"])).stdout) as Document;
  assert.deepEqual([...new Set(all.causes.map(({ name }) => name))], ["path"]);
});

test("a build that needs the real time: the clock is named, with what helps, and left out it reproduces", async (t) => {
  // As a certificate is: valid from today for some days, and neither in another year nor where the clock is held.
  const needsToday = `now=$(date +%s); from=$(cat from); test "$now" -ge "$from"; test "$now" -lt "$((from + 2000000))"; mkdir -p out; echo fine > out/ok`;
  const from = String(Math.floor(Date.now() / 1000) - 1000);
  const folder = project(t, { "bitforbit.toml": recipe(needsToday), from });
  const ran = await bitforbit(folder, ["check"]);
  assert.equal(ran.code, 1, ran.stdout + ran.stderr);
  const said = ran.stdout.replaceAll(/\s+/g, " ");
  assert.match(said, /fails in the adversarial world because of clock, which is not the same as differing/);
  assert.match(said, /remedy: let it not ask what day it is .* no-vary = \["clock"\] in bitforbit\.toml/);
  const without = await bitforbit(folder, ["check", "--no-vary", "clock"]);
  assert.equal(without.code, 0, without.stdout + without.stderr);
});

test("an unknown variation is an error with the names, before anything is built", async (t) => {
  const folder = project(t, { "bitforbit.toml": recipe(SEES_GIT) });
  for (const args of [["--vary", "cvs"], ["--no-vary=cvs"], ["--no-vary", "clock,cvs"]]) {
    const ran = await bitforbit(folder, ["check", ...args]);
    assert.equal(ran.code, 2, ran.stdout);
    assert.match(ran.stderr, /no variation "cvs"\n {2}hint: .*clock.*vcs/);
  }
});
