import { strict as assert } from "node:assert";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { utf8 } from "../bytes.ts";
import { fixedClock } from "../clock.ts";
import { digestOf, hexOf } from "../digest.ts";
import type { BitforbitError } from "../errors.ts";
import { BUNDLE_TYPE } from "./manifest.ts";
import { openStore, type Store } from "./store.ts";

const SLSA = "https://slsa.dev/provenance/v1";
const CYCLONEDX = "https://cyclonedx.org/bom";

async function withStore(work: (store: Store, folder: string) => Promise<void>): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), "store-"));
  try {
    await work(await openStore(join(home, "store")), join(home, "store"));
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

/** Breaks a blob in place, past its read-only mode. */
function damage(path: string, change: (path: string) => void): void {
  chmodSync(path, 0o644);
  change(path);
}

const fails =
  (code: string, message: RegExp, hint = /./) =>
  (error: unknown): boolean => {
    const { code: had, message: said, hint: advice } = error as BitforbitError;
    assert.equal(had, code, said);
    assert.match(said, message);
    assert.match(advice ?? "", hint);
    return true;
  };

/** The OCI documents, written down again from the specification so that the test does not lean on our own reader. */
interface Item {
  mediaType: string;
  artifactType?: string;
  digest: string;
  size: number;
  data?: string;
  annotations?: Record<string, string>;
  platform?: { architecture: string };
}
interface Document extends Item {
  schemaVersion: number;
  imageLayoutVersion?: string;
  manifests: Item[];
  config: Item;
  layers: [Item];
  subject: Item;
}
const json = (content: string): Document => JSON.parse(content) as Document;
const jsonFile = (path: string): Document => json(readFileSync(path, "utf8"));

test("an artifact and its attestations, as any reader of OCI image layouts sees them", async () => {
  await withStore(async (store, folder) => {
    const bytes = utf8("an artifact\n");
    const stored = await store.putArtifact({
      content: { bytes },
      name: "dist/hello.tar",
      tag: "v1.0",
      annotations: { "org.opencontainers.image.revision": "abc" },
    });
    assert.equal(stored.digest, digestOf(bytes));
    const attached = await store.attach(stored.digest, utf8('{"a":1}'), SLSA, { created: 1_700_000_000_500 });
    await store.attach(stored.digest, utf8('{"b":2}'), CYCLONEDX);

    assert.deepEqual(jsonFile(join(folder, "oci-layout")), { imageLayoutVersion: "1.0.0" });
    const index = jsonFile(join(folder, "index.json"));
    assert.equal(index.schemaVersion, 2);
    const blob = (digest: string) => join(folder, "blobs", "sha256", digest.slice(7));
    let descriptors = 0;
    const checked = (item: Item | undefined): string => {
      assert.ok(item);
      const content = readFileSync(blob(item.digest));
      assert.equal(content.length, item.size, `size of ${item.digest}`);
      assert.equal(`sha256:${createHash("sha256").update(content).digest("hex")}`, item.digest);
      if (item.data !== undefined) assert.equal(Buffer.from(item.data, "base64").toString(), content.toString());
      descriptors++;
      return content.toString();
    };
    const byTag = (tag: string) =>
      index.manifests.find((item) => item.annotations?.["org.opencontainers.image.ref.name"] === tag);
    const manifest = json(checked(byTag("v1.0")));
    assert.equal(byTag(hexOf(stored.digest))?.digest, byTag("v1.0")?.digest, "found by what sha256sum prints");
    assert.equal(manifest.artifactType, "application/vnd.bitforbit.artifact.v1");
    assert.equal(manifest.config.mediaType, "application/vnd.oci.empty.v1+json");
    assert.equal(checked(manifest.config), "{}");
    assert.equal(checked(manifest.layers[0]), "an artifact\n");
    assert.equal(manifest.annotations?.["org.opencontainers.image.revision"], "abc");

    const list = json(checked(byTag(`sha256-${hexOf(stored.manifest)}`)));
    assert.equal(list.mediaType, "application/vnd.oci.image.index.v1+json");
    assert.equal(list.manifests.length, 2);
    for (const item of list.manifests) {
      const referrer = json(checked(item));
      assert.deepEqual(item.annotations, referrer.annotations);
      assert.equal(item.artifactType, BUNDLE_TYPE);
      assert.equal(referrer.layers[0].mediaType, BUNDLE_TYPE);
      assert.equal(checked(referrer.subject), checked(byTag("v1.0")));
      assert.equal(checked(referrer.layers[0]), item.digest === attached ? '{"a":1}' : '{"b":2}');
      assert.equal(item.annotations?.["dev.sigstore.bundle.content"], "dsse-envelope");
      const time = item.annotations?.["org.opencontainers.image.created"];
      assert.equal(time, item.digest === attached ? "2023-11-14T22:13:20Z" : undefined);
    }
    assert.ok(descriptors >= 12);
    assert.deepEqual((await store.fsck()).problems, []);
  });
});

test("what goes in comes out", async () => {
  await withStore(async (store, folder) => {
    const path = join(folder, "..", "big.bin");
    const big = Buffer.alloc(3_000_001, "bytes in a row; ");
    writeFileSync(path, big);
    const artifact = await store.putArtifact({ content: { path }, name: "big.bin" });
    assert.equal(artifact.size, big.length);
    assert.deepEqual(await store.getBlob(artifact.digest), new Uint8Array(big));
    const pieces: Uint8Array[] = [];
    for await (const piece of store.streamBlob(artifact.digest)) pieces.push(piece);
    assert.ok(pieces.length > 1 && Buffer.concat(pieces).equals(big));
    assert.equal(await store.has(artifact.digest), true);
    assert.equal(await store.has(digestOf("nothing")), false);
    assert.equal(await store.artifact(digestOf("nothing")), undefined);
    assert.deepEqual(await store.referrers(artifact.digest), []);
    await store.attach(artifact.digest, utf8("bundle 1"), SLSA, { created: 1_000 });
    await store.attach(artifact.digest, utf8("bundle 2"), CYCLONEDX);
    const referrers = await (await openStore(folder)).referrers(artifact.digest);
    assert.deepEqual(
      (await Promise.all(referrers.map(async (one) => [one.predicateType, one.created, await one.bundle()]))).sort(),
      [
        [CYCLONEDX, undefined, utf8("bundle 2")],
        [SLSA, 1_000, utf8("bundle 1")],
      ],
    );
    const empty = await store.putArtifact({ content: { bytes: new Uint8Array() }, name: "empty", tag: "none" });
    assert.equal(empty.digest, digestOf(""));
    assert.equal(await store.resolve("none"), empty.digest);
    assert.equal(await store.resolve("nobody"), undefined);
    assert.deepEqual((await store.artifacts()).map(({ name }) => name).sort(), ["big.bin", "empty"]);
  });
});

test("the same bytes again change nothing; a tag never moves", async () => {
  await withStore(async (store, folder) => {
    const first = await store.putArtifact({ content: { bytes: utf8("one") }, name: "a.txt", tag: "v1" });
    await store.attach(first.digest, utf8("bundle"), SLSA, { created: 5_000 });
    const before = readFileSync(join(folder, "index.json"));
    const again = await store.putArtifact({ content: { bytes: utf8("one") }, name: "other.txt", tag: "v1" });
    assert.deepEqual(again, first, "the first name stays");
    await store.attach(first.digest, utf8("bundle"), SLSA, { created: 9_000 });
    assert.deepEqual(readFileSync(join(folder, "index.json")), before);
    await assert.rejects(
      store.putArtifact({ content: { bytes: utf8("two") }, name: "a.txt", tag: "v1" }),
      fails("conflict", /tag v1/, /never moves/),
    );
    assert.deepEqual(readFileSync(join(folder, "index.json")), before);
    const second = await store.putArtifact({ content: { bytes: utf8("two") }, name: "a.txt", tag: "v2" });
    const third = await store.putArtifact({ content: { bytes: utf8("two") }, name: "a.txt", tag: "latest-2" });
    assert.deepEqual(third.tags, ["latest-2", "v2"]);
    assert.equal(third.manifest, second.manifest);
    assert.equal(await store.resolve("v1"), first.digest);
  });
});

test("the same things give the same bytes, in whatever order they came", async () => {
  const indexes: Buffer[] = [];
  for (const order of [
    [0, 1, 2, 3],
    [3, 1, 0, 2],
  ]) {
    await withStore(async (store, folder) => {
      for (const n of order) await store.putArtifact({ content: { bytes: utf8(`${n}`) }, name: `n${n}`, tag: `t${n}` });
      for (const n of order) await store.attach(digestOf("0"), utf8(`bundle ${n}`), SLSA, { created: n * 1_000 });
      indexes.push(readFileSync(join(folder, "index.json")));
    });
  }
  assert.deepEqual(indexes[0], indexes[1]);
});

test("a damaged blob is named at every read, and healed by storing it again", async () => {
  for (const [kind, change] of [
    ["corrupted", (path: string) => writeFileSync(path, "artifacT")],
    ["size", (path: string) => appendFileSync(path, "!")],
    ["missing", (path: string) => rmSync(path)],
  ] as const) {
    await withStore(async (store) => {
      const { digest } = await store.putArtifact({ content: { bytes: utf8("artifact") }, name: "a" });
      await store.attach(digest, utf8("bundle"), SLSA);
      damage(store.blobPath(digest), change);
      const expected = fails("input", new RegExp(`${digest}`), /restore/);
      await assert.rejects(store.getBlob(digest), expected, kind);
      await assert.rejects(async () => {
        for await (const piece of store.streamBlob(digest)) assert.ok(piece.length > 0);
      }, expected);
      const report = await store.fsck();
      assert.equal(report.ok, false);
      assert.ok(
        report.problems.some((problem) => problem.what === kind && problem.digest === digest && problem.remedy !== ""),
        JSON.stringify(report.problems),
      );
      await store.putArtifact({ content: { bytes: utf8("artifact") }, name: "a" });
      assert.deepEqual((await store.fsck()).problems, [], `${kind} is healed`);
      assert.equal((await store.referrers(digest)).length, 1);
    });
  }
});

test("damaged manifests and bundles are never handed out", async () => {
  await withStore(async (store) => {
    const artifact = await store.putArtifact({ content: { bytes: utf8("artifact") }, name: "a" });
    await store.attach(artifact.digest, utf8("bundle"), SLSA);
    const [referrer] = await store.referrers(artifact.digest);
    damage(store.blobPath(digestOf("bundle")), (path) => writeFileSync(path, "bundlE"));
    await assert.rejects(async () => await referrer?.bundle(), fails("input", /is corrupted/));
    damage(store.blobPath(artifact.manifest), (path) => appendFileSync(path, " "));
    await assert.rejects(store.artifacts(), fails("input", /is corrupted/));
    const { problems } = await store.fsck();
    assert.deepEqual(new Set(problems.map(({ what }) => what)), new Set(["corrupted", "size"]));
  });
});

test("a broken or missing index.json is an error, never an empty store", async () => {
  for (const harm of [
    (path: string) => rmSync(path),
    (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 40)),
    (path: string) => writeFileSync(path, ""),
    (path: string) => writeFileSync(path, '{"schemaVersion":2,"manifests":[{"mediaType":"x","digest":"sha256:.."}]}'),
  ]) {
    await withStore(async (store, folder) => {
      await store.putArtifact({ content: { bytes: utf8("artifact") }, name: "a" });
      harm(join(folder, "index.json"));
      const opened = await openStore(folder);
      await assert.rejects(opened.artifacts(), fails("input", /index\.json/, /restore/));
      await assert.rejects(
        opened.putArtifact({ content: { bytes: utf8("b") }, name: "b" }),
        fails("input", /index\.json/),
      );
      assert.equal((await opened.fsck()).ok, false);
    });
  }
});

test("another version of the layout is refused", async () => {
  await withStore(async (_store, folder) => {
    writeFileSync(join(folder, "oci-layout"), '{"imageLayoutVersion":"2.0.0"}');
    await assert.rejects(openStore(folder), fails("input", /2\.0\.0/, /1\.0\.0/));
  });
});

test("names, tags, digests and files that are not what they should be", async () => {
  await withStore(async (store, folder) => {
    const content = { bytes: utf8("x") };
    for (const name of ["", "/etc/passwd", "../up", "a/../b", "a//b", "a\nb", "a\\b", "."]) {
      await assert.rejects(store.putArtifact({ content, name }), fails("input", /not a name/), name);
    }
    for (const tag of ["", "-x", "a b", "a/b", "x".repeat(129), "a".repeat(64), `sha256-${"0".repeat(64)}`]) {
      await assert.rejects(store.putArtifact({ content, name: "x", tag }), fails("input", /tag/, /./), tag);
    }
    const annotations = { "org.opencontainers.image.title": "y" };
    await assert.rejects(store.putArtifact({ content, name: "x", annotations }), fails("input", /title/));
    const path = join(folder, "..", "pipe");
    assert.equal(spawnSync("mkfifo", [path]).status, 0);
    for (const [odd, message] of [
      [path, /not a regular file/],
      [folder, /not a regular file|EISDIR/],
      [join(folder, "absent"), /no such file/],
    ] as const) {
      await assert.rejects(store.putArtifact({ content: { path: odd }, name: "x" }), message);
    }
    await assert.rejects(store.getBlob("sha256:../../etc" as `sha256:${string}`), fails("input", /not a digest/));
    await assert.rejects(store.attach(digestOf("absent"), utf8("b"), SLSA), fails("input", /no artifact/));
    await store.putArtifact({ content, name: "x" });
    await assert.rejects(store.getBlob(digestOf("x"), 0), (error: BitforbitError) => error.code === "limit");
    assert.deepEqual((await store.fsck()).problems, []);
  });
});

test("what other tools keep in index.json stays", async () => {
  await withStore(async (store, folder) => {
    const { size, ...blob } = await store.putBlob(utf8('{"theirs":true}'), "application/x-theirs");
    const theirs = { ...blob, size, platform: { os: "linux", architecture: "s390x" }, annotations: { theirs: "yes" } };
    const index = jsonFile(join(folder, "index.json"));
    writeFileSync(
      join(folder, "index.json"),
      JSON.stringify({ ...index, annotations: { of: "index" }, manifests: [theirs] }),
    );
    await store.putArtifact({ content: { bytes: utf8("x") }, name: "x" });
    const after = jsonFile(join(folder, "index.json"));
    assert.equal(after.annotations?.["of"], "index");
    assert.ok(after.manifests.some((item) => item.platform?.architecture));
    assert.deepEqual((await store.fsck()).problems, []);
    assert.equal((await store.artifacts()).length, 1);
  });
});

test("leftovers of the dead are swept, those of the living are not", async () => {
  await withStore(async (_store, folder) => {
    const hour = 3_600_000;
    const now = 1_800_000_000_000;
    const at = (name: string, age: number): string => {
      const path = join(folder, name);
      mkdirSync(join(path, ".."), { recursive: true });
      writeFileSync(path, "half");
      utimesSync(path, (now - age) / 1_000, (now - age) / 1_000);
      return path;
    };
    const dead = [at(".tmp-a", 2 * hour), at(".incoming/.tmp-b", 2 * hour)];
    const living = [at(".tmp-c", hour / 2), at(".incoming/.tmp-d", 0), at("mine.txt", 9 * hour)];
    await openStore(folder, { clock: fixedClock(now) });
    assert.deepEqual([dead.map(existsSync), living.map(existsSync)].flat(), [false, false, true, true, true]);
  });
});

const skopeo = spawnSync("skopeo", ["--version"]).status === 0;

test("skopeo reads the layout", { skip: skopeo ? false : "skopeo is not installed" }, async () => {
  await withStore(async (store, folder) => {
    const { digest, manifest } = await store.putArtifact({ content: { bytes: utf8("x") }, name: "x.txt", tag: "v1" });
    await store.putArtifact({ content: { bytes: utf8("y") }, name: "y.txt" });
    await store.attach(digest, utf8("bundle"), SLSA);
    for (const tag of ["v1", hexOf(digest)]) {
      const ran = spawnSync("skopeo", ["inspect", "--raw", `oci:${folder}:${tag}`]);
      assert.equal(ran.status, 0, ran.stderr.toString());
      assert.equal(digestOf(new Uint8Array(ran.stdout)), manifest);
    }
    const ran = spawnSync("skopeo", ["inspect", "--raw", `oci:${folder}:sha256-${hexOf(manifest)}`]);
    assert.equal(json(ran.stdout.toString()).manifests[0]?.artifactType, BUNDLE_TYPE, ran.stderr.toString());
  });
});

function runOras(...args: string[]): string {
  const ran = spawnSync("oras", args);
  assert.equal(ran.status, 0, `oras ${args.join(" ")}: ${ran.stderr}`);
  return ran.stdout.toString();
}

const oras = spawnSync("oras", ["version"]).status === 0;

test(
  "oras finds the attestations, and pulls and copies all",
  { skip: oras ? false : "oras is not installed" },
  async () => {
    await withStore(async (store, folder) => {
      const { digest } = await store.putArtifact({ content: { bytes: utf8("x") }, name: "dist/x.txt", tag: "v1" });
      const attached = await store.attach(digest, utf8("bundle"), SLSA);
      assert.match(runOras("discover", "--oci-layout", `${folder}:${hexOf(digest)}`), new RegExp(attached));
      runOras("pull", "--oci-layout", `${folder}:v1`, "--output", join(folder, "..", "pulled"));
      assert.equal(readFileSync(join(folder, "..", "pulled", "dist", "x.txt"), "utf8"), "x");
      const copy = join(folder, "..", "copy");
      runOras("cp", "--recursive", "--from-oci-layout", `${folder}:v1`, "--to-oci-layout", `${copy}:v1`);
      assert.match(runOras("discover", "--oci-layout", `${copy}:v1`), new RegExp(attached));
      runOras("tag", "--oci-layout", `${folder}:v1`, "theirs");
      assert.deepEqual((await store.artifact(digest))?.tags, ["theirs", "v1"], "what it wrote, we read");
      await store.attach(digest, utf8("another"), SLSA);
      assert.equal((await store.referrers(digest)).length, 2);
      assert.deepEqual((await store.fsck()).problems, []);
    });
  },
);
