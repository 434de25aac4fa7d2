import { strict as assert } from "node:assert";
import test from "node:test";
import * as fc from "fast-check";
import { concat, hex, utf8 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { verifyConsistency, verifyInclusion } from "./proof.ts";
import {
  TILE_WIDTH,
  type NodeHash,
  consistencyProof,
  edgeTiles,
  emptyRoot,
  exponent,
  inclusionProof,
  leafHash,
  newTiles,
  nodeHash,
  parseEntries,
  rangeRoot,
  splitPoint,
  tileBytes,
  tilePath,
  tileRows,
  tileWidth,
  treeRoot,
  writeEntries,
} from "./tile.ts";

/** RFC 6962, section 2.1, word for word: slow, and independent of tile.ts but for SHA-256. */
function naiveRoot(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return sha256(new Uint8Array());
  const [only] = leaves;
  if (leaves.length === 1 && only !== undefined) return sha256(concat([Uint8Array.of(0), only]));
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return sha256(concat([Uint8Array.of(1), naiveRoot(leaves.slice(0, k)), naiveRoot(leaves.slice(k))]));
}

function naivePath(index: number, leaves: readonly Uint8Array[]): Uint8Array[] {
  if (leaves.length === 1) return [];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return index < k
    ? [...naivePath(index, leaves.slice(0, k)), naiveRoot(leaves.slice(k))]
    : [...naivePath(index - k, leaves.slice(k)), naiveRoot(leaves.slice(0, k))];
}

function naiveProof(first: number, leaves: readonly Uint8Array[], whole: boolean): Uint8Array[] {
  if (first === leaves.length) return whole ? [] : [naiveRoot(leaves)];
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return first <= k
    ? [...naiveProof(first, leaves.slice(0, k), whole), naiveRoot(leaves.slice(k))]
    : [...naiveProof(first - k, leaves.slice(k), false), naiveRoot(leaves.slice(0, k))];
}

const leavesOf = (count: number): Uint8Array[] => Array.from({ length: count }, (_, at) => utf8(`leaf ${at}`));

/** Nodes by brute force from the leaves. */
const nodesOf = (leaves: readonly Uint8Array[]): NodeHash => {
  const known = new Map<string, Uint8Array>();
  const node: NodeHash = (level, index) => {
    const name = `${level}/${index}`;
    const found = known.get(name);
    if (found !== undefined) return found;
    const leaf = leaves[index];
    const made =
      level > 0
        ? nodeHash(node(level - 1, index * 2), node(level - 1, index * 2 + 1))
        : leafHash(leaf ?? assert.fail(`there is no leaf ${index}`));
    known.set(name, made);
    return made;
  };
  return node;
};

const MAX = 700;
const ALL = leavesOf(MAX);
const NODE = nodesOf(ALL);
const sizes = fc.integer({ min: 1, max: MAX });

/** The tile that holds a node (or, for a node inside the tile, the nodes it is computed from). */
function tileOf(node: { level: number; index: number }): { level: number; index: number } {
  const level = Math.floor(node.level / 8);
  const height = node.level - level * 8;
  return { level, index: Math.floor((node.index * 2 ** height) / TILE_WIDTH) };
}

/** Where a node stands inside its tile's rows. */
function placeInTile(node: { level: number; index: number }): { row: number; column: number } {
  const row = node.level % 8;
  return { row, column: node.index % (TILE_WIDTH / 2 ** row) };
}

test("the roots of certificate-transparency's reference trees", () => {
  const inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
  const roots = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
  ];
  const leaves = inputs.map((text) => new Uint8Array(Buffer.from(text, "hex")));
  for (const [at, root] of roots.entries()) {
    assert.equal(hex(treeRoot(at + 1, nodesOf(leaves.slice(0, at + 1)))), root);
  }
  assert.equal(hex(emptyRoot()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
});

test("roots and inclusion proofs are those of the naive tree, and verify", () => {
  fc.assert(
    fc.property(sizes, fc.nat(), (size, seed) => {
      const index = seed % size;
      const leaves = ALL.slice(0, size);
      const root = treeRoot(size, NODE);
      assert.equal(hex(root), hex(naiveRoot(leaves)));
      const proof = inclusionProof(index, size, NODE);
      assert.deepEqual(proof.map(hex), naivePath(index, leaves).map(hex));
      assert.deepEqual(inclusionProof(index, size, NODE, new Map()).map(hex), proof.map(hex));
      assert.ok(verifyInclusion(index, size, NODE(0, index), proof, root));
    }),
    { numRuns: 150 },
  );
});

test("consistency proofs are those of the naive tree, and verify", () => {
  fc.assert(
    fc.property(sizes, fc.nat(), (second, seed) => {
      const first = seed % (second + 1);
      const proof = consistencyProof(first, second, NODE);
      const expected = first === 0 ? [] : naiveProof(first, ALL.slice(0, second), true);
      assert.deepEqual(proof.map(hex), expected.map(hex));
      const ok = verifyConsistency(first, second, treeRoot(first, NODE), treeRoot(second, NODE), proof);
      assert.equal(ok, first > 0);
    }),
    { numRuns: 150 },
  );
});

test("every small tree, every index, every pair of sizes", () => {
  for (let size = 1; size <= 20; size++) {
    const root = treeRoot(size, NODE);
    for (let index = 0; index < size; index++) {
      const proof = inclusionProof(index, size, NODE);
      for (let claimed = 0; claimed <= size + 1; claimed++) {
        assert.equal(verifyInclusion(claimed, size, NODE(0, index), proof, root), claimed === index);
      }
    }
    for (let first = 0; first <= size; first++) {
      const proof = consistencyProof(first, size, NODE);
      for (let claimed = 0; claimed <= size; claimed++) {
        const ok = verifyConsistency(claimed, size, treeRoot(first, NODE), root, proof);
        assert.equal(ok, claimed === first && first > 0, `${first} of ${size} claimed as ${claimed}`);
      }
    }
  }
});

test("a proof that was changed anywhere does not verify", () => {
  fc.assert(
    fc.property(sizes, fc.nat(), fc.nat(), fc.nat(255), (size, seed, where, bit) => {
      const index = seed % size;
      const root = treeRoot(size, NODE);
      const proof = inclusionProof(index, size, NODE);
      const flipped = proof.map((hash) => hash.slice());
      const hash = flipped[where % Math.max(1, proof.length)];
      if (hash !== undefined) {
        hash[bit >> 3] = (hash[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        assert.equal(verifyInclusion(index, size, NODE(0, index), flipped, root), false);
      }
      for (const changed of [[...proof, root], [root, ...proof], proof.slice(1), proof.slice(0, -1)]) {
        if (changed.length === proof.length) continue;
        assert.equal(verifyInclusion(index, size, NODE(0, index), changed, root), false);
      }
    }),
    { numRuns: 150 },
  );
});

test("hostile numbers and hashes are answered with no", () => {
  const root = treeRoot(5, NODE);
  const proof = inclusionProof(2, 5, NODE);
  for (const index of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, 5]) {
    assert.equal(verifyInclusion(index, 5, NODE(0, 2), proof, root), false);
    assert.equal(verifyInclusion(2, index, NODE(0, 2), proof, root), index === 5);
    assert.equal(verifyConsistency(index, 5, root, root, []), index === 5);
    assert.equal(verifyConsistency(2, index, root, root, proof), false);
  }
  assert.equal(verifyInclusion(2, 5, NODE(0, 2).subarray(1), proof, root), false);
  assert.equal(
    verifyInclusion(
      2,
      5,
      NODE(0, 2),
      proof.map((hash) => hash.subarray(1)),
      root,
    ),
    false,
  );
  assert.equal(
    verifyInclusion(
      2 ** 52,
      2 ** 53 - 1,
      NODE(0, 2),
      Array.from({ length: 100 }, () => root),
      root,
    ),
    false,
  );
  for (const bad of [-1, 5, 0.5]) assert.throws(() => inclusionProof(bad, 5, NODE), { code: "input" });
  assert.throws(() => consistencyProof(6, 5, NODE), { code: "input" });
  assert.throws(() => rangeRoot(3, 3, NODE), RangeError);
});

test("powers of two, also where doubles round", () => {
  for (let level = 0; level < 53; level++) {
    assert.equal(exponent(2 ** level), level);
    if (level > 1) assert.equal(exponent(2 ** level - 1), undefined);
    if (level > 0) assert.equal(splitPoint(2 ** level), 2 ** (level - 1));
  }
});

test("paths of tiles, as the specification writes them", () => {
  assert.equal(tilePath(0, 1234067, 8), "tile/0/x001/x234/067.p/8");
  assert.equal(tilePath(3, 0, TILE_WIDTH), "tile/3/000");
  assert.equal(tilePath("entries", 1000, 255), "tile/entries/x001/000.p/255");
  assert.throws(() => tilePath(0, -1, 1), { code: "input" });
});

test("the tiles of the specification's example of 70,000 leaves", () => {
  // C2SP tlog-tiles: "256 full level 0 tiles …" for 70,000 = 273·256 + 112, 273 = 256 + 17.
  assert.equal(tileWidth(0, 272, 70_000), 256);
  assert.equal(tileWidth(0, 273, 70_000), 112);
  assert.equal(tileWidth(0, 274, 70_000), 0);
  assert.equal(tileWidth(1, 0, 70_000), 256);
  assert.equal(tileWidth(1, 1, 70_000), 17);
  assert.equal(tileWidth(2, 0, 70_000), 1);
  assert.deepEqual(edgeTiles(70_000), [
    { level: 0, index: 273, width: 112 },
    { level: 1, index: 1, width: 17 },
    { level: 2, index: 0, width: 1 },
  ]);
});

test("new tiles are those that growing touches", () => {
  fc.assert(
    fc.property(fc.nat(200_000), fc.nat(3000), (from, more) => {
      const tiles = newTiles(from, from + more);
      for (const { level, index, width } of tiles) {
        assert.equal(width, tileWidth(level, index, from + more));
        assert.ok(width > tileWidth(level, index, from));
      }
      const leaves = tiles
        .filter(({ level }) => level === 0)
        .reduce((sum, { index, width }) => sum + width - tileWidth(0, index, from), 0);
      assert.equal(leaves, more);
    }),
  );
});

test("every node is found in its tile", () => {
  fc.assert(
    fc.property(sizes, fc.nat(), fc.nat(8), (size, seed, level) => {
      const nodes = Math.floor(size / 2 ** level);
      if (nodes === 0) return;
      const index = seed % nodes;
      const tile = tileOf({ level, index });
      const width = tileWidth(tile.level, tile.index, size);
      const first = tile.index * TILE_WIDTH;
      const hashes = Array.from({ length: width }, (_, at) => NODE(tile.level * 8, first + at));
      const rows = tileRows(concat(hashes));
      const { row, column } = placeInTile({ level, index });
      assert.equal(hex(rows[row]?.[column] ?? new Uint8Array()), hex(NODE(level, index)));
      assert.deepEqual(tileBytes(rows), concat(hashes));
    }),
  );
});

test("entries are read as they were written, and cut-off ones rejected", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 20 }), (entries) => {
      const bytes = writeEntries(entries);
      assert.deepEqual(parseEntries(bytes), entries);
      if (bytes.length > 0 && (entries.at(-1)?.length ?? 0) > 0) {
        assert.throws(() => parseEntries(bytes.subarray(0, -1)), { code: "input" });
      }
    }),
  );
  assert.throws(() => parseEntries(Uint8Array.of(0)), { code: "input" });
  assert.equal(writeEntries([new Uint8Array(65_535)]).length, 65_537);
  assert.throws(() => writeEntries([new Uint8Array(65_536)]), { code: "limit" });
});
