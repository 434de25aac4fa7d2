/** Verifying Merkle proofs. The attacker writes every argument but the root and size of a verified checkpoint. */
import { HASH_BYTES, exponent, nodeHash, sameRoot } from "./tile.ts";

/**
 * Whether the leaf with `leafHash` is at `index` of the tree with `root` and
 * `size` leaves: RFC 9162, section 2.1.3.2. A proof has at most 53 hashes,
 * since sizes are safe integers.
 */
export function verifyInclusion(
  index: number,
  size: number,
  leafHash: Uint8Array,
  proof: readonly Uint8Array[],
  root: Uint8Array,
): boolean {
  if (!isIndex(index) || !isIndex(size) || index >= size || !areHashes([leafHash, ...proof, root])) return false;
  let fn = index;
  let sn = size - 1;
  let hash = leafHash;
  for (const sibling of proof) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      hash = nodeHash(sibling, hash);
      while (fn % 2 === 0 && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && sameRoot(hash, root);
}

/**
 * Whether the tree with `secondRoot` and `second` leaves starts with the tree
 * with `firstRoot` and `first` leaves: RFC 9162, section 2.1.4.2. No for a first
 * tree without leaves: it starts every tree, so a proof would say nothing.
 */
export function verifyConsistency(
  first: number,
  second: number,
  firstRoot: Uint8Array,
  secondRoot: Uint8Array,
  proof: readonly Uint8Array[],
): boolean {
  if (
    !isIndex(first) ||
    !isIndex(second) ||
    first === 0 ||
    first > second ||
    !areHashes([...proof, firstRoot, secondRoot])
  ) {
    return false;
  }
  if (first === second) return proof.length === 0 && sameRoot(firstRoot, secondRoot);
  // When `first` is a power of two its root is itself the first node of the proof.
  const path = exponent(first) !== undefined ? [firstRoot, ...proof] : [...proof];
  let fn = first - 1;
  let sn = second - 1;
  while (fn % 2 === 1) {
    fn = half(fn);
    sn = half(sn);
  }
  const [start, ...rest] = path;
  if (start === undefined) return false;
  let one = start;
  let two = start;
  for (const node of rest) {
    if (sn === 0) return false;
    if (fn % 2 === 1 || fn === sn) {
      one = nodeHash(node, one);
      two = nodeHash(node, two);
      while (fn % 2 === 0 && fn !== 0) {
        fn = half(fn);
        sn = half(sn);
      }
    } else {
      two = nodeHash(two, node);
    }
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && sameRoot(one, firstRoot) && sameRoot(two, secondRoot);
}

function half(value: number): number {
  return Math.floor(value / 2);
}

function isIndex(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}

function areHashes(hashes: readonly Uint8Array[]): boolean {
  return hashes.length <= 64 && hashes.every((hash) => hash.length === HASH_BYTES);
}
