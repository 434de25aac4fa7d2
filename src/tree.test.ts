/** Trees, durable writes and the lock between processes, on a real file system. */
import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { type TestContext } from "node:test";
import * as fc from "fast-check";
import { copyDurable, createDurable, writeDurable } from "./durable.ts";
import { digestOf, hexOf } from "./digest.ts";
import { BitforbitError } from "./errors.ts";
import { exclusively } from "./exclusive.ts";
import { byteOrder } from "./order.ts";
import { digestOfTreeLines, namesIn, removeTree, treeDigest, treeLine, walkTree } from "./tree.ts";

function folderOf(t: TestContext, files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "tree-test-"));
  t.after(() => spawnSync("sh", ["-c", 'chmod -R u+rwX "$1"; rm -rf "$1"', "sh", folder]));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

const pathsIn = async (folder: string, most?: number): Promise<string[]> => {
  const paths: string[] = [];
  for await (const { path } of walkTree(folder, most)) paths.push(path);
  return paths;
};

test("a walk lists everything once, parents first, and follows no link", async (t) => {
  const folder = folderOf(t, { "b/2": "", "b/1": "", "a/deep/x": "", B: "", ä: "" });
  symlinkSync("..", join(folder, "a", "loop"));
  const paths = await pathsIn(folder);
  assert.deepEqual(paths.toSorted(byteOrder), ["B", "a", "a/deep", "a/deep/x", "a/loop", "b", "b/1", "b/2", "ä"]);
  for (const [at, path] of paths.entries()) {
    const parent = dirname(path);
    assert.ok(parent === "." || paths.indexOf(parent) < at, `${path} before ${parent}`);
  }
  assert.deepEqual(paths, await pathsIn(folder));
  await assert.rejects(pathsIn(folder, 8), /more than 8 entries/);
  assert.equal((await pathsIn(folder, 9)).length, 9);
});

test("a tree's digest is its files, modes and links; not times, owners, umask or empty folders", async (t) => {
  const files = { "d/x": "1", "d.x": "2", "a b\n": "3" };
  const [one, two] = [folderOf(t, files), folderOf(t, files)];
  const { digest, files: count, bytes } = await treeDigest(one);
  assert.deepEqual([count, bytes], [3, 3]);
  mkdirSync(join(two, "empty"));
  chmodSync(join(two, "d/x"), 0o600);
  utimesSync(join(two, "d/x"), 1, 1);
  assert.equal((await treeDigest(two)).digest, digest);
  const lines = [
    `644 ${hexOf(digestOf("3"))} 4 a b\n\n`,
    `644 ${hexOf(digestOf("2"))} 3 d.x\n`,
    `644 ${hexOf(digestOf("1"))} 3 d/x\n`,
  ];
  assert.equal(digest, digestOf(lines.join("")), "as the docstring says");
  chmodSync(join(two, "d/x"), 0o700);
  const executable = (await treeDigest(two)).digest;
  writeFileSync(join(one, "d/x"), "9");
  symlinkSync("target", join(two, "link"));
  const digests = new Set([digest, executable, (await treeDigest(one)).digest, (await treeDigest(two)).digest]);
  assert.equal(digests.size, 4);
  spawnSync("mkfifo", [join(one, "pipe")]);
  await assert.rejects(treeDigest(one), /pipe is neither a file nor a link/);
});

const line = (name: string): { path: string; line: string } => ({
  path: name,
  line: treeLine("644", digestOf(name), name),
});

test("a tree's digest does not depend on the order of its lines, and a line says its path's length", () => {
  const path = fc.string({
    minLength: 1,
    maxLength: 12,
    unit: fc.constantFrom("a", "/", "\n", " ", "é", "😀", "\ufb33"),
  });
  fc.assert(
    fc.property(fc.uniqueArray(path, { maxLength: 6 }), (names) => {
      assert.equal(digestOfTreeLines(names.map(line)), digestOfTreeLines(names.toReversed().map(line)));
    }),
  );
  assert.notEqual(treeLine("644", digestOf(""), "é"), treeLine("644", digestOf(""), "e"));
  assert.match(treeLine("755", digestOf(""), "é"), / 2 é\n$/, "bytes are counted, not characters");
});

test("removing takes read-only folders along, follows no link, and forgives what is not there", async (t) => {
  const folder = folderOf(t, { "tree/ro/x": "1", "outside/kept": "1" });
  symlinkSync(join(folder, "outside"), join(folder, "tree", "link"));
  chmodSync(join(folder, "tree/ro"), 0o500);
  await removeTree(join(folder, "tree"));
  await removeTree(join(folder, "tree"));
  assert.deepEqual(await namesIn(folder), ["outside"]);
  assert.ok(existsSync(join(folder, "outside/kept")));
});

test("durable writes: whole, with their mode, without leftovers; created once", async (t) => {
  const folder = folderOf(t);
  const path = join(folder, "new/deep/file");
  await writeDurable(path, "one", { mode: 0o600 });
  assert.deepEqual([readFileSync(path, "utf8"), statSync(path).mode & 0o777], ["one", 0o600]);
  await writeDurable(path, new Uint8Array([0, 255]));
  assert.deepEqual([...readFileSync(path)], [0, 255]);
  assert.equal(await createDurable(path, "three"), false);
  assert.deepEqual([...readFileSync(path)], [0, 255], "never replaced");
  const created = await Promise.all([1, 2, 3, 4].map((n) => createDurable(join(folder, "race"), String(n))));
  assert.equal(created.filter(Boolean).length, 1);
  await copyDurable(path, join(folder, "copy"), 0o755);
  assert.equal(statSync(join(folder, "copy")).mode & 0o777, 0o755);
  await assert.rejects(copyDurable(join(folder, "none"), join(folder, "copy")), /ENOENT/);
  assert.deepEqual([...readFileSync(join(folder, "copy"))], [0, 255], "a failed copy leaves the old content");
  mkdirSync(join(folder, "taken"));
  await assert.rejects(writeDurable(join(folder, "taken"), "x"));
  assert.deepEqual(await namesIn(folder), ["copy", "new", "race", "taken"], "no temporary file is left");
});

test("a reader sees old or new content while it is replaced, never a part", async (t) => {
  const path = join(folderOf(t), "file");
  const contents = ["a", "b"].map((letter) => letter.repeat(200_000));
  await writeDurable(path, contents[0] ?? "");
  const state = { writing: true };
  const writes = (async () => {
    for (let n = 0; n < 20; n++) await writeDurable(path, contents[n % 2] ?? "");
    state.writing = false;
  })();
  while (state.writing) {
    assert.ok(contents.includes(readFileSync(path, "utf8")));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await writes;
});

test("one at a time in this process; an error inside gives the lock back", async (t) => {
  const lock = join(folderOf(t), "sub/lock");
  let [inside, most, done] = [0, 0, 0];
  const work = async (): Promise<void> => {
    most = Math.max(most, ++inside);
    await new Promise((resolve) => setTimeout(resolve, 3));
    inside--;
    done++;
  };
  await Promise.all(Array.from({ length: 8 }, () => exclusively(lock, work)));
  assert.deepEqual([most, done], [1, 8]);
  await assert.rejects(
    exclusively(lock, async () => Promise.reject(new Error("inside"))),
    /inside/,
  );
  assert.equal(await exclusively(lock, async () => "again"), "again");
});

test(
  "a lock held by another process is waited for, named, and free when that is killed",
  { timeout: 20_000 },
  async (t) => {
    const lock = join(folderOf(t), "lock");
    const code = `
    import { exclusively } from ${JSON.stringify(join(import.meta.dirname, "exclusive.ts"))};
    await exclusively(${JSON.stringify(lock)}, async () => { process.stdout.write("held"); await new Promise((resolve) => setTimeout(resolve, 60_000)); });`;
    const holder = spawn(process.execPath, ["--input-type=module", "--eval", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    t.after(() => holder.kill("SIGKILL"));
    await once(holder.stdout, "data");
    await assert.rejects(
      exclusively(lock, async () => undefined, 150),
      (error) => {
        assert.ok(error instanceof BitforbitError && error.code === "conflict" && error.message.includes(lock));
        return true;
      },
    );
    const waiting = exclusively(lock, async () => "mine", 15_000);
    holder.kill("SIGKILL");
    assert.equal(await waiting, "mine");
  },
);
