/** Outputs are what the recipe names, in the tree, as files; everything else is refused by name. */
import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { after } from "node:test";
import { digestOf } from "../digest.ts";
import { BitforbitError, type ErrorCode } from "../errors.ts";
import { collectOutputs, type Output } from "./outputs.ts";

const own = mkdtempSync(join(tmpdir(), "outputs-test-"));
after(() => spawnSync("sh", ["-c", 'chmod -R u+rwX "$1"; rm -rf "$1"', "sh", own]));
let count = 0;

interface Tree {
  folder: string;
  into: string;
}

/** Values are contents; `-> x` is a link to x. */
function tree(files: Readonly<Record<string, string>>): Tree {
  const folder = join(own, `t${count++}`);
  for (const [path, content] of Object.entries(files)) {
    const to = join(folder, "tree", path);
    mkdirSync(dirname(to), { recursive: true });
    if (content.startsWith("-> ")) symlinkSync(content.slice(3), to);
    else writeFileSync(to, content);
  }
  return { folder: join(folder, "tree"), into: join(folder, "into") };
}

const collect = async ({ folder, into }: Tree, wanted: readonly string[], most = 1 << 20): Promise<Output[]> =>
  await collectOutputs(folder, wanted, into, most);

const paths = (outputs: readonly Output[]): string[] => outputs.map(({ path }) => path);

async function refuses(work: Promise<unknown>, code: ErrorCode, says: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof BitforbitError, String(error));
    assert.equal(error.code, code, error.message);
    assert.match(error.message, says);
    return true;
  });
}

test("files, folders and globs, each once, in byte order", async () => {
  const made = tree({ "d/b": "1", "d/B": "2", "d/ä": "3", "d/sub/c": "4", z: "5", "z.log": "6" });
  const outputs = await collect(made, ["z", "d", "d/*", "d/**"]);
  assert.deepEqual(paths(outputs), ["d/B", "d/b", "d/sub/c", "d/ä", "z"]);
  assert.deepEqual(outputs[1], { path: "d/b", digest: digestOf("1"), size: 1, executable: false });
  assert.deepEqual(paths(await collect({ ...made, into: `${made.into}2` }, ["*.{log,txt}"])), ["z.log"]);
  assert.deepEqual(paths(await collect({ ...made, into: `${made.into}3` }, ["**/[bc]"])), ["d/b", "d/sub/c"]);
});

test("with a newest time, copies keep their files' times and none is later", async () => {
  const made = tree({ old: "1", late: "2" });
  utimesSync(join(made.folder, "old"), 1000, 1000);
  await collectOutputs(made.folder, ["old", "late"], made.into, 1 << 20, 1_700_000_000);
  assert.equal(statSync(join(made.into, "old")).mtimeMs, 1_000_000);
  assert.equal(statSync(join(made.into, "late")).mtimeMs, 1_700_000_000_000);
});

test("modes are 755 or 644, whatever the build's umask was", async () => {
  const made = tree({ run: "#!/bin/sh\n", data: "x" });
  chmodSync(join(made.folder, "run"), 0o700);
  chmodSync(join(made.folder, "data"), 0o666);
  const outputs = await collect(made, ["run", "data"]);
  assert.deepEqual(
    outputs.map(({ path, executable }) => [path, executable, statSync(join(made.into, path)).mode & 0o7777]),
    [
      ["data", false, 0o644],
      ["run", true, 0o755],
    ],
  );
});

test("what was not made is named", async () => {
  const made = tree({ a: "1", "empty/sub/x": "-> ../../a" });
  mkdirSync(join(made.folder, "hollow"));
  for (const wanted of ["b", "a/b", "*.tar", "hollow"]) {
    await refuses(
      collect(made, ["a", wanted]),
      "build",
      new RegExp(`did not make the output "${wanted.replace("*", "\\*")}"`),
    );
    rmSync(made.into, { recursive: true, force: true });
  }
});

test("a link inside is the file that it leads to; one beside its target adds nothing", async () => {
  const made = tree({
    "lib/libx.so.1": "code",
    "lib/libx.so": "-> libx.so.1",
    "bin/tool": "-> ../build/tool",
    "build/tool": "program",
  });
  const outputs = await collect(made, ["lib/*", "bin"]);
  assert.deepEqual(paths(outputs), ["bin/tool", "lib/libx.so.1"]);
  assert.equal(outputs[0]?.digest, digestOf("program"));
  assert.ok(statSync(join(made.into, "bin/tool")).isFile());
  assert.deepEqual(
    paths(await collect({ ...made, into: `${made.into}2` }, ["lib/libx.so"])),
    ["lib/libx.so"],
    "named outright",
  );
});

test("links out of the tree are refused, however they lead out", async () => {
  const secret = join(own, "secret");
  writeFileSync(secret, "secret");
  mkdirSync(join(own, "secrets"), { recursive: true });
  writeFileSync(join(own, "secrets", "x"), "secret");
  const cases: [files: Record<string, string>, wanted: string][] = [
    [{ out: `-> ${secret}` }, "out"],
    [{ out: "-> ../../secret" }, "out"],
    [{ "d/out": `-> ${secret}` }, "d"],
    [{ "d/out": `-> ${secret}` }, "d/*"],
    [{ d: `-> ${join(own, "secrets")}` }, "d/x"],
    [{ d: `-> ${join(own, "secrets")}` }, "d/"],
    [{ one: "-> two", two: `-> ${secret}` }, "one"],
    [{ a: "1" }, "../../secret"],
  ];
  for (const [files, wanted] of cases) {
    const made = tree(files);
    await refuses(collect(made, [wanted]), "refused", /leads out of the build tree/);
    assert.ok(!existsSync(made.into) || readdirSync(made.into, { recursive: true }).every((name) => name === "d"));
  }
});

test("links that lead nowhere or in circles, folders behind links, pipes: refused by name", async () => {
  await refuses(collect(tree({ out: "-> nothing" }), ["out"]), "refused", /"out" is a link that leads nowhere/);
  await refuses(collect(tree({ out: "-> out" }), ["out"]), "refused", /"out" is a link that leads nowhere/);
  await refuses(collect(tree({ out: "-> d", "d/x": "1" }), ["out"]), "refused", /"out" is not a regular file/);
  const made = tree({ a: "1" });
  assert.equal(spawnSync("mkfifo", [join(made.folder, "pipe")]).status, 0);
  await refuses(collect(made, ["pipe"]), "refused", /"pipe" is not a regular file/);
});

test("the limit is of all outputs together, and names where it was passed", async () => {
  const made = tree({ a: "x".repeat(60), b: "x".repeat(41) });
  await refuses(collect(made, ["*"], 100), "build", /larger than 100 bytes \(at b\)/);
  assert.equal((await collect({ ...made, into: `${made.into}2` }, ["*"], 101)).length, 2);
});

test("what its owner may not read is named, not a system's error", async (t) => {
  const [closed, shut] = [tree({ closed: "1" }), tree({ "shut/x": "1" })];
  chmodSync(join(closed.folder, "closed"), 0);
  chmodSync(join(shut.folder, "shut"), 0);
  if (process.getuid?.() === 0) {
    chmodSync(own, 0o755);
    for (const { into } of [closed, shut]) {
      mkdirSync(into);
      chmodSync(into, 0o777);
    }
    process.seteuid?.(65_534);
    t.after(() => process.seteuid?.(0));
    await refuses(collect(closed, ["closed"]), "build", /the output "closed" cannot be read/);
    await refuses(collect(shut, ["shut/*"]), "build", /a folder of the build tree cannot be read/);
    process.seteuid?.(0);
  } else {
    // What is ours and was shut by the build is opened again.
    assert.deepEqual(paths(await collect(closed, ["closed"])), ["closed"]);
    assert.deepEqual(paths(await collect(shut, ["shut/*"])), ["shut/x"]);
  }
});
