/** Roots on disk: set against another program's, made by other users, by several at once, and by processes that die. */
import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import * as fc from "fast-check";
import { digestOf } from "../digest.ts";
import { gzipBytes } from "../format/gzip-write.ts";
import { tarBytes } from "../format/tar-write.ts";
import {
  blobOf,
  file,
  folder,
  hardLink,
  type ImageParts,
  imageOf,
  link,
  type MadeImage,
  type Member,
  plainLayer,
  whiteout,
  writeLayout,
} from "../oci/test-images.ts";
import { type RootEntry, rootEntries, RootHasher } from "../root-digest.ts";
import type { HostAbilities } from "../sandbox/host.ts";
import { namesIn, removeTree } from "../tree.ts";
import { MOUNT_FILES, MOUNT_FOLDERS, type OciContext, openOci, resolveOci } from "./oci.ts";

const home = mkdtempSync(join(tmpdir(), "bitforbit-roots-"));
after(() => removeTree(home));
const isRoot = process.getuid?.() === 0;
let places = 0;

function contextOf(cache: string = join(home, `cache${places++}`)): OciContext & { said: string[] } {
  const said: string[] = [];
  return { cache, host: {} as HostAbilities, onProgress: (line) => void said.push(line), said };
}

function specOf(image: MadeImage, name = `layout${places++}`): { image: string; platform: string } {
  writeLayout(join(home, name), { it: image.manifest }, image.blobs);
  return { image: `layout:${join(home, name)}:it`, platform: "linux/amd64" };
}

async function entriesOf(root: string): Promise<RootEntry[]> {
  const entries: RootEntry[] = [];
  for await (const entry of rootEntries(root)) entries.push(entry);
  return entries;
}

/** umoci gives folders that a layer changes without naming them the time of unpacking. */
function timed(entry: RootEntry): RootEntry {
  return entry.type === "folder" ? { ...entry, mtime: 0 } : entry;
}

const name = fc.constantFrom("a", "b", "c", "dir");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join("/"));
const time = fc.integer({ min: 1, max: 2_000_000_000 });
const placed: fc.Arbitrary<Member> = fc.oneof(
  fc
    .tuple(path, fc.string({ maxLength: 9 }), fc.constantFrom(0o600, 0o644, 0o666, 0o755, 0o4711), time)
    .map(([at, content, mode, mtime]) => file(`${at}/f`, content, { mode, mtime })),
  fc.tuple(path, time, fc.constantFrom(0o700, 0o755)).map(([at, mtime, mode]) => folder(at, { mtime, mode })),
  fc.tuple(path, path).map(([at, to]) => link(`${at}/l`, to)),
);
const hidden = fc.oneof(
  fc.tuple(path, fc.constantFrom("a", "b", "f", "l")).map(([at, what]) => whiteout(`${at}/.wh.${what}`)),
  path.map((at) => whiteout(`${at}/.wh..wh..opq`)),
);
// Whiteouts first, as the specification wants layers to be made: what others do with later ones differs.
const layer = fc.tuple(fc.array(hidden, { maxLength: 3 }), fc.array(placed, { minLength: 1, maxLength: 12 }));
const stack = fc.array(
  layer.map(([whiteouts, members]) => [...whiteouts, ...members]),
  { minLength: 1, maxLength: 4 },
);
const withoutUmoci = spawnSync("umoci", ["--version"]).error === undefined ? false : "umoci is not installed";

test("roots are what umoci makes of the same layers", { skip: withoutUmoci }, async () => {
  const upper: Member[] = [
    whiteout("usr/.wh.gone"),
    whiteout("opaque/.wh..wh..opq"),
    file("bin/through", "a link leads here"),
    hardLink("shared", "usr/bin/tool"),
    file("opaque/new"),
    file("caf\u00e9 \u{1f600}", "a name"),
  ];
  const lower: Member[] = [
    folder("usr"),
    folder("usr/bin", { mode: 0o750, mtime: 1_500_000_000 }),
    file("usr/bin/tool", "tool", { mode: 0o4755 }),
    file("usr/gone/x"),
    link("bin", "usr/bin"),
    link("away", "../../../../etc/passwd"),
    folder("opaque"),
    file("opaque/old"),
    file("n".repeat(200), "long"),
  ];
  const stacks = [[lower, upper], ...fc.sample(stack, { numRuns: 7, seed: 20261123 })];
  for (const layers of stacks) {
    const spec = specOf(imageOf(layers));
    const bundle = join(home, `bundle${places++}`);
    const ran = spawnSync("umoci", ["unpack", "--rootless", "--image", spec.image.slice("layout:".length), bundle], {
      encoding: "utf8",
    });
    assert.equal(ran.status, 0, ran.stderr);
    const { root } = await resolveOci(spec, contextOf());
    const theirs = (await entriesOf(join(bundle, "rootfs"))).map((entry) => {
      const mode = { folder: 0o755, file: (entry.mode & 0o755) | 0o444, link: 0o777 }[entry.type];
      return { ...entry, mode };
    });
    const there = new Set(theirs.map((entry) => entry.path));
    const made = [...MOUNT_FOLDERS, ...MOUNT_FILES].filter((one) => !there.has(one));
    const ours = (await entriesOf(root.folder)).filter((entry) => !made.includes(entry.path));
    assert.deepEqual(ours.map(timed), theirs.map(timed), JSON.stringify(layers));
  }
});

test(
  "another user and another umask make the same root",
  { skip: isRoot ? false : "only root can become another user" },
  async () => {
    const members: Member[] = [];
    for (const sample of fc.sample(stack, { numRuns: 5, seed: 7 }))
      members.push(...(sample[0]?.filter((one) => !String(one.name).includes(".wh.")) ?? []));
    const spec = specOf(
      imageOf([members, [file("secret", "x", { mode: 0o600, uid: 77 }), file("open", "x", { mode: 0o666 })]]),
    );
    chmodSync(home, 0o755);
    const ours = await resolveOci(spec, contextOf());
    const cache = join(home, "others");
    mkdirSync(cache);
    chmodSync(cache, 0o777);
    const umask = process.umask(0o077);
    process.setegid?.(65534);
    process.seteuid?.(65534);
    let theirs: typeof ours;
    try {
      theirs = await resolveOci(spec, contextOf(cache));
      assert.equal((await openOci(theirs.locked, contextOf(cache))).digest, ours.root.digest);
    } finally {
      process.seteuid?.(0);
      process.setegid?.(0);
      process.umask(umask);
    }
    assert.deepEqual(theirs.locked, ours.locked);
    assert.deepEqual(await entriesOf(theirs.root.folder), await entriesOf(ours.root.folder));
    assert.equal(statSync(join(theirs.root.folder, "secret")).mode & 0o777, 0o644);
    assert.equal(statSync(join(theirs.root.folder, "open")).mode & 0o777, 0o644);
    assert.equal(statSync(join(theirs.root.folder, "..")).mode & 0o777, 0o755);
  },
);

test("many at once make one root", async () => {
  const spec = specOf(imageOf([[file("a/b"), folder("etc")], [file("a/c")]]));
  const cache = join(home, "together");
  const all = await Promise.all(Array.from({ length: 6 }, () => resolveOci(spec, contextOf(cache))));
  assert.equal(new Set(all.map(({ root }) => root.folder + root.digest)).size, 1);
  const left = (await namesIn(join(cache, "roots"))).filter((one) => one.startsWith(".tmp-"));
  assert.deepEqual(left, []);
});

const OCI_URL = new URL("oci.ts", import.meta.url).href;

test("a process that is killed leaves nothing that is taken for whole", async () => {
  const many = Array.from({ length: 1000 }, (_, at) => file(`d${at % 50}/f${at}`, `content ${at}`));
  const spec = specOf(imageOf([many]));
  const { root: expected } = await resolveOci(spec, contextOf());
  const cache = join(home, "killed");
  const code = `
    import { resolveOci } from ${JSON.stringify(OCI_URL)};
    const context = { cache: ${JSON.stringify(cache)}, host: {}, onProgress: (line) => console.log(line) };
    await resolveOci(${JSON.stringify(spec)}, context);
    console.log("done");
  `;
  let interrupted = 0;
  for (const delay of [0, 30, 90]) {
    await removeTree(join(cache, "roots"));
    const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const closed = new Promise((resolve) => child.once("close", resolve));
    let said = "";
    for await (const chunk of child.stdout) {
      said += String(chunk);
      if (said.includes("unpacking")) break;
    }
    await new Promise((resolve) => setTimeout(resolve, delay));
    child.kill("SIGKILL");
    await closed;
    if ((await namesIn(join(cache, "roots"))).some((one) => one.startsWith(".tmp-"))) interrupted++;
    const { root } = await resolveOci(spec, contextOf(cache));
    assert.equal(root.digest, expected.digest);
    const hasher = new RootHasher();
    for (const entry of await entriesOf(root.folder)) hasher.add(entry);
    assert.equal(hasher.digest(), expected.digest);
  }
  assert.ok(interrupted > 0, "no process was killed while it unpacked");
});

test("images that contradict themselves are refused, and leave no root", async () => {
  const tar = tarBytes([file("x")]);
  const packed = blobOf(gzipBytes(tar), "application/vnd.oci.image.layer.v1.tar+gzip");
  const plain = plainLayer([file("y")]);
  const cases: [ImageParts, RegExp][] = [
    [
      { packed: [{ blob: packed, diffId: plain.diffId }] },
      /layer 1 \(sha256:.*\) unpacks to .*, and the image's configuration says/,
    ],
    [{ packed: [{ ...plain, diffId: digestOf(tar) }] }, /layer 1 .* unpacks to/],
    [
      { packed: [plain], change: { config: { rootfs: { type: "layers", diff_ids: [] } } } },
      /has 1 layers, but digests of 0/,
    ],
    [{ packed: [plain], change: { config: { rootfs: { type: "disk" } } } }, /has no rootfs of type "layers"/],
    [{ packed: [plain], change: { config: { os: "windows" } } }, /is for windows\/amd64, not linux\/amd64/],
    [
      { packed: [{ blob: blobOf(tar.slice(0, 512), plain.blob.mediaType), diffId: digestOf(tar.slice(0, 512)) }] },
      /layer 1 .*: tar, offset/,
    ],
    [
      { packed: [{ blob: blobOf(packed.bytes.slice(0, -9), packed.mediaType), diffId: digestOf(tar) }] },
      /layer 1 .*: (?:gzip|deflate)/,
    ],
  ];
  for (const [parts, said] of cases) {
    const context = contextOf();
    await assert.rejects(resolveOci(specOf(imageOf([], parts)), context), said);
    const left = (await namesIn(join(context.cache, "roots"))).filter((one) => !/\.lock/.test(one));
    assert.deepEqual(left, []);
  }
});

test("a bomb is refused by what comes out of it, and by what it claims", async () => {
  const zeros = gzipBytes(new Uint8Array(1 << 20));
  const bytes = Buffer.concat(Array.from({ length: 100 }, () => zeros));
  const bomb = blobOf(bytes, "application/vnd.oci.image.layer.v1.tar+gzip");
  const parts = { packed: [{ blob: bomb, diffId: digestOf("never reached") }] };
  await assert.rejects(
    resolveOci(specOf(imageOf([], parts)), contextOf()),
    /decompress to over \d+, more than 250 to one/,
  );

  const holes = join(home, "holes");
  writeFileSync(holes, "");
  truncateSync(holes, 2 ** 40);
  const made = spawnSync("tar", ["-cSf", join(home, "holes.tar"), "-C", home, "holes"], { encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  const tar = new Uint8Array(readFileSync(join(home, "holes.tar")));
  const sparse = { packed: [{ blob: blobOf(tar, plainLayer([]).blob.mediaType), diffId: digestOf(tar) }] };
  await assert.rejects(
    resolveOci(specOf(imageOf([], sparse)), contextOf()),
    /"holes" brings the layers to over \d+ bytes of files/,
  );
});

test("holes stay holes, and names need not be UTF-8", async () => {
  const source = join(home, "disk");
  writeFileSync(source, "start");
  truncateSync(source, 50 << 20);
  assert.equal(spawnSync("tar", ["-cSf", join(home, "disk.tar"), "--format=posix", "-C", home, "disk"]).status, 0);
  const tar = new Uint8Array(readFileSync(join(home, "disk.tar")));
  const latin = { name: Buffer.from("caf\xe9", "latin1"), content: Buffer.from("x") };
  const image = imageOf([[latin]], {
    packed: [{ blob: blobOf(tar, plainLayer([]).blob.mediaType), diffId: digestOf(tar) }],
  });
  const context = contextOf();
  const { locked, root } = await resolveOci(specOf(image), context);
  const stats = statSync(join(root.folder, "disk"));
  assert.equal(stats.size, 50 << 20);
  assert.ok(stats.blocks * 512 < 1 << 20, `${stats.blocks} blocks`);
  assert.equal((await openOci(locked, context)).digest, root.digest);
  assert.ok((await entriesOf(root.folder)).some((entry) => entry.path === "caf\xe9"));
});
