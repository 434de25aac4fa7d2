import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import * as fc from "fast-check";
import { utf8, utf8Text } from "../bytes.ts";
import { memorySource, openSource } from "../bytesource.ts";
import { BitforbitError } from "../errors.ts";
import { TAR_END, tarBytes, tarHeader } from "../format/tar-write.ts";
import { tarChecksum } from "../format/tar-header.ts";
import { removeTree } from "../tree.ts";
import { type FolderNode, LAYER_LIMITS, LayerTree } from "./layers.ts";
import { file, folder, hardLink, link, type Member, whiteout } from "./test-images.ts";

const home = mkdtempSync(join(tmpdir(), "bitforbit-layers-"));
after(() => removeTree(home));

async function stacked(layers: readonly (readonly Member[])[], limits = LAYER_LIMITS): Promise<LayerTree> {
  const tree = new LayerTree(limits);
  for (const members of layers) await tree.apply(memorySource(tarBytes(members), "layer"));
  return tree;
}

/** Paths with what is there: a folder's slash, a file's content, a link's target. */
function listing(root: FolderNode, path = ""): Record<string, string> {
  const found: Record<string, string> = {};
  for (const [name, { node }] of [...root.children].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const at = `${path}${name}`;
    if (node.type === "folder") Object.assign(found, { [`${at}/`]: "" }, listing(node, `${at}/`));
    else if (node.type === "link") found[at] = `-> ${node.target}`;
    else found[at] = utf8Text(node.source.read(node.at, node.size)) ?? "?";
  }
  return found;
}

const outcome = async (...layers: Member[][]): Promise<Record<string, string>> => listing((await stacked(layers)).root);

test("a whiteout hides what is below, wherever it stands in its layer, and nothing of its own layer", async () => {
  const lower = [folder("a"), file("a/x"), file("a/y"), folder("a/d"), file("a/d/z")];
  assert.deepEqual(await outcome(lower, [whiteout("a/.wh.x")]), {
    "a/": "",
    "a/d/": "",
    "a/d/z": "a/d/z",
    "a/y": "a/y",
  });
  const both = { "a/": "", "a/d/": "", "a/d/new": "n", "a/x": "new", "a/y": "a/y" };
  const added = [file("a/x", "new"), file("a/d/new", "n")];
  const hidden = [whiteout("a/.wh.x"), whiteout("a/.wh.d")];
  assert.deepEqual(await outcome(lower, [...hidden, ...added]), both);
  assert.deepEqual(await outcome(lower, [...added, ...hidden]), both);
  assert.deepEqual(
    await outcome(lower, [whiteout("a/.wh.absent"), whiteout("b/.wh.x"), whiteout("a/x/.wh.y")]),
    await outcome(lower),
  );
  // A whiteout of a whiteout's layer does not bring back what was hidden before.
  assert.deepEqual(await outcome(lower, [whiteout(".wh.a")], [folder("a")]), { "a/": "" });
});

test("an opaque folder shows its own layer's content only", async () => {
  const lower = [folder("a"), file("a/x"), folder("a/d"), file("a/d/z"), file("b")];
  const own = [file("a/new"), file("a/d/own")];
  const expected = { "a/": "", "a/d/": "", "a/d/own": "a/d/own", "a/new": "a/new", b: "b" };
  assert.deepEqual(await outcome(lower, [whiteout("a/.wh..wh..opq"), ...own]), expected);
  assert.deepEqual(await outcome(lower, [...own, whiteout("a/.wh..wh..opq")]), expected);
  assert.deepEqual(await outcome(lower, [file("c"), whiteout(".wh..wh..opq")]), { c: "c" });
  assert.deepEqual(await outcome(lower, [whiteout("a/.wh..wh.plnk"), file(".wh..wh.plnk/1.2")]), await outcome(lower));
});

test("a folder that is hidden and begun again has nothing of the old one's modes", async () => {
  const lower = [folder("a", { mode: 0o700, mtime: 5 }), file("a/x")];
  for (const layer of [
    [whiteout(".wh.a"), file("a/new")],
    [file("a/new"), whiteout(".wh.a")],
  ]) {
    const { root } = await stacked([lower, layer]);
    const node = root.children.get("a")?.node;
    assert.ok(node?.type === "folder");
    assert.deepEqual([node.mode, node.mtime, [...node.children.keys()]], [0o755, 0, ["new"]]);
  }
});

test("kinds replace each other, and folders keep what they hold", async () => {
  const lower = [folder("a"), file("a/x"), link("l", "a"), file("f")];
  assert.deepEqual(await outcome(lower, [file("a", "file")]), { a: "file", f: "f", l: "-> a" });
  assert.deepEqual(await outcome(lower, [folder("l"), file("l/y")]), {
    "a/": "",
    "a/x": "a/x",
    f: "f",
    "l/": "",
    "l/y": "l/y",
  });
  assert.deepEqual(await outcome(lower, [folder("a", { mode: 0o700 })]), await outcome(lower));
  await assert.rejects(stacked([lower, [file("f/x")]]), /"f\/x" is to be written below a file/);
});

test("links on the way are followed inside the root and never out of it", async () => {
  const lower = [
    folder("usr"),
    folder("usr/bin"),
    link("bin", "usr/bin"),
    link("out", "../../../../usr"),
    link("abs", "/usr/bin"),
  ];
  const tree = await outcome(lower, [file("bin/a"), file("out/b"), file("abs/c"), whiteout("bin/.wh.none")]);
  assert.equal(tree["usr/bin/a"], "bin/a");
  assert.equal(tree["usr/b"], "out/b");
  assert.equal(tree["usr/bin/c"], "abs/c");
  assert.equal((await outcome([link("dangling", "/no/where"), file("dangling/x")]))["no/where/x"], "dangling/x");
  assert.equal((await outcome(lower, [file("abs/gone")], [whiteout("bin/.wh.gone")]))["usr/bin/gone"], undefined);
  await assert.rejects(stacked([[link("a", "b"), link("b", "a"), file("a/x")]]), /leads round in links/);
  await assert.rejects(stacked([[link("a", "a/a/a"), file("a/x")]]), /leads round in links/);
});

test("hard links share a file across layers, and outlive its first name", async () => {
  const lower = [folder("a"), file("a/x", "content"), link("a/l", "x"), link("b", "a")];
  const { root } = await stacked([lower, [hardLink("y", "b/x"), hardLink("k", "a/l"), whiteout("a/.wh.x")]]);
  assert.deepEqual(listing(root), { "a/": "", "a/l": "-> x", b: "-> a", k: "-> x", y: "content" });
  await assert.rejects(stacked([[hardLink("y", "a/x")]]), /"y" is a hard link to "a\/x", which is not there/);
  await assert.rejects(stacked([lower, [hardLink("y", "a")]]), /a hard link to "a", a folder/);
  await assert.rejects(stacked([lower, [hardLink("y", "../a/x")]]), /leaves the root/);
});

test("names that lead out, or that no file can have, are refused", async () => {
  for (const name of ["../x", "a/../../x", "a/.."]) {
    await assert.rejects(stacked([[file(name)]]), /leaves the root, or could/, name);
  }
  assert.deepEqual(await outcome([file("/etc/x"), file("./y"), file("z//w")]), {
    "etc/": "",
    "etc/x": "/etc/x",
    y: "./y",
    "z/": "",
    "z/w": "z//w",
  });
  assert.equal((await stacked([[file("/etc/x")]])).notes.absolute, 1);
  await assert.rejects(stacked([[file(".wh.d/x")]]), /stands in a whiteout/);
  for (const name of [".wh.", ".wh..", ".wh..."]) {
    await assert.rejects(stacked([[whiteout(`a/${name}`)]]), /whiteout of nothing/, name);
  }
  await assert.rejects(stacked([[file("n".repeat(256))]]), /a name longer than 255 bytes/);
  await assert.rejects(stacked([[file("d/".repeat(300) + "x")]]), /over 256 folders deep/);
  await assert.rejects(stacked([[file(`${"n".repeat(200)}/`.repeat(16) + "x")]]), /a path over 3072 bytes/);
  await assert.rejects(stacked([[link("x", "")]]), /links to nothing/);
});

test("what is too much is said with its bound", async () => {
  const limits = { ...LAYER_LIMITS, maxEntries: 3, maxBytes: 10 };
  await assert.rejects(
    stacked(
      [
        [file("a", ""), file("b", "")],
        [file("c", ""), file("d", "")],
      ],
      limits,
    ),
    /over 3 members \(maxEntries\)/,
  );
  await assert.rejects(
    stacked([[file("a", "123456")], [file("a", "123456")]], limits),
    /over 10 bytes of files \(maxBytes\)/,
  );
});

function special(name: string, type: string): Uint8Array {
  const header = tarHeader({ name, size: 0 });
  header[156] = type.charCodeAt(0);
  header.set(Buffer.from(`${tarChecksum(header).toString(8).padStart(6, "0")}\0 `), 148);
  return header;
}

test("devices and FIFOs are left out and said, set-id bits dropped and said", async () => {
  const tree = await stacked([[folder("dev"), file("dev/null", "a file"), file("su", "x", { mode: 0o4755 })]]);
  const tar = Buffer.concat([special("dev/null", "3"), special("dev/sda", "4"), special("dev/pipe", "6"), TAR_END]);
  await tree.apply(memorySource(tar, "layer 2"));
  assert.deepEqual(listing(tree.root), { "dev/": "", su: "x" });
  assert.deepEqual([tree.notes.specialFiles, tree.notes.specialExamples[0]], [3, "dev/null"]);
  assert.deepEqual(tree.notes.setIdExamples, ["su"]);
  const unknown = Buffer.concat([special("odd", "Z"), TAR_END]);
  await assert.rejects(tree.apply(memorySource(unknown, "layer 3")), /layer 3: "odd" is a member of type "Z"/);
});

test("GNU tar's sparse files, in each of its formats, become what they were", async () => {
  const path = join(home, "holes");
  const descriptor = openSync(path, "w");
  ftruncateSync(descriptor, 3_000_000);
  for (let piece = 0; piece < 30; piece++) writeSync(descriptor, `piece ${piece}`, 8192 + piece * 90_112);
  closeSync(descriptor);
  const content = readFileSync(path);
  for (const format of [
    ["--format=gnu"],
    ["--format=posix", "--sparse-version=0.1"],
    ["--format=posix", "--sparse-version=1.0"],
  ]) {
    const tar = join(home, "sparse.tar");
    const made = spawnSync("tar", ["-cSf", tar, ...format, "-C", home, "holes"], { encoding: "utf8" });
    assert.equal(made.status, 0, made.stderr);
    const source = openSource(tar);
    assert.ok(source.size < 1_000_000, "the archive holds the holes");
    const tree = new LayerTree();
    await tree.apply(source);
    const node = tree.root.children.get("holes")?.node;
    assert.ok(node?.type === "file" && node.pieces !== undefined, format.join(" "));
    const made2 = Buffer.alloc(node.size);
    for (const piece of node.pieces) made2.set(source.read(piece.at, piece.length), piece.offset);
    assert.ok(made2.equals(content), format.join(" "));
    source.close();
  }
});

/** The rules of the specification over a flat map of paths: no links, no order within a layer but for entries. */
function modelled(layers: readonly (readonly Member[])[]): Record<string, string> {
  let state = new Map<string, string>();
  for (const members of layers) {
    const names = members.map((member) => String(member.name));
    for (const name of names.filter((one) => one.includes(".wh."))) {
      const parent = name.slice(0, name.lastIndexOf("/") + 1);
      const hidden = name.slice(parent.length + ".wh.".length);
      if (hidden === ".wh..opq")
        state = new Map([...state].filter(([path]) => !path.startsWith(parent) || path === parent));
      else
        state = new Map(
          [...state].filter(([path]) => path !== parent + hidden && !path.startsWith(`${parent}${hidden}/`)),
        );
    }
    for (const member of members) {
      const name = String(member.name);
      if (name.includes(".wh.")) continue;
      const parts = name.split("/").slice(0, name.endsWith("/") ? -2 : -1);
      for (let length = 1; length <= parts.length; length++) state.set(`${parts.slice(0, length).join("/")}/`, "");
      if (name.endsWith("/")) {
        state.delete(name.slice(0, -1));
        state.set(name, "");
      } else {
        state = new Map([...state].filter(([path]) => !path.startsWith(`${name}/`)));
        state.set(name, utf8Text(member.content ?? new Uint8Array(0)) ?? "");
      }
    }
  }
  return Object.fromEntries([...state].sort(([a], [b]) => (a < b ? -1 : 1)));
}

test("property: any stack of layers is what the specification's rules over flat paths give", async () => {
  const name = fc.constantFrom("a", "b", "c");
  const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"));
  const below = fc.array(name, { maxLength: 2 }).map((names) => names.map((one) => `${one}/`).join(""));
  // Folders and files never take the same name here: that a file is no folder is another test's.
  const member: fc.Arbitrary<Member> = fc.oneof(
    fc
      .tuple(path, fc.string({ maxLength: 3, unit: "grapheme-ascii" }))
      .map(([at, content]) => file(`${at}/f`, content)),
    path.map((at) => folder(at)),
    fc.tuple(below, fc.constantFrom("a", "b", "c", "f")).map(([at, hidden]) => whiteout(`${at}.wh.${hidden}`)),
    below.map((at) => whiteout(`${at}.wh..wh..opq`)),
  );
  const layers = fc.array(fc.array(member, { maxLength: 8 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(layers, async (stack) => {
      const sorted = Object.entries(listing((await stacked(stack)).root)).sort(([a], [b]) => (a < b ? -1 : 1));
      assert.deepEqual(Object.fromEntries(sorted), modelled(stack));
    }),
    { numRuns: 2000 },
  );
});

test("property: hostile names and links end in a tree within bounds or in an error of ours", async () => {
  const part = fc.constantFrom("a", "b", "..", ".", "", ".wh.a", ".wh..wh..opq", "c", "a".repeat(256), "\u00e9");
  const path = fc.array(part, { maxLength: 5 }).map((parts) => parts.join("/") || "x");
  const member: fc.Arbitrary<Member> = fc.oneof(
    path.map((at) => file(at)),
    path.map((at) => folder(at)),
    fc.tuple(path, path).map(([at, to]) => link(at, to)),
    fc.tuple(path, path).map(([at, to]) => link(at, `/${to}`)),
    fc.tuple(path, path).map(([at, to]) => hardLink(at, to)),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(member, { maxLength: 6 }), { maxLength: 3 }), async (stack) => {
      const tree = new LayerTree();
      for (const members of stack) {
        // Each for itself, so that one refusal does not hide what comes after it.
        for (const one of members) {
          await tree.apply(memorySource(tarBytes([one]), "layer")).catch((error: unknown) => {
            if (!(error instanceof BitforbitError)) throw error;
          });
        }
      }
      for (const at of Object.keys(listing(tree.root))) {
        const names = at.replace(/\/$/, "").split("/");
        assert.ok(
          names.every((name) => name !== "" && name !== "." && name !== ".." && !name.startsWith(".wh.")),
          at,
        );
      }
    }),
    { numRuns: 1500 },
  );
});

test("property: damaged layers end in an error of ours or in a tree", async () => {
  const good = tarBytes([
    folder("a"),
    file("a/x", "content"),
    link("l", "a"),
    hardLink("h", "a/x"),
    whiteout("a/.wh.y"),
  ]);
  const damage = fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(damage, fc.nat(good.length), fc.boolean(), async (changes, length, repair) => {
      const bytes = good.slice(0, repair ? good.length : length);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      // Half of them get checksums that hold again, so that the damage is seen further in.
      for (let at = repair ? 0 : bytes.length; at + 512 <= bytes.length; at += 512) {
        const header = bytes.subarray(at, at + 512);
        if (header[257] === 0x75) header.set(utf8(`${tarChecksum(header).toString(8).padStart(6, "0")}\0 `), 148);
      }
      await new LayerTree().apply(memorySource(bytes, "layer")).catch((error: unknown) => {
        if (!(error instanceof BitforbitError)) throw error;
      });
    }),
    { numRuns: 1500 },
  );
});
