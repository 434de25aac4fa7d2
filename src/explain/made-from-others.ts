import type { Leaf } from "../diff/difference.ts";

/** Parts whose bytes are made from other bytes, by the names that formats give them: ELF's build-id, checksums, signatures. */
const PARTS =
  /\bbuild.?id\b|\bchecksums?\b|\bcrc(?:32)?\b|\bdigests?\b|\bmd5(?:sums?)?\b|\bsha(?:1|256|512)(?:sums?)?\b|\bsignature\b/i;

/**
 * Whether what a leaf holds is made from other bytes of the build, so that it
 * changes only because they do: a build-id, a checksum, a name with a digest of
 * its content. That it looks like a digest does not do: a random number does,
 * too, and so does the hash of a path.
 */
export function isMadeFromOthers(leaf: Leaf): boolean {
  if (leaf.what === "only-a" || leaf.what === "only-b") return holdsDigest(leaf.path.at(-1) ?? "");
  if (leaf.field === "name" && holdsDigest(leaf.a ?? "") && holdsDigest(leaf.b ?? "")) return true;
  const within = [...leaf.path.slice(1), ...(leaf.field === undefined ? [] : [leaf.field])];
  return within.some((part) => PARTS.test(part));
}

/** A name such as "app.3f9c2b1a.js". */
function holdsDigest(name: string): boolean {
  return name
    .split(/[^0-9A-Za-z]/)
    .some((word) => word.length >= 8 && /^[0-9a-f]+$/i.test(word) && /\d/.test(word) && /[a-f]/i.test(word));
}
