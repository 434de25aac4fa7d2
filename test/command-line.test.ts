/** The contract of the command line: help, exit codes, JSON, completion, voice. */
import { strict as assert } from "node:assert";
import { readFileSync } from "node:fs";
import test from "node:test";
import { VERSION } from "../src/version.ts";
import { bitforbit, scratchFolder, writeFiles } from "./command.ts";

const VERBS = [
  "init",
  "lock",
  "build",
  "check",
  "diff",
  "sbom",
  "verify",
  "promote",
  "keys",
  "log",
  "store",
  "policy",
  "stats",
  "serve",
];

test("the version is the package's", async (t) => {
  const manifest = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  assert.equal(VERSION, manifest.version);
  const ran = await bitforbit(scratchFolder(t), ["--version"]);
  assert.deepEqual([ran.code, ran.stdout], [0, `${VERSION}\n`]);
});

test("every verb has help with examples, --json and --quiet", async (t) => {
  const folder = scratchFolder(t);
  const help = await bitforbit(folder, ["--help"]);
  assert.equal(help.code, 0);
  for (const verb of VERBS) {
    assert.match(help.stdout, new RegExp(`^  ${verb}\\b`, "m"));
    const own = await bitforbit(folder, [verb, "--help"]);
    assert.equal(own.code, 0, verb);
    assert.match(own.stdout, /--json[\s\S]*--quiet[\s\S]*Examples:\n {2}bitforbit /, verb);
  }
});

test("mistakes in usage exit with 2 and say what to do", async (t) => {
  const folder = scratchFolder(t);
  const cases: [string[], RegExp][] = [
    [["frobnicate"], /unknown command 'frobnicate'/],
    [["diff", "a"], /missing required argument 'b'/],
    [["build", "--frob"], /unknown option '--frob'/],
    [["store", "explode"], /no action "explode"[\s\S]*one of: list/],
    [["verify", "no-such-file"], /cannot read no-such-file: ENOENT/],
    [["verify", "sha256:123"], /not a digest/],
    [["stats", "--days", "-1"], /--days/],
    [["serve", "--port", "99999"], /not a port/],
    [["verify", "/dev/zero"], /not a regular file/],
    [["verify", "sha256:" + "0".repeat(64), "--bundle", "/dev/zero"], /not a regular file/],
    [["build", "no-such-folder"], /no such folder/],
  ];
  for (const [args, says] of cases) {
    const ran = await bitforbit(folder, args);
    assert.equal(ran.code, 2, `${args.join(" ")}: ${ran.stderr}`);
    assert.match(ran.stderr, /^bitforbit: [^A-Z]/);
    assert.match(ran.stderr, says);
    assert.equal(ran.stdout, "");
  }
  const json = await bitforbit(folder, ["verify", "no-such-file", "--json"]);
  assert.equal((JSON.parse(json.stdout) as { error: { code: string } }).error.code, "input");
});

test("diff answers 0, 1 and 2, and prints one JSON document", async (t) => {
  const folder = scratchFolder(t);
  writeFiles(folder, { a: "one\ntwo\n", b: "one\ntwo\n", c: "one\nthree\n" });
  assert.equal((await bitforbit(folder, ["diff", "a", "b"])).code, 0);
  assert.equal((await bitforbit(folder, ["diff", "a", "c"])).code, 1);
  assert.equal((await bitforbit(folder, ["diff", "a", "nothing"])).code, 2);
  const json = await bitforbit(folder, ["diff", "a", "c", "--json"]);
  assert.equal((JSON.parse(json.stdout) as { equal: boolean }).equal, false);
});

test("completion is offered for the shells", async (t) => {
  const folder = scratchFolder(t);
  for (const shell of ["bash", "zsh", "fish"]) {
    const ran = await bitforbit(folder, ["complete", shell]);
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stdout, /bitforbit/);
  }
  const words = await bitforbit(folder, ["complete", "--", "ver"]);
  assert.match(words.stdout, /^verify\b/m);
});

test("nothing is coloured when NO_COLOR says so", async (t) => {
  const folder = scratchFolder(t);
  writeFiles(folder, { a: "1\n", b: "2\n" });
  const plain = await bitforbit(folder, ["diff", "a", "b"], { FORCE_COLOR: "1" });
  assert.ok(!plain.stdout.includes("\u001b"), "NO_COLOR wins");
});
