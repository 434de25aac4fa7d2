/** A digest in a name, in hexadecimal, or as bundlers shorten it: eight letters and digits. */
const DIGEST = /(?<![0-9A-Za-z])(?:[0-9a-f]{7,128}|[0-9A-Za-z_]{8})(?![0-9A-Za-z])/g;

/**
 * A name without the digests in it, which are others in each build although the thing is the same: `main-#.js` for
 * `main-3f2a9bc1.js` and for `main-DiwrgT9a.js`. A word of letters is none, nor is one in capitals with a number.
 */
export function withoutDigests(name: string): string {
  return name.replace(DIGEST, (word) => (isDigest(word) ? "#" : word));
}

function isDigest(word: string): boolean {
  if (!/[0-9]/.test(word)) return false;
  return /^[0-9a-f]{7,}$/.test(word) || (/[A-Z]/.test(word) && /[a-z]/.test(word)) || /^[A-Z2-7]{8}$/.test(word);
}
