import { strict as assert } from "node:assert";
import { execFileSync, spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import { pack } from "tar-stream";
import { memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { extractArchive, extractTar, extractZip } from "./extract.ts";
import { gzipBytes } from "./gzip-write.ts";

const folder = mkdtempSync(join(tmpdir(), "bitforbit-extract-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;
const fresh = (): string => join(folder, `into-${++count}`);
const has = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined;

type TarHeader = Parameters<ReturnType<typeof pack>["entry"]>[0];

/** A tar as tar-stream writes it: another implementation than ours. */
async function tarOf(members: (TarHeader & { content?: string | Buffer })[]): Promise<Buffer> {
  const archive = pack();
  for (const { content, ...header } of members) archive.entry(header, content ?? "");
  archive.finalize();
  const parts: Buffer[] = [];
  for await (const part of archive) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

const refusal = (code: string, pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof BitforbitError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match(error.message, pattern);
  return true;
};

function realTree(): string {
  const root = mkdtempSync(join(folder, "tree-"));
  mkdirSync(join(root, "top/inner"), { recursive: true });
  writeFileSync(join(root, "top/a.txt"), "alpha\n", { mode: 0o600 });
  writeFileSync(join(root, "top/inner/run.sh"), "#!/bin/sh\n", { mode: 0o755 });
  writeFileSync(join(root, `top/inner/${"long".repeat(50)}`), "long name");
  writeFileSync(Buffer.concat([Buffer.from(`${root}/top/latin-`), Buffer.from([0xe9])]), "not UTF-8");
  symlinkSync("inner/run.sh", join(root, "top/link"));
  for (const name of ["a.txt", "inner/run.sh", `inner/${"long".repeat(50)}`]) {
    utimesSync(join(root, "top", name), 1_600_000_000, 1_600_000_000);
  }
  utimesSync(join(root, "top/a.txt"), 1_700_000_000, 1_700_000_000);
  return root;
}

for (const [label, flags] of [
  ["tar", []],
  ["tar of the pax format", ["--format=pax"]],
  ["tar.gz", ["-z"]],
  ["tar.xz", ["-J"]],
  ["tar.zst", ["--zstd"]],
] as const) {
  test(`extracts what GNU tar packs: ${label}`, { skip: !has("tar") }, async (t) => {
    const root = realTree();
    const archive = join(root, "archive");
    const packed = spawnSync("tar", ["-cf", archive, ...flags, "-C", root, "top"]);
    if (packed.status !== 0) return t.skip(`tar cannot write ${label} here`);
    const into = fresh();
    const result = await extractArchive(archive, into, { strip: 1, temporary: folder });
    assert.equal(readFileSync(join(into, "a.txt"), "utf8"), "alpha\n");
    assert.equal(lstatSync(join(into, "a.txt")).mode & 0o7777, 0o644);
    assert.equal(lstatSync(join(into, "a.txt")).mtimeMs, 1_700_000_000_000);
    assert.equal(lstatSync(join(into, "inner/run.sh")).mode & 0o7777, 0o755);
    assert.equal(readlinkSync(join(into, "link")), "inner/run.sh");
    assert.equal(readFileSync(join(into, "inner", "long".repeat(50)), "utf8"), "long name");
    const latin = Buffer.concat([Buffer.from(`${into}/latin-`), Buffer.from([0xe9])]);
    assert.equal(readFileSync(latin, "utf8"), "not UTF-8");
    assert.equal(result.files, 5);
    assert.equal(result.bytes, 6 + 10 + 9 + 9);
  });
}

test("extracts what zip packs, with modes, links and times", { skip: !has("zip") }, async () => {
  const root = realTree();
  const archive = join(root, "archive");
  rmSync(Buffer.concat([Buffer.from(`${root}/top/latin-`), Buffer.from([0xe9])]));
  execFileSync("zip", ["-qry", `${archive}.zip`, "top"], { cwd: root });
  const into = fresh();
  const result = await extractArchive(`${archive}.zip`, into, { strip: 1, temporary: folder });
  assert.equal(readFileSync(join(into, "a.txt"), "utf8"), "alpha\n");
  assert.equal(lstatSync(join(into, "inner/run.sh")).mode & 0o7777, 0o755);
  assert.equal(readlinkSync(join(into, "link")), "inner/run.sh");
  assert.equal(lstatSync(join(into, "a.txt")).mtimeMs, 1_700_000_000_000);
  assert.equal(result.files, 4);
});

test("says the newest time, and gives it to folders that no member names", async () => {
  const tar = await tarOf([
    { name: "deep/one", mtime: new Date(5000), content: "1" },
    { name: "deep/two", mtime: new Date(9000), content: "2" },
  ]);
  const into = fresh();
  assert.deepEqual(await extractTar(memorySource(tar), into), { files: 2, bytes: 2, newest: 9 });
  assert.equal(lstatSync(join(into, "deep")).mtimeMs, 9000);
  assert.equal(lstatSync(join(into, "deep")).mode & 0o777, 0o755);
});

const hostile: [string, (TarHeader & { content?: string })[], RegExp][] = [
  ["a path that leaves", [{ name: "../evil", content: "x" }], /leaves the folder.*"\.\.\/evil"/],
  ["a path that leaves deeper", [{ name: "a/b/../../../evil", content: "x" }], /leaves the folder/],
  ["an absolute path", [{ name: "/evil", content: "x" }], /absolute path/],
  ["a link out", [{ name: "l", type: "symlink", linkname: "../.." }], /leaves the folder/],
  ["an absolute link", [{ name: "l", type: "symlink", linkname: "/etc" }], /absolute path/],
  [
    "a link out through another that comes later",
    [
      { name: "y", type: "symlink", linkname: "d/x/../.." },
      { name: "d/x", type: "symlink", linkname: ".." },
    ],
    /leaves the folder/,
  ],
  [
    "a write through a link",
    [
      { name: "l", type: "symlink", linkname: "." },
      { name: "l/file", content: "x" },
    ],
    /written through "l", a link/,
  ],
  [
    "a file in place of a link",
    [
      { name: "l", type: "symlink", linkname: "x" },
      { name: "l", content: "x" },
    ],
    /occurs twice/,
  ],
  [
    "links in a circle",
    [
      { name: "a", type: "symlink", linkname: "b" },
      { name: "b", type: "symlink", linkname: "a" },
    ],
    /goes round/,
  ],
  [
    "a path twice",
    [
      { name: "a", content: "1" },
      { name: "./a", content: "2" },
    ],
    /"a" occurs twice/,
  ],
  ["a hard link out", [{ name: "h", type: "link", linkname: "../../etc/passwd" }], /leaves the folder/],
  ["a hard link to nothing", [{ name: "h", type: "link", linkname: "absent" }], /no file extracted before/],
  ["a device", [{ name: "null", type: "character-device", devmajor: 1, devminor: 3 }], /is a device/],
  ["a block device", [{ name: "sda", type: "block-device", devmajor: 8, devminor: 0 }], /is a device/],
  ["a FIFO", [{ name: "pipe", type: "fifo" }], /is a FIFO/],
];
for (const [label, members, pattern] of hostile) {
  test(`refuses ${label}`, async () => {
    const into = join(fresh(), "inside");
    await assert.rejects(extractTar(memorySource(await tarOf(members)), into), refusal("refused", pattern));
    assert.ok(!existsSync(join(into, "..", "evil")));
    assert.ok(!existsSync("/evil"));
  });
}

test("drops set-id bits", async () => {
  const into = fresh();
  await extractTar(memorySource(await tarOf([{ name: "su", mode: 0o6755, content: "x" }])), into);
  assert.equal(lstatSync(join(into, "su")).mode & 0o7777, 0o755);
});

test("holds the limits on members, bytes and depth", async () => {
  const three = memorySource(await tarOf(["a", "b", "c"].map((name) => ({ name, content: "12345" }))));
  const limited = (limits: object) => extractTar(three, fresh(), { limits });
  await assert.rejects(limited({ maxMembers: 2 }), refusal("limit", /maxMembers/));
  await assert.rejects(limited({ maxBytes: 14 }), refusal("limit", /maxBytes/));
  await limited({ maxMembers: 3, maxBytes: 15 });
  const deep = memorySource(await tarOf([{ name: `${"d/".repeat(101)}f`, content: "x" }]));
  await assert.rejects(extractTar(deep, fresh()), refusal("limit", /maxDepth/));
});

test("counts what hard links copy: many names of one large file are a bomb", async () => {
  const links = Array.from({ length: 20 }, (_, at) => ({ name: `h${at}`, type: "link" as const, linkname: "f" }));
  const tar = await tarOf([{ name: "f", content: "x".repeat(1000) }, ...links]);
  await assert.rejects(
    extractTar(memorySource(tar), fresh(), { limits: { maxBytes: 10_000 } }),
    refusal("limit", /maxBytes/),
  );
});

test("strips only a top folder that all members share", async () => {
  const tar = await tarOf([
    { name: "one/a", content: "1" },
    { name: "two/b", content: "2" },
  ]);
  await assert.rejects(extractTar(memorySource(tar), fresh(), { strip: 1 }), refusal("input", /not in the top folder/));
});

test("does not extract over what is there", async () => {
  const into = fresh();
  mkdirSync(into);
  writeFileSync(join(into, "mine"), "precious");
  await assert.rejects(extractTar(memorySource(await tarOf([])), into), refusal("conflict", /not empty/));
});

test("refuses gzip, xz and zip bombs", async () => {
  const bomb = join(folder, "bomb.tar.gz");
  writeFileSync(bomb, gzipBytes(new Uint8Array(66 << 20), { level: 4 }));
  await assert.rejects(extractArchive(bomb, fresh(), { temporary: folder }), refusal("limit", /to one/));
  if (has("xz")) {
    const packed = execFileSync("xz", ["-0", "-c"], { input: Buffer.alloc(80 << 20), maxBuffer: 1 << 24 });
    writeFileSync(join(folder, "bomb.tar.xz"), packed);
    const run = extractArchive(join(folder, "bomb.tar.xz"), fresh(), { temporary: folder });
    await assert.rejects(run, refusal("limit", /to one/));
  }
});

/** A zip as Python writes it. */
const zipBy = (body: string): Buffer =>
  execFileSync(
    "python3",
    ["-c", `import zipfile,sys\nz=zipfile.ZipFile(sys.stdout.buffer,'w',8)\n${body}\nz.close()`],
    {
      maxBuffer: 1 << 26,
      stdio: ["ignore", "pipe", "ignore"],
    },
  );
const run = (body: string) => extractZip(memorySource(zipBy(body)), fresh());

test("refuses zip members that leave, that are bombs, or that are named twice", { skip: !has("python3") }, async () => {
  await assert.rejects(run("z.writestr('../evil','x')"), refusal("refused", /leaves the folder/));
  await assert.rejects(run("z.writestr('a\\\\..\\\\evil','x')"), refusal("refused", /backslash/));
  await assert.rejects(run("z.writestr('a','x')\nz.writestr('a','y')"), refusal("refused", /occurs twice/));
  await assert.rejects(run("z.writestr('big',b'\\0'*(80<<20))"), refusal("limit", /to one/));
  const link = "i=zipfile.ZipInfo('l')\ni.create_system=3\ni.external_attr=0o120777<<16\nz.writestr(i,'../../x')";
  await assert.rejects(run(link), refusal("refused", /leaves the folder/));
});

test("a truncated archive is an error wherever it is cut", async () => {
  const tar = await tarOf([
    { name: "a", content: "x".repeat(2000) },
    { name: "b", content: "y" },
  ]);
  for (const length of [100, 512, 600, 2000, 2600, 3072]) {
    await assert.rejects(
      extractTar(memorySource(tar.subarray(0, length)), fresh()),
      refusal("input", /offset|ends at/),
    );
  }
  const packed = gzipBytes(tar);
  for (let length = 1; length < packed.length; length += 7) {
    const path = join(folder, "cut.tar.gz");
    writeFileSync(path, packed.subarray(0, length));
    await assert.rejects(extractArchive(path, fresh(), { temporary: folder }), refusal("input", /./));
  }
});
