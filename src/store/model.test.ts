/** The store against a model of it: maps in memory, with the rules of store.ts in a few lines. */
import { strict as assert } from "node:assert";
import { chmodSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import * as fc from "fast-check";
import { utf8 } from "../bytes.ts";
import { type Digest, digestOf } from "../digest.ts";
import type { BitforbitError } from "../errors.ts";
import { indexBytes, parseIndex, parseManifest } from "./manifest.ts";
import { openStore, type Store } from "./store.ts";

interface Model {
  artifacts: Map<
    Digest,
    { content: string; name: string; tags: Set<string>; bundles: Map<string, number | undefined> }
  >;
  tags: Map<string, Digest>;
}

type Step =
  | { do: "put"; content: string; name: string; tag: string | undefined }
  | { do: "attach"; content: string; bundle: string; predicateType: string; created: number | undefined }
  | { do: "damage"; content: string }
  | { do: "reopen" };

const content = fc.constantFrom("", "a", "b", "c".repeat(5_000));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("put" as const),
      content,
      name: fc.constantFrom("x", "d/y"),
      tag: fc.option(fc.constantFrom("v1", "v2"), { nil: undefined }),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("attach" as const),
      content,
      bundle: fc.constantFrom("b1", "b2", "a"),
      predicateType: fc.constantFrom("p", "q"),
      created: fc.option(fc.constantFrom(1_000, 2_000), { nil: undefined }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("damage" as const), content }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("reopen" as const) }) },
);

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => "",
    (error: unknown) => (error as BitforbitError).code,
  );
}

async function put(store: Store, model: Model, one: Step & { do: "put" }): Promise<void> {
  const digest = digestOf(one.content);
  const { tag, name } = one;
  const held = tag === undefined ? undefined : model.tags.get(tag);
  const conflict = held !== undefined && held !== digest;
  const work = store.putArtifact({
    content: { bytes: utf8(one.content) },
    name,
    ...(tag === undefined ? {} : { tag }),
  });
  assert.equal(await codeOf(work), conflict ? "conflict" : "");
  if (conflict) return;
  const known = model.artifacts.get(digest) ?? { content: one.content, name, tags: new Set(), bundles: new Map() };
  model.artifacts.set(digest, known);
  if (tag === undefined) return;
  known.tags.add(tag);
  model.tags.set(tag, digest);
}

async function attach(store: Store, model: Model, one: Step & { do: "attach" }): Promise<void> {
  const digest = digestOf(one.content);
  const known = model.artifacts.get(digest);
  const options = one.created === undefined ? {} : { created: one.created };
  const work = store.attach(digest, utf8(one.bundle), one.predicateType, options);
  assert.equal(await codeOf(work), known === undefined ? "input" : "");
  const key = `${one.predicateType} ${one.bundle}`;
  if (known !== undefined && !known.bundles.has(key)) known.bundles.set(key, one.created);
}

/** Damage is seen at once, and the same bytes put again heal it: the model does not change. */
async function damage(store: Store, model: Model, one: Step & { do: "damage" }): Promise<void> {
  const digest = digestOf(one.content);
  const known = model.artifacts.get(digest);
  if (known === undefined) return;
  chmodSync(store.blobPath(digest), 0o644);
  writeFileSync(store.blobPath(digest), `${one.content}?`);
  assert.equal(await codeOf(store.getBlob(digest)), "input");
  assert.equal((await store.fsck()).ok, false);
  await store.putArtifact({ content: { bytes: utf8(one.content) }, name: "healed" });
}

async function assertEqual(store: Store, model: Model): Promise<void> {
  const stored = await store.artifacts();
  assert.deepEqual(
    stored.map(({ digest, name, size, tags }) => ({ digest, name, size, tags })),
    [...model.artifacts]
      .map(([digest, { name, content: bytes, tags }]) => ({ digest, name, size: bytes.length, tags: [...tags].sort() }))
      .sort((a, b) => (a.digest < b.digest ? -1 : 1)),
  );
  for (const [digest, known] of model.artifacts) {
    assert.deepEqual(await store.getBlob(digest), utf8(known.content));
    const referrers = await store.referrers(digest);
    const found = await Promise.all(
      referrers.map(async (one) => [`${one.predicateType} ${Buffer.from(await one.bundle())}`, one.created] as const),
    );
    assert.deepEqual(new Map(found.sort()), new Map([...known.bundles].sort()));
    assert.equal(found.length, known.bundles.size);
  }
  for (const tag of ["v1", "v2"]) assert.equal(await store.resolve(tag), model.tags.get(tag));
  const { problems, artifacts } = await store.fsck();
  assert.deepEqual([problems, artifacts], [[], model.artifacts.size]);
}

test("any sequence of steps leaves what the model says", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
      const folder = await mkdtemp(join(tmpdir(), "store-model-"));
      try {
        let store = await openStore(folder);
        const model: Model = { artifacts: new Map(), tags: new Map() };
        for (const one of steps) {
          if (one.do === "put") await put(store, model, one);
          else if (one.do === "attach") await attach(store, model, one);
          else if (one.do === "damage") await damage(store, model, one);
          else store = await openStore(folder);
        }
        await assertEqual(store, model);
      } finally {
        await rm(folder, { recursive: true });
      }
    }),
    { numRuns: 25 },
  );
});

test("whatever stands in a document, reading it gives a document or an input error", () => {
  const descriptor = fc.record(
    {
      mediaType: fc.oneof(fc.constant("application/x"), fc.jsonValue()),
      digest: fc.oneof(fc.constant(digestOf("x")), fc.constantFrom("sha256:x", "sha512:00", "../x"), fc.jsonValue()),
      size: fc.oneof(fc.nat(), fc.jsonValue()),
      annotations: fc.oneof(fc.dictionary(fc.string(), fc.string()), fc.jsonValue()),
    },
    { requiredKeys: [] },
  );
  const document = fc.record(
    {
      schemaVersion: fc.oneof({ weight: 9, arbitrary: fc.constant(2) }, fc.jsonValue()),
      mediaType: fc.oneof(fc.constant("application/vnd.oci.image.manifest.v1+json"), fc.jsonValue()),
      manifests: fc.oneof(fc.array(descriptor), fc.jsonValue()),
      config: fc.oneof(descriptor, fc.jsonValue()),
      layers: fc.oneof(fc.array(descriptor), fc.jsonValue()),
      subject: fc.oneof(descriptor, fc.jsonValue()),
    },
    { requiredKeys: ["schemaVersion"] },
  );
  fc.assert(
    fc.property(
      fc.oneof(
        document.map((value) => utf8(JSON.stringify(value))),
        fc.uint8Array(),
      ),
      (bytes) => {
        for (const parse of [parseManifest, parseIndex]) {
          try {
            parse(bytes, "it");
          } catch (error) {
            assert.ok(["input", "limit"].includes((error as BitforbitError).code), String(error));
          }
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test("an index keeps what it does not know, and its bytes do not depend on the order", () => {
  const item = fc
    .record({
      n: fc.nat(50),
      tag: fc.option(fc.stringMatching(/^[a-z]{1,4}$/), { nil: undefined }),
      extra: fc.string(),
    })
    .map(({ n, tag, extra }) => ({
      mediaType: "application/x",
      digest: digestOf(`${n}`),
      size: n,
      extra: extra.toWellFormed(),
      ...(tag === undefined ? {} : { annotations: { "org.opencontainers.image.ref.name": tag } }),
    }));
  const unique = fc.uniqueArray(item, {
    selector: ({ digest, annotations }) => `${digest} ${JSON.stringify(annotations)}`,
  });
  fc.assert(
    fc.property(unique, (manifests) => {
      const rest = { schemaVersion: 2, annotations: { theirs: "yes" } };
      const bytes = indexBytes({ manifests, rest });
      assert.deepEqual(indexBytes({ manifests: [...manifests].reverse(), rest }), bytes);
      const read = parseIndex(bytes, "it");
      assert.deepEqual(indexBytes(read), bytes);
      assert.deepEqual(
        new Set(read.manifests.map((one) => JSON.stringify(one, ["extra", "size"]))),
        new Set(manifests.map((one) => JSON.stringify(one, ["extra", "size"]))),
      );
    }),
  );
});
