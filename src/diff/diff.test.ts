import { strict as assert } from "node:assert";
import { execFileSync, spawnSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import * as fc from "fast-check";
import { memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { gzipBytes } from "../format/gzip-write.ts";
import { tarBytes, type TarMember } from "../format/tar-write.ts";
import { zipBytes } from "../format/zip-write.ts";
import { compare as compareFolders, diff, type DiffOptions, diffSources } from "./diff.ts";
import { type Difference, type Leaf, leavesOf } from "./difference.ts";

const folder = mkdtempSync(join(tmpdir(), "bitforbit-diff-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;
const fresh = (): string => join(folder, `t${++count}`);
const has = (program: string): boolean => spawnSync(program, ["--version"]).error === undefined;
const bytes = (text: string): Buffer => Buffer.from(text);

type Member = TarMember & { content?: Uint8Array };

const compare = (a: Uint8Array, b: Uint8Array, options: DiffOptions = {}): Promise<Difference | undefined> =>
  diffSources(memorySource(a, "a"), memorySource(b, "b"), ["x"], { temporary: folder, prove: true, ...options });

/** Every note of the nodes, in order. */
function notesOf(difference: Difference | undefined): string {
  if (difference === undefined) return "";
  const inner = difference.children.map((child) => (child.kind === "node" ? notesOf(child) : ""));
  return [difference.note ?? "", ...inner].filter((note) => note !== "").join("\n");
}

async function leaves(a: Uint8Array, b: Uint8Array, options: DiffOptions = {}): Promise<Leaf[]> {
  const difference = await compare(a, b, options);
  assert.ok(difference !== undefined, "nothing differs");
  return [...leavesOf(difference)];
}

/** A leaf in one line, to hold against what is expected. */
const told = (leaf: Leaf): string =>
  `${leaf.path.join(" > ")}: ${leaf.what}${leaf.field === undefined ? "" : ` ${leaf.field}`} ${leaf.a ?? ""} | ${leaf.b ?? ""}`;

const toldOf = async (a: Uint8Array, b: Uint8Array): Promise<string[]> =>
  (await leaves(a, b)).filter(({ field }) => field !== "derived").map(told);

test("tar: each header field is a leaf with its values and its bytes", async () => {
  const base: Member = {
    name: "f",
    content: bytes("same\n"),
    mtime: 100,
    uid: 1,
    gid: 2,
    uname: "u",
    gname: "g",
    mode: 0o644,
  };
  const a = tarBytes([base]);
  for (const [change, expected] of [
    [{ mtime: 1_700_000_000 }, "x > f: field mtime 100 | 1700000000"],
    [{ mtime: 100.5 }, "x > f: field mtime 100 | 100.5"],
    [{ uid: 1000 }, "x > f: field uid 1 | 1000"],
    [{ gid: 0 }, "x > f: field gid 2 | 0"],
    [{ uname: "alice" }, "x > f: field uname u | alice"],
    [{ gname: "staff" }, "x > f: field gname g | staff"],
    [{ mode: 0o755 }, "x > f: field mode 0644 | 0755"],
  ] as const) {
    const found = await leaves(a, tarBytes([{ ...base, ...change }]));
    assert.ok(found.map(told).includes(expected), found.map(told).join("\n"));
  }
  const [leaf, derived] = await leaves(a, tarBytes([{ ...base, mtime: 7 }]));
  assert.deepEqual(leaf?.ranges, [{ a: { offset: 136, length: 12 }, b: { offset: 136, length: 12 } }]);
  assert.equal(Buffer.from(leaf?.bytesB ?? []).toString("latin1"), "00000000007\0");
  assert.equal(derived?.field, "derived");
  assert.deepEqual(derived?.ranges, [{ a: { offset: 148, length: 8 }, b: { offset: 148, length: 8 } }]);
});

const fileOf = (name: string, content: string): Member => ({ name, content: bytes(content) });

test("tar: links, kinds, order, members on one side, contents", async () => {
  assert.deepEqual(
    await toldOf(
      tarBytes([{ name: "l", type: "2", linkName: "there" }]),
      tarBytes([{ name: "l", type: "2", linkName: "elsewhere" }]),
    ),
    ["x > l: field link there | elsewhere"],
  );
  assert.deepEqual(
    await toldOf(tarBytes([fileOf("1", "a"), fileOf("2", "b")]), tarBytes([fileOf("2", "b"), fileOf("1", "a")])),
    ["x: order from place 1: 1, 2 | from place 1: 2, 1"],
  );
  assert.deepEqual(
    await toldOf(tarBytes([fileOf("1", "a"), fileOf("2", "b")]), tarBytes([fileOf("1", "c"), fileOf("3", "b")])),
    [
      "x > 1: text a | c",
      "x > 2: only-a file, 1 bytes, mode 0644, owner 0:0, mtime 0 | ",
      "x > 3: only-b  | file, 1 bytes, mode 0644, owner 0:0, mtime 0",
    ],
  );
  const dup = [fileOf("same", "1\n"), fileOf("same", "2\n")];
  assert.deepEqual(await toldOf(tarBytes(dup), tarBytes([fileOf("same", "1\n"), fileOf("same", "3\n")])), [
    "x > same (2): text 2\n | 3\n",
  ]);
});

test("tar: padding, end marker and what hides behind it", async () => {
  const a = tarBytes([{ name: "f", content: bytes("12345") }]);
  const padding = a.slice();
  padding[512 + 100] = 7;
  const [leaf] = await leaves(a, padding);
  assert.equal(leaf?.field, "padding");
  assert.deepEqual(leaf?.ranges, [{ a: { offset: 612, length: 1 }, b: { offset: 612, length: 1 } }]);
  const hidden = Buffer.concat([a, bytes("secret")]);
  const [trailing] = await leaves(a, hidden);
  assert.equal(trailing?.field, "trailing");
  assert.deepEqual(trailing?.ranges, [{ a: { offset: a.length, length: 0 }, b: { offset: a.length, length: 6 } }]);
});

test("gzip: header fields, content, and the compressor's own choice", async () => {
  const content = bytes("line\n".repeat(500));
  assert.deepEqual(
    await toldOf(gzipBytes(content, { name: "a", mtime: 5 }), gzipBytes(content, { name: "b", mtime: 6 })),
    ["x: field mtime 5 | 6", "x: field name a | b"],
  );
  const other = await leaves(gzipBytes(content, { level: 1 }), gzipBytes(content, { level: 9 }));
  assert.deepEqual(
    other.map(({ field }) => field),
    ["xfl", "compressed"],
  );
  assert.deepEqual(await toldOf(gzipBytes(bytes("a\nb\nc\n")), gzipBytes(bytes("a\nB\nc\n"))), [
    "x > gunzip: text b\n | B\n",
  ]);
  assert.deepEqual(await toldOf(gzipBytes(content), Buffer.concat([gzipBytes(content), bytes("tail")])), [
    "x: field trailing  | 7461696c",
  ]);
});

const nestedAlike = (line: string): Uint8Array =>
  gzipBytes(
    tarBytes([
      { name: "same", content: bytes("same") },
      { name: "in.zip", content: zipBytes([{ name: "deep.gz", content: gzipBytes(bytes(`1\n${line}\n3\n`)) }]) },
    ]),
  );

test("goes down through gzip, tar, zip and gzip again, and names the way", async () => {
  assert.deepEqual(await toldOf(nestedAlike("two"), nestedAlike("TWO")), [
    "x > gunzip > in.zip > deep.gz > gunzip: text two\n | TWO\n",
  ]);
});

test("zip: times, modes, order, comment, methods and gaps", async () => {
  const member = { name: "f", content: bytes("f".repeat(100)), mtime: 1_600_000_000 };
  const a = zipBytes([member]);
  assert.deepEqual(await toldOf(a, zipBytes([{ ...member, mtime: 1_600_000_002 }])), [
    "x > f: field mtime 1600000000 | 1600000002",
  ]);
  assert.deepEqual(await toldOf(a, zipBytes([{ ...member, mode: 0o100600 }])), ["x > f: field mode 100644 | 100600"]);
  assert.deepEqual(await toldOf(a, zipBytes([member], { comment: "hi" })), ["x: field comment  | hi"]);
  const stored = await toldOf(a, zipBytes([{ ...member, stored: true }]));
  assert.deepEqual(stored, ["x > f: field method deflated | stored", "x > f: field compressed 6 bytes | 100 bytes"]);
  const second = { name: "g", content: bytes("g") };
  assert.deepEqual(await toldOf(zipBytes([member, second]), zipBytes([second, member])), [
    "x: order from place 1: f, g | from place 1: g, f",
  ]);
  const directory = a.length - 22 - 47;
  const gapped = Buffer.concat([a.subarray(0, directory), bytes("hide"), a.subarray(directory)]);
  gapped.writeUInt32LE(directory + 4, gapped.length - 6);
  assert.deepEqual(await toldOf(a, gapped), ["x: field gap  | 68696465"]);
});

test("zip: what yazl and zip write is the same member by member", { skip: !has("zip") }, async () => {
  const { ZipFile } = createRequire(import.meta.url)("yazl") as {
    ZipFile: new () => {
      addBuffer(content: Buffer, name: string, options: object): void;
      end(): void;
      outputStream: AsyncIterable<Buffer>;
    };
  };
  const zip = new ZipFile();
  zip.addBuffer(bytes("hello\n"), "greeting", { mtime: new Date(1_600_000_000_000), mode: 0o100644 });
  zip.end();
  const parts: Buffer[] = [];
  for await (const part of zip.outputStream) parts.push(part);
  const root = fresh();
  mkdirSync(root);
  writeFileSync(join(root, "greeting"), "hello!\n");
  execFileSync("zip", ["-q", "out.zip", "greeting"], { cwd: root });
  writeFileSync(join(root, "yazl.zip"), Buffer.concat(parts));
  const found = await diff(join(root, "yazl.zip"), join(root, "out.zip"));
  assert.ok(found !== undefined);
  const lines = [...leavesOf(found)].map(told);
  assert.ok(lines.includes("yazl.zip > greeting: text hello\n | hello!\n"), lines.join("\n"));
  assert.ok(lines.some((line) => line.includes("field extended-mtime")));
});

test("text: each run of changed lines, with its place; the same lines in another order", async () => {
  const lines = Array.from({ length: 100 }, (_, at) => `line ${at}\n`);
  const changed = lines.with(10, "changed\n").toSpliced(50, 2).toSpliced(80, 0, "new\n");
  const found = await leaves(bytes(lines.join("")), bytes(changed.join("")));
  assert.deepEqual(found.map(told), [
    "x: text line 10\n | changed\n",
    "x: text line 50\nline 51\n | ",
    "x: text  | new\n",
  ]);
  const at = lines.slice(0, 10).join("").length;
  assert.deepEqual(found[0]?.ranges, [{ a: { offset: at, length: 8 }, b: { offset: at, length: 8 } }]);
  assert.equal(Buffer.from(found[0]?.bytesB ?? []).toString(), "changed\n");
  const [order, ...rest] = await leaves(bytes("1\na\nb\nc\n2\n"), bytes("1\nc\na\nb\n2\n"));
  assert.deepEqual([order?.what, order?.note, rest.length], ["order", "the same lines in another order", 0]);
});

const xz = (content: Buffer, level: string): Buffer =>
  execFileSync("xz", ["-c", level], { input: content, maxBuffer: 1 << 26 });

const longLine = (mark: string): Buffer => bytes(`${"x".repeat(500_000)}${mark}${"y".repeat(500_000)}\n`);

const tarOf = (text: string): Buffer => Buffer.from(tarBytes([fileOf("f", text)]));

test(
  "the same compressed in two ways: told as that, and what differs inside is found",
  { skip: !has("xz") },
  async () => {
    assert.deepEqual(await toldOf(gzipBytes(tarOf("same\n")), xz(tarOf("same\n"), "-6")), ["x: type gzip | xz"]);
    assert.deepEqual(await toldOf(gzipBytes(tarOf("one\n")), xz(tarOf("two\n"), "-6")), [
      "x: type gzip | xz",
      "x > decompressed > f: text one\n | two\n",
    ]);
  },
);

test("text: a change in a line of a megabyte still shows the bytes that changed", async () => {
  const found = await leaves(longLine("HOST-ONE"), longLine("HOST-TWO"));
  assert.equal(found.length, 1);
  assert.ok(Buffer.from(found[0]?.bytesA ?? []).includes("HOST-ONE"));
  assert.ok((found[0]?.bytesA?.length ?? 0) < 1000);
});

test("bytes: places that differ, and inserted bytes do not count as a change of all that follow", async () => {
  const a = Buffer.alloc(100_000);
  for (let at = 0; at < a.length; at++) a[at] = (at * 2654435761) >>> 13;
  const b = Buffer.concat([a.subarray(0, 20_000), bytes("inserted"), a.subarray(20_000)]);
  b[70_000] = (b[70_000] ?? 0) ^ 0xff;
  const found = await leaves(a, b);
  assert.deepEqual(
    found.map(({ ranges }) => ranges),
    [
      [{ a: { offset: 20_000, length: 0 }, b: { offset: 20_000, length: 8 } }],
      [{ a: { offset: 69_992, length: 1 }, b: { offset: 70_000, length: 1 } }],
    ],
  );
  assert.equal(found[0]?.bytesA?.length, 256);
  assert.equal(found[0]?.atA, 20_000 - 128);
});

test(
  "folders: kinds, modes, links, names that are not UTF-8; not times",
  { skip: process.platform === "win32" },
  async () => {
    const [a, b] = [fresh(), fresh()];
    const odd = Buffer.from([0xff, 0x66]);
    for (const [root, text] of [
      [a, "1"],
      [b, "2"],
    ] as const) {
      mkdirSync(join(root, "sub"), { recursive: true });
      writeFileSync(join(root, "sub/same"), "same");
      writeFileSync(join(root, "sub/differs"), text);
      writeFileSync(Buffer.concat([bytes(`${root}/`), odd]), text);
      writeFileSync(join(root, "run"), "x");
      symlinkSync(`to-${text}`, join(root, "link"));
      symlinkSync(".", join(root, "loop"));
    }
    chmodSync(join(a, "run"), 0o755);
    chmodSync(join(b, "run"), 0o644);
    utimesSync(join(b, "sub/same"), 5, 5);
    writeFileSync(join(a, "kind"), "");
    mkdirSync(join(b, "kind"));
    writeFileSync(join(b, "sub/new"), "new");
    const found = await diff(a, b);
    assert.ok(found !== undefined);
    assert.deepEqual([...leavesOf(found)].map(told), [
      "kind: type file | folder",
      "link: field link to-1 | to-2",
      "run: field mode 0755 | 0644",
      "sub/differs: text 1 | 2",
      "sub/new: only-b  | file, 3 bytes",
      "ÿf: text 1 | 2",
    ]);
    const without = await diff(a, b, { excluded: (path) => !path.startsWith("sub") });
    assert.deepEqual(
      [...leavesOf(without ?? assert.fail())].map(({ path }) => path.join()),
      ["sub/differs", "sub/new"],
    );
    assert.equal(await diff(a, a), undefined);
  },
);

test("folders: files with another name are found by their content, the most alike first", async () => {
  const [a, b] = [fresh(), fresh()];
  const texts = ["one", "two", "three"].map((word) => `${word} `.repeat(60).replaceAll(" ", "\n"));
  for (const [root, names] of [
    [a, ["p", "q", "r"]],
    [b, ["x", "y", "z"]],
  ] as const) {
    mkdirSync(root);
    for (const [at, name] of names.entries()) {
      writeFileSync(join(root, name), `${name === "z" ? "changed\n" : ""}${texts[at] ?? ""}line of ${at}\n`);
    }
  }
  const found = await diff(a, b);
  assert.deepEqual([...leavesOf(found ?? assert.fail())].map(told), [
    "p → x: field name p | x",
    "q → y: field name q | y",
    "r → z: field name r | z",
    "r → z: text  | changed\n",
  ]);
});

test("folders: large files are compared by several threads, with the same outcome as by one", async () => {
  const [a, b] = [fresh(), fresh()];
  for (const root of [a, b]) {
    mkdirSync(root);
    for (const name of ["p.tar", "q.tar", "r.tar"]) {
      const members = Array.from({ length: 40 }, (_, at) => ({
        name: `m${at}`,
        content: Buffer.alloc(100_000, at + (root === b && at === 17 ? 1 : 0)),
      }));
      writeFileSync(join(root, name), tarBytes(members));
    }
  }
  const inThreads = await compareFolders(a, b, { prove: true });
  assert.deepEqual(inThreads.proof?.spaces, 6);
  const inner: (Difference | Leaf)[] = [];
  for (const name of ["p.tar", "q.tar", "r.tar"]) {
    const alone = await diff(join(a, name), join(b, name));
    if (alone !== undefined) inner.push(alone);
  }
  assert.deepEqual(inThreads.difference?.children, inner);
});

const failing = (pattern: RegExp) => (error: unknown) =>
  error instanceof BitforbitError && error.code === "input" && pattern.test(error.message);

test("a FIFO, a missing file, or a file against a folder: an answer or an error, and never a wait", async () => {
  const root = fresh();
  mkdirSync(root);
  await assert.rejects(diff(join(root, "absent"), root), failing(/absent: there is no such file or folder/));
  writeFileSync(join(root, "file"), "");
  assert.deepEqual([...leavesOf((await diff(join(root, "file"), root)) ?? assert.fail())].map(told), [
    "file: type file | folder",
  ]);
  if (!has("mkfifo")) return;
  execFileSync("mkfifo", [join(root, "pipe")]);
  await assert.rejects(diff(join(root, "pipe"), join(root, "file")), failing(/pipe: not a regular file/));
});

test("a file that is written to while it is read: an error that says so, in a folder a leaf", async () => {
  const [a, b] = [fresh(), fresh()];
  for (const root of [a, b]) mkdirSync(root);
  const inTar = (): DiffOptions => {
    writeFileSync(join(a, "f"), tarOf("one\n"));
    writeFileSync(join(b, "f"), tarOf("two\n"));
    return { expired: () => (appendFileSync(join(b, "f"), "x"), false) };
  };
  await assert.rejects(diff(join(a, "f"), join(b, "f"), inTar()), failing(/f: changed while it was read/));
  const [leaf] = [...leavesOf((await diff(a, b, inTar())) ?? assert.fail())];
  assert.match(leaf?.note ?? "", /cannot be read, so it counts as different: f: changed while it was read/);
});

test("what cannot be looked into is compared as bytes, and says why", async () => {
  const content = bytes("content ".repeat(100));
  const broken = Buffer.from(gzipBytes(content));
  broken[broken.length - 6] = (broken[broken.length - 6] ?? 0) ^ 1;
  const difference = await compare(gzipBytes(content), broken);
  assert.match(difference?.note ?? "", /not looked into as gzip: .*CRC-32/);
  assert.equal([...leavesOf(difference ?? assert.fail())].length, 1);
  const tight = { maxBytes: 1 << 16, maxRatio: 10, freeBytes: 0 };
  const bomb = await compare(gzipBytes(new Uint8Array(1 << 20)), gzipBytes(Buffer.alloc(1 << 20, 1)), {
    inflation: tight,
  });
  assert.match(bomb?.note ?? "", /not looked into as gzip: .*more than/);
});

const many = (mtime: number): Uint8Array =>
  tarBytes(Array.from({ length: 50 }, (_, at) => ({ name: `m${at}`, mtime, content: bytes("x") })));

test(
  "xz: goes down, tells the compressor's choice, and a bomb blocks nobody after it",
  { skip: !has("xz") },
  async () => {
    const text = bytes("some text to pack\n".repeat(3000));
    assert.deepEqual(await toldOf(xz(bytes("a\n"), "-0"), xz(bytes("b\n"), "-0")), ["x > unxz: text a\n | b\n"]);
    const [choice] = await leaves(xz(text, "-0"), xz(text, "-9e"));
    assert.equal(choice?.field, "compressed");
    const inflation = { maxBytes: 1 << 20, maxRatio: 1e9, freeBytes: 0 };
    const bombs = await compare(xz(Buffer.alloc(2 << 20), "-0"), xz(Buffer.alloc(2 << 20, 1), "-0"), { inflation });
    assert.match(notesOf(bombs), /not decoded: .*more than 1048576/);
    assert.equal((await toldOf(xz(bytes("a\n"), "-0"), xz(bytes("b\n"), "-0"))).length, 1);
  },
);

test("limits on depth and leaves end the way down, and lose no difference", async () => {
  const nest = (text: string, depth: number): Uint8Array =>
    depth === 0 ? bytes(text) : gzipBytes(nest(text, depth - 1));
  const deep = await compare(nest("a", 12), nest("b", 12), { maxDepth: 10 });
  const last = [...leavesOf(deep ?? assert.fail())].find(({ what }) => what === "bytes");
  assert.equal(last?.path.length, 11);
  const found = await leaves(many(1), many(2), { maxLeaves: 10 });
  assert.equal(found.filter(({ field }) => field === "mtime").length, 10);
  const rest = found.filter(({ what, note }) => what === "bytes" && /over 10 differences/.test(note ?? ""));
  assert.equal(rest.at(-1)?.ranges[0]?.a.offset, 10 * 1024);
});

const packedText = (mark: string): Uint8Array =>
  gzipBytes(bytes(`${"some text\n".repeat(30_000)}${mark}`), { level: 1 });

test("large decompressed content goes to the temporary folder, and leaves nothing there", async () => {
  const temporary = fresh();
  mkdirSync(temporary);
  const options = { temporary, maxInMemory: 1 << 16 };
  assert.deepEqual((await leaves(packedText("one\n"), packedText("two\n"), options)).map(told).slice(0, 1), [
    "x > gunzip: text one\n | two\n",
  ]);
  assert.deepEqual(readdirSync(temporary), []);
});

const treeArbitrary: fc.Arbitrary<Member[]> = fc.uniqueArray(
  fc.record({
    name: fc.stringMatching(/^[a-d]{1,3}$/),
    content: fc.oneof(fc.uint8Array({ maxLength: 700 }), fc.stringMatching(/^([a-c]{0,3}\n){0,9}$/).map(bytes)),
    mtime: fc.nat(3),
    mode: fc.constantFrom(0o644, 0o755),
    uname: fc.constantFrom("", "u"),
  }),
  { selector: ({ name }) => name, maxLength: 5 },
);

test("nothing differs exactly when the bytes are equal: random archives", async () => {
  const wraps = [(tar: Uint8Array) => tar, (tar: Uint8Array) => gzipBytes(tar, { level: 1 })];
  await fc.assert(
    fc.asyncProperty(treeArbitrary, treeArbitrary, fc.constantFrom(...wraps), async (one, two, wrap) => {
      const [a, b] = [wrap(tarBytes(one)), wrap(tarBytes(two))];
      assert.equal(await compare(a, a.slice()), undefined);
      const difference = await compare(a, b);
      assert.equal(difference === undefined, Buffer.compare(a, b) === 0);
      if (difference !== undefined) assert.ok([...leavesOf(difference)].length > 0);
    }),
    { numRuns: 200 },
  );
});

/** True when some leaf holds the byte at `at` of the root's bytes, on side A. */
function holds(node: Difference, at: number): boolean {
  return node.children.some((child) => {
    if (child.kind === "leaf")
      return child.ranges.some(({ a }) => at >= a.offset && at < a.offset + Math.max(a.length, 1));
    const place = child.place?.a;
    if (place === undefined || child.decoding !== undefined) return false;
    return at >= place.offset && at < place.offset + place.length && holds(child, at - place.offset);
  });
}

test("every byte that is changed lies in a leaf, wherever in an archive it is", async () => {
  const tar = tarBytes([
    { name: "first", content: bytes("one\ntwo\nthree\n"), mtime: 5 },
    { name: `${"é".repeat(70)}`, content: Buffer.alloc(600, 1), mtime: 1.5 },
  ]);
  await fc.assert(
    fc.asyncProperty(fc.nat(tar.length - 1), fc.integer({ min: 1, max: 255 }), async (at, flip) => {
      const changed = tar.slice();
      changed[at] = (changed[at] ?? 0) ^ flip;
      assert.ok(holds((await compare(tar, changed)) ?? assert.fail(), at), `byte ${at}`);
    }),
    { numRuns: 400 },
  );
  const zip = zipBytes([
    { name: "a", content: bytes("some content"), stored: true },
    { name: "b", content: bytes("b\n".repeat(80)) },
  ]);
  for (let at = 0; at < zip.length; at++) {
    const changed = zip.slice();
    changed[at] = (changed[at] ?? 0) ^ 4;
    assert.ok(holds((await compare(zip, changed)) ?? assert.fail(), at), `byte ${at}`);
  }
});

const asZip = (members: readonly Member[]): Uint8Array =>
  zipBytes(members.map(({ name, content }) => ({ name: String(name), content: content ?? new Uint8Array(0) })));

test("members in another order are told as moved, and those that changed as well are still compared", async () => {
  const names = ["a", "b", "c", "d", "e"];
  const one = names.map((name) => fileOf(name, `${name} as it was\n`));
  const other = ["e", "a", "b", "c", "d"].map((name) =>
    fileOf(name, name === "e" ? "e as it is\n" : `${name} as it was\n`),
  );
  for (const pack of [tarBytes, asZip]) {
    assert.deepEqual(await toldOf(pack(one), pack(other)), [
      "x: order from place 1: a, b, c, d, e | from place 1: e, a, b, c, d",
      "x > e: text e as it was\n | e as it is\n",
    ]);
  }
});

test("what has another name and the same content, or nearly, is told as renamed", async () => {
  const text = Array.from({ length: 40 }, (_, at) => `line ${at} of some file\n`).join("");
  const one = [fileOf("old-name", text), fileOf("z", "z")];
  for (const pack of [tarBytes, asZip]) {
    assert.deepEqual(await toldOf(pack(one), pack([fileOf("new-name", text), fileOf("z", "z")])), [
      "x > old-name → new-name: field name old-name | new-name",
    ]);
  }
  assert.deepEqual(
    await toldOf(tarBytes(one), tarBytes([fileOf("new-name", text.replace("line 7 ", "LINE 7 ")), fileOf("z", "z")])),
    [
      "x > old-name → new-name: field name old-name | new-name",
      "x > old-name → new-name: text line 7 of some file\n | LINE 7 of some file\n",
    ],
  );
});

test("whatever is done to an archive, comparing it ends, and never with anything but a difference", async () => {
  const originals = [
    tarBytes([{ name: "é", content: bytes("text\n") }]),
    gzipBytes(tarBytes([{ name: "a", content: bytes("text\n") }]), { name: "n" }),
    zipBytes([{ name: "a", content: bytes("text ".repeat(50)) }]),
  ];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...originals),
      fc.array(fc.tuple(fc.nat(3000), fc.nat(255)), { minLength: 1, maxLength: 5 }),
      fc.nat(3000),
      async (original, changes, cut) => {
        const changed = original.slice(0, cut % 3 === 0 ? cut : original.length);
        for (const [at, value] of changes) if (at < changed.length) changed[at] = value;
        const difference = await compare(original, changed);
        assert.equal(difference === undefined, Buffer.compare(original, changed) === 0);
      },
    ),
    { numRuns: 600 },
  );
});
