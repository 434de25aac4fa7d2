/**
 * Which of some places stand in rising order, as many as possible: a longest
 * increasing subsequence, in O(n log n). Gives a byte for each: 1 where it
 * belongs to it. Negative places belong to none.
 */
export function rising(places: Int32Array): Uint8Array {
  const kept = new Uint8Array(places.length);
  const before = new Int32Array(places.length).fill(-1);
  // tails[k]: where the smallest end of a rising run of k + 1 stands.
  const tails = new Int32Array(places.length);
  let length = 0;
  for (let at = 0; at < places.length; at++) {
    const place = places[at] ?? -1;
    if (place < 0) continue;
    let low = 0;
    let high = length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((places[tails[middle] ?? 0] ?? 0) < place) low = middle + 1;
      else high = middle;
    }
    if (low > 0) before[at] = tails[low - 1] ?? -1;
    tails[low] = at;
    if (low === length) length++;
  }
  for (let at = length === 0 ? -1 : (tails[length - 1] ?? -1); at >= 0; at = before[at] ?? -1) kept[at] = 1;
  return kept;
}
