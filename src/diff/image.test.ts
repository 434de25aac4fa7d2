import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { survives } from "../../test/parts.ts";
import { utf8 } from "../bytes.ts";
import { hexOf } from "../digest.ts";
import { imageTarParts } from "../format/image-tar.ts";
import { tarBytes } from "../format/tar-write.ts";
import {
  blobOf,
  file,
  folder,
  imageOf,
  indexOf,
  type MadeBlob,
  type MadeImage,
  type Member,
  plainLayer,
  whiteout,
  writeLayout,
} from "../oci/test-images.ts";
import { pushed, startRegistry, WITHOUT_REGISTRY } from "../oci/test-registry.ts";
import { compare, type DiffOptions } from "./diff.ts";
import { type Leaf, leavesOf } from "./difference.ts";
import { imageInput } from "./image-named.ts";

const home = mkdtempSync(join(tmpdir(), "bitforbit-image-"));
after(() => rmSync(home, { recursive: true, force: true }));

const base = [folder("etc"), file("etc/conf", "one\n"), file("etc/kept", "kept\n")];
const first = imageOf([base, [file("etc/conf", "two\n"), whiteout("etc/.wh.kept")]], { env: ["KEY=a"] });
const second = imageOf([base, [file("etc/conf", "three\n"), file("etc/more", "more\n")]], { env: ["KEY=b"] });

function layout(
  name: string,
  image: MadeImage,
  top: MadeBlob = image.manifest,
  more: readonly MadeBlob[] = [],
): string {
  const path = join(home, name);
  writeLayout(path, { latest: top }, [...image.blobs, image.manifest, ...more]);
  return path;
}

async function leaves(a: string, b: string, options: DiffOptions = {}): Promise<string[]> {
  const { difference } = await compare(a, b, { prove: true, temporary: home, ...options });
  return difference === undefined ? [] : [...leavesOf(difference)].map(told);
}

function told({ path, what, field, a, b }: Leaf): string {
  return [
    path.slice(1).join(" › "),
    field ?? what,
    ...(a === undefined ? [] : [a]),
    ...(b === undefined ? [] : [b]),
  ].join(" | ");
}

test("layouts: documents, the layer that differs, and what all layers amount to", async () => {
  const found = await leaves(layout("a", first), layout("b", second));
  const text = found.join("\n");
  assert.match(text, /^config/m);
  assert.match(text, /^layer 2 › gunzip › etc\/conf \| text \| two\n \| three/m);
  assert.doesNotMatch(text, /layer 1/);
  assert.ok(found.includes("all layers together › etc/conf | content | 4 bytes | 6 bytes"), text);
  assert.ok(found.includes("all layers together › etc/kept | only-b | file, 5 bytes"), text);
  assert.ok(found.includes("all layers together › etc/more | only-b | file, 5 bytes"), text);
  assert.deepEqual(await leaves(layout("c", first), layout("d", first)), []);
});

test("a file beside the image, and a blob that nothing names, are told", async () => {
  const [a, b] = [layout("e", first), layout("f", first)];
  writeFileSync(join(a, "README"), "read me\n");
  writeFileSync(join(b, "blobs/sha256", "0".repeat(64)), "left over\n");
  const found = (await leaves(a, b)).map((line) => line.split(" | ")[1]);
  assert.deepEqual(found.toSorted(), ["only-a", "only-b"]);
});

test("a layer in between moves the others, which are found by their content", async () => {
  const more: Member[] = [file("etc/between", "between\n")];
  const longer = imageOf([base, more, [file("etc/conf", "two\n"), whiteout("etc/.wh.kept")]], { env: ["KEY=a"] });
  const found = await leaves(layout("g", first), layout("h", longer));
  assert.equal(found.filter((line) => line.startsWith("layer")).length, 1, found.join("\n"));
  assert.match(found.join("\n"), /^layer 2 \| only-b/m);
  assert.ok(found.includes("all layers together › etc/between | only-b | file, 8 bytes"));
});

test("the same layers in another order are told as an order", async () => {
  const [x, y] = [[file("x")], [file("y")]];
  const found = await leaves(layout("i", imageOf([x, y])), layout("j", imageOf([y, x])));
  const text = found.join("\n");
  assert.match(text, /^ \| order \| from place 1: layer 1, layer 2 \| from place 1: layer 2, layer 1$/m);
  assert.doesNotMatch(text, /only-|all layers/);
});

test("images for several platforms are paired, or one is chosen", async () => {
  const arm = imageOf([base], { architecture: "arm64" });
  const top = (image: MadeImage): MadeBlob =>
    indexOf([
      { image, platform: { os: "linux", architecture: "amd64" } },
      { image: arm, platform: { os: "linux", architecture: "arm64" } },
    ]);
  const blobs = [...arm.blobs, arm.manifest];
  const [a, b] = [layout("k", first, top(first), [...blobs, top(first)]), layout("l", second, top(second), blobs)];
  const found = (await leaves(a, b)).join("\n");
  assert.match(found, /^linux\/amd64 › layer 2/m);
  assert.doesNotMatch(found, /arm64 ›/);
  const platform = { os: "linux", architecture: "arm64", variant: undefined };
  const chosen = await leaves(a, b, { images: { platform } });
  assert.deepEqual(
    chosen.filter((line) => !line.startsWith("index")),
    [],
  );
  const none = { os: "linux", architecture: "s390x", variant: undefined };
  await assert.rejects(leaves(a, b, { images: { platform: none } }), /has no image for linux\/s390x/);
});

/** What `docker save` wrote before it wrote layouts. */
function saved(name: string, members: readonly Member[][]): string {
  const layers = members.map((layer) => plainLayer(layer));
  const image = imageOf([], { packed: layers });
  const [config] = image.blobs;
  assert.ok(config !== undefined);
  const names = layers.map(({ diffId }) => `${hexOf(diffId)}.tar`);
  const list = [{ Config: `${hexOf(config.digest)}.json`, RepoTags: ["name:latest"], Layers: names }];
  const path = join(home, name);
  writeFileSync(
    path,
    tarBytes([
      ...layers.map(({ blob }, at) => ({ ...file(names[at] ?? ""), content: blob.bytes })),
      { ...file(`${hexOf(config.digest)}.json`), content: config.bytes },
      { ...file("manifest.json"), content: utf8(JSON.stringify(list)) },
    ]),
  );
  return path;
}

test("archives of docker: members by what they are, complete to the last byte", async () => {
  const a = saved("a.tar", [base, [file("etc/conf", "two\n")]]);
  const b = saved("b.tar", [base, [file("etc/conf", "four\n")]]);
  const { difference, proof } = await compare(a, b, { prove: true });
  assert.ok(difference !== undefined && (proof?.spaces ?? 0) > 3);
  const found = [...leavesOf(difference)].map(told).join("\n");
  assert.match(found, /layer 2 › etc\/conf \| text \| two\n \| four/);
  assert.match(found, /all layers together › etc\/conf \| content/);
});

test("an archive of docker and a layout are compared by what they hold", async () => {
  const found = await leaves(saved("c.tar", [base, [file("etc/conf", "two\n")]]), layout("m", second));
  assert.ok(found.includes(" | type | docker archive | OCI image"), found.join("\n"));
  assert.match(found.join("\n"), /layer 2 › decompressed › etc\/conf \| text \| two\n \| three/);
});

test("references to a registry", { skip: WITHOUT_REGISTRY }, async () => {
  const registry = await startRegistry(join(home, "registry"));
  try {
    await registry.push("team/base", ...pushed(first, "one"));
    await registry.push("team/base", ...pushed(second, "two"));
    const name = `${registry.host}/team/base`;
    const found = (await leaves(`${name}:one`, `${name}@${second.manifest.digest}`, { temporary: home })).join("\n");
    assert.match(found, /^layer 2 › gunzip › etc\/conf \| text \| two\n \| three/m);
    assert.deepEqual(await leaves(`${name}:one`, `docker://${name}@${first.manifest.digest}`), []);
    const mixed = (await leaves(`${name}:one`, layout("n", first))).filter((line) => !line.startsWith("index"));
    assert.deepEqual(mixed, []);
    await assert.rejects(leaves(`${name}:one`, home), /is an image, and .* is none/);
    await assert.rejects(leaves(`${name}:three`, `${name}:one`), /there is no/);
  } finally {
    await registry.stop();
  }
});

async function type(text: string): Promise<string | undefined> {
  return (await imageInput(text))?.type;
}

test("what a name means: a file that is there is the file", async () => {
  assert.equal(await type("registry.example/base:1"), "registry");
  assert.equal(await type("registry.example:5000/team/base"), undefined);
  assert.equal(await type("docker:registry.example:5000/team/base"), "registry");
  assert.equal(await type(`localhost/base@sha256:${"0".repeat(64)}`), "registry");
  assert.equal(await type("./registry.example/base:1"), undefined);
  assert.equal(await type("dist/app.tar.gz"), undefined);
  assert.equal(await type("docker-archive:x.tar"), "archive");
  assert.equal(await type("oci:some/folder:tag"), "layout");
  const there = join(home, "registry.example");
  mkdirSync(there, { recursive: true });
  writeFileSync(join(there, "base:1"), "a file");
  assert.equal(await type(join(there, "base:1")), undefined);
});

test("a blob that is not what its name says is an error", async () => {
  const path = layout("o", first);
  writeFileSync(join(path, "blobs/sha256", hexOf(first.manifest.digest)), "{}");
  await assert.rejects(leaves(path, layout("p", second)), /holds bytes with digest/);
});

test("damaged archives are survived", async () => {
  const members: Member[] = [
    { ...file(`blobs/sha256/${hexOf(first.manifest.digest)}`), content: first.manifest.bytes },
    ...first.blobs.map((blob) => ({ ...file(`blobs/sha256/${hexOf(blob.digest)}`), content: blob.bytes })),
    { ...file("index.json"), content: indexOf([{ image: first }]).bytes },
    { ...file("blobs/sha256/zz"), content: blobOf(utf8("x"), "text/plain").bytes },
  ];
  await survives(tarBytes(members), imageTarParts, 200);
});
