import { strict as assert } from "node:assert";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import * as fc from "fast-check";
import { memorySource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { tarBytes, type TarMember } from "../format/tar-write.ts";
import { removeTree } from "../tree.ts";
import { type ControlFiles, controlFiles } from "./dpkg-database.ts";
import { RootPlan } from "./root-plan.ts";
import { unpackData, type UnpackTarget } from "./unpack.ts";

const folder = mkdtempSync(join(tmpdir(), "bitforbit-unpack-"));
after(async () => await removeTree(folder));

type Member = TarMember & { content?: Uint8Array };

function controlOf(name: string, fields = "", files: Record<string, string> = {}): ControlFiles {
  const text = `Package: ${name}\nVersion: 1\nArchitecture: amd64\n${fields}Description: x\n`;
  const members = Object.entries({ control: text, ...files }).map(
    ([key, value]) => [key, { mode: 0o644, content: new Uint8Array(Buffer.from(value)) }] as const,
  );
  return controlFiles(new Map(members), { name, version: "1", architecture: "amd64", sha256: "0".repeat(64), size: 1 });
}

let count = 0;

function emptyTarget(...controls: ControlFiles[]): UnpackTarget {
  const root = join(folder, `case-${count++}`, "root");
  mkdirSync(root, { recursive: true });
  return {
    root,
    plan: new RootPlan(),
    temporary: folder,
    controls: new Map(controls.map((one) => [one.infoName, one])),
    owner: undefined,
    diversions: new Map(),
  };
}

const file = (name: string, content = "x", mode = 0o644): Member => {
  return { name, mode, content: new Uint8Array(Buffer.from(content)), size: content.length };
};
const link = (name: string, linkName: string): Member => ({ name, type: "2", linkName, mode: 0o777, size: 0 });
const special = (name: string, type: "3" | "6"): Member => ({ name, type: type as "0", mode: 0o666, size: 0 });
const dir = (name: string, mode = 0o755): Member => ({ name, type: "5", mode, size: 0 });

async function unpack(target: UnpackTarget, control: ControlFiles, ...members: Member[]): Promise<string[]> {
  return (await unpackData(memorySource(tarBytes(members), control.name), control, target)).paths;
}

const failing = (code: string, pattern: RegExp) => (error: unknown) => {
  assert.ok(error instanceof BitforbitError, String(error));
  assert.equal(error.code, code);
  assert.match(error.message, pattern);
  return true;
};

test("folders that a merged system has as links become links, whatever packages say", async () => {
  const one = controlOf("one");
  const target = emptyTarget(one);
  const paths = await unpack(
    target,
    one,
    dir("./"),
    dir("./bin/"),
    file("./bin/sh", "shell", 0o4755),
    file("./lib64/ld.so"),
  );
  assert.equal(readlinkSync(join(target.root, "bin")), "usr/bin");
  assert.equal(readFileSync(join(target.root, "usr/bin/sh"), "utf8"), "shell");
  assert.equal(statSync(join(target.root, "usr/bin/sh")).mode & 0o7777, 0o755);
  assert.equal(readlinkSync(join(target.root, "lib64")), "usr/lib64");
  assert.deepEqual(paths, ["/.", "/bin", "/bin/sh", "/lib64/ld.so"]);
});

test("files behind another package's link land inside the root, wherever the link points", async () => {
  const [one, two] = [controlOf("one"), controlOf("two")];
  const target = emptyTarget(one, two);
  const outside = join(folder, "outside");
  mkdirSync(outside);
  await unpack(target, one, link("usr/a", outside), link("usr/b", "../../../../../../etc"), link("usr/c", "/usr/b"));
  await unpack(target, two, file("usr/a/x"), file("usr/b/y"), file("usr/c/z"));
  assert.deepEqual(readdirSync(outside), []);
  assert.ok(existsSync(join(target.root, outside, "x")), "an absolute target begins at the root");
  assert.deepEqual(readdirSync(join(target.root, "etc")), ["y", "z"]);
});

test("names that lead out, devices, and links in circles are refused", async () => {
  const one = controlOf("one");
  const cases: [Member[], RegExp][] = [
    [[file("../evil")], /leaves the root/],
    [[file("/evil")], /absolute path/],
    [[file("usr/../../evil")], /leaves the root/],
    [[special("dev/null", "3")], /a device or FIFO/],
    [[special("fifo", "6")], /a device or FIFO/],
    [[link("a", "b"), link("b", "a"), file("a/x")], /round in links/],
    [[link("usr", "."), file("bin/x")], /\/usr, which is no folder/],
    [[file("a"), file("a/x")], /which is no folder/],
    [[{ name: "a", type: "1", linkName: "../../etc/passwd", mode: 0o644, size: 0 }], /leaves the root/],
    [[{ name: "a", type: "1", linkName: "nothing", mode: 0o644, size: 0 }], /hard link to no file/],
  ];
  for (const [members, pattern] of cases) {
    await assert.rejects(unpack(emptyTarget(one), one, ...members), failing("refused", pattern));
  }
});

test("of two packages with one file, Replaces and equal copies decide as dpkg has it", async () => {
  const old = controlOf("old");
  const taker = controlOf("taker", "Replaces: old (<< 2), other\n");
  for (const order of [
    [old, taker],
    [taker, old],
  ]) {
    const target = emptyTarget(old, taker);
    for (const one of order) await unpack(target, one, file("etc/x", one.name));
    assert.equal(readFileSync(join(target.root, "etc/x"), "utf8"), "taker");
  }
  const [a, b] = [controlOf("a"), controlOf("b")];
  const target = emptyTarget(a, b);
  await unpack(target, a, file("etc/x", "same"));
  await assert.rejects(unpack(target, b, file("etc/x", "same")), failing("input", /b and a both have \/etc\/x/));
});

test("diverted files go where they are diverted to, unless the diverter brings them", async () => {
  const [a, b] = [controlOf("a"), controlOf("b")];
  const target = { ...emptyTarget(a, b), diversions: new Map([["usr/bin/x", { to: "usr/bin/x.old", by: "b" }]]) };
  await unpack(target, a, file("usr/bin/x", "a"));
  await unpack(target, b, file("usr/bin/x", "b"));
  assert.equal(readFileSync(join(target.root, "usr/bin/x"), "utf8"), "b");
  assert.equal(readFileSync(join(target.root, "usr/bin/x.old"), "utf8"), "a");
});

test("nothing is written outside of the root, whatever a package holds", async () => {
  const names = fc.constantFrom("a", "b", "bin", "usr", "..", ".", "", "a b", "é");
  const path = fc.array(names, { minLength: 1, maxLength: 5 }).map((parts) => parts.join("/"));
  const target = fc.oneof(
    path,
    path.map((one) => `/${one}`),
  );
  const members = fc.array(
    fc.oneof(
      path.map((name) => file(name)),
      path.map((name) => dir(name)),
      fc.tuple(path, target).map(([name, to]) => link(name, to || "x")),
      fc
        .tuple(path, path)
        .map(([name, to]): Member => ({ name, type: "1", linkName: to || "x", mode: 0o644, size: 0 })),
    ),
    { maxLength: 12 },
  );
  const one = controlOf("one");
  await fc.assert(
    fc.asyncProperty(members, async (given) => {
      const place = emptyTarget(one);
      const usable = given.filter(({ name }) => name !== "");
      await unpack(place, one, ...usable).catch((error: unknown) => {
        assert.ok(error instanceof BitforbitError, String(error));
      });
      assert.deepEqual(readdirSync(join(place.root, "..")), ["root"]);
      assert.ok(lstatSync(place.root).isDirectory());
    }),
    { numRuns: 150 },
  );
  assert.ok(readdirSync(folder).every((name) => /^(?:case-\d+|outside)$/.test(name)));
});

test("a package that is another than the lock says is refused", () => {
  const members = new Map([
    ["control", { mode: 0o644, content: new Uint8Array(Buffer.from("Package: x\nVersion: 2\nArchitecture: all\n")) }],
  ]);
  const locked = { name: "x", version: "1", architecture: "all", sha256: "0".repeat(64), size: 1 };
  assert.throws(() => controlFiles(members, locked), failing("refused", /locked as x 1 says that its version is 2/));
});
