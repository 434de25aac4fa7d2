/** Which words of two lines differ, and which lines of two listings: for the terminal and for the page; imports nothing. */

/** From and to in `a`, from and to in `b`: a run that differs. */
export type Edit = readonly [number, number, number, number];

/** Edits after which the shortest script is given up and all in between counts as changed. */
const MAX_EDITS = 600;

/** The runs in which two lists differ (Myers, "An O(ND) difference algorithm", 1986; bounded). */
export function editsOf(a: readonly string[], b: readonly string[]): Edit[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let endA = a.length;
  let endB = b.length;
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) {
    endA--;
    endB--;
  }
  if (start === endA && start === endB) return [];
  if (start === endA || start === endB) return [[start, endA, start, endB]];
  const path = shortestPath(a, b, start, endA, endB);
  return path ?? [[start, endA, start, endB]];
}

function shortestPath(
  a: readonly string[],
  b: readonly string[],
  start: number,
  endA: number,
  endB: number,
): Edit[] | undefined {
  const [lengthA, lengthB] = [endA - start, endB - start];
  const most = Math.min(lengthA + lengthB, MAX_EDITS);
  const furthest = new Int32Array(2 * most + 3);
  const trace: Int32Array[] = [];
  for (let edits = 0; edits <= most; edits++) {
    trace.push(furthest.slice(most + 1 - edits - 1, most + 1 + edits + 2));
    for (let k = -edits; k <= edits; k += 2) {
      const [below, above] = [furthest[most + 1 + k - 1] ?? 0, furthest[most + 1 + k + 1] ?? 0];
      let x = k === -edits || (k !== edits && below < above) ? above : below + 1;
      while (x < lengthA && x - k < lengthB && a[start + x] === b[start + x - k]) x++;
      furthest[most + 1 + k] = x;
      if (x >= lengthA && x - k >= lengthB) return walkedBack(trace, edits, lengthA, lengthB, start);
    }
  }
  return undefined;
}

function walkedBack(
  trace: readonly Int32Array[],
  edits: number,
  lengthA: number,
  lengthB: number,
  start: number,
): Edit[] {
  const found: [number, number, number, number][] = [];
  let [x, y] = [lengthA, lengthB];
  for (let d = edits; d > 0; d--) {
    const row = trace[d] ?? new Int32Array(0);
    const at = (k: number): number => row[k + d + 1] ?? 0;
    const k = x - y;
    const down = k === -d || (k !== d && at(k - 1) < at(k + 1));
    const fromX = down ? at(k + 1) : at(k - 1);
    const fromY = fromX - (down ? k + 1 : k - 1);
    const [toX, toY] = down ? [fromX, fromY + 1] : [fromX + 1, fromY];
    const last = found.at(-1);
    if (last !== undefined && last[0] === toX + start && last[2] === toY + start) {
      last[0] = fromX + start;
      last[2] = fromY + start;
    } else found.push([fromX + start, toX + start, fromY + start, toY + start]);
    x = fromX;
    y = fromY;
  }
  return found.reverse();
}

/** A piece of a line, and whether it differs from the other line's. */
export interface Piece {
  text: string;
  marked: boolean;
}

const MAX_WORDS = 4000;

/** Words, runs of blanks, and every other character by itself. */
const wordsOf = (text: string): string[] => text.match(/[\p{L}\p{N}_]+|\s+|./gsu) ?? [];

/** Two lines cut where they begin and cease to differ. Lines with next to nothing in common are marked whole. */
export function wordPieces(a: string, b: string): { a: Piece[]; b: Piece[] } {
  const [left, right] = [wordsOf(a), wordsOf(b)];
  if (left.length > MAX_WORDS || right.length > MAX_WORDS) return middlePieces(a, b);
  const edits = joined(editsOf(left, right), left);
  const changed = edits.reduce((sum, [fromA, toA]) => sum + left.slice(fromA, toA).join("").length, 0);
  if (a.length > 0 && b.length > 0 && changed > 0.8 * a.length && edits.length > 1) return middlePieces(a, b);
  return cut(left, right, edits);
}

/** Edits with only a blank or a sign between them are one. */
function joined(edits: readonly Edit[], words: readonly string[]): Edit[] {
  const result: Edit[] = [];
  for (const edit of edits) {
    const last = result.at(-1);
    const between = last === undefined ? "" : words.slice(last[1], edit[0]).join("");
    if (last !== undefined && between.length <= 1 && between.trim() === "")
      result[result.length - 1] = [last[0], edit[1], last[2], edit[3]];
    else result.push(edit);
  }
  return result;
}

function cut(left: readonly string[], right: readonly string[], edits: readonly Edit[]): { a: Piece[]; b: Piece[] } {
  const pieces: { a: Piece[]; b: Piece[] } = { a: [], b: [] };
  let [done, doneB] = [0, 0];
  const same = (to: number, toB: number): void => {
    if (to > done) pieces.a.push({ text: left.slice(done, to).join(""), marked: false });
    if (toB > doneB) pieces.b.push({ text: right.slice(doneB, toB).join(""), marked: false });
  };
  for (const [fromA, toA, fromB, toB] of edits) {
    same(fromA, fromB);
    const changed = narrowed(left.slice(fromA, toA).join(""), right.slice(fromB, toB).join(""));
    pieces.a.push(...changed.a);
    pieces.b.push(...changed.b);
    [done, doneB] = [toA, toB];
  }
  same(left.length, right.length);
  return pieces;
}

/** Of long words that have most in common only what differs is marked. */
function narrowed(a: string, b: string): { a: Piece[]; b: Piece[] } {
  const inside = middlePieces(a, b);
  const changed = Math.max(...[inside.a, inside.b].map((side) => side.find((piece) => piece.marked)?.text.length ?? 0));
  if (Math.min(a.length, b.length) >= 8 && changed <= Math.max(a.length, b.length) / 2) return inside;
  return { a: whole(a), b: whole(b) };
}

const whole = (text: string): Piece[] => (text === "" ? [] : [{ text, marked: true }]);

/** What lies between the common beginning and the common end. */
function middlePieces(a: string, b: string): { a: Piece[]; b: Piece[] } {
  const [left, right] = [[...a], [...b]];
  let start = 0;
  while (start < left.length && start < right.length && left[start] === right[start]) start++;
  let end = 0;
  while (end < left.length - start && end < right.length - start && left.at(-1 - end) === right.at(-1 - end)) end++;
  const pieces = (text: readonly string[]): Piece[] =>
    [
      { text: text.slice(0, start).join(""), marked: false },
      { text: text.slice(start, text.length - end).join(""), marked: true },
      { text: text.slice(text.length - end).join(""), marked: false },
    ].filter((piece) => piece.text !== "");
  return { a: pieces(left), b: pieces(right) };
}

/** A line of A beside the line of B that it became; one of them is missing where a line was added or removed. */
export interface LinePair {
  a?: string;
  b?: string;
  changed: boolean;
}

/**
 * Two texts line by line. In a run that differs, lines stand beside each other
 * where one came from the other as far as their words tell.
 */
export function linePairs(a: readonly string[], b: readonly string[]): LinePair[] {
  const pairs: LinePair[] = [];
  let done = 0;
  let doneB = 0;
  const same = (to: number): void => {
    for (; done < to; done++, doneB++) pairs.push({ a: a[done] ?? "", b: b[doneB] ?? "", changed: false });
  };
  for (const [fromA, toA, fromB, toB] of editsOf(a, b)) {
    same(fromA);
    pairs.push(...changedPairs(a.slice(fromA, toA), b.slice(fromB, toB)));
    done = toA;
    doneB = toB;
  }
  same(a.length);
  return pairs;
}

const MAX_MATCHED = 64;

function changedPairs(a: readonly string[], b: readonly string[]): LinePair[] {
  if (a.length === b.length || a.length * b.length === 0 || a.length > MAX_MATCHED || b.length > MAX_MATCHED)
    return sideBySide(a, b);
  // The longest chain of likenesses, in order.
  const scores: number[][] = Array.from({ length: a.length + 1 }, () => Array.from({ length: b.length + 1 }, () => 0));
  const like = a.map((left) => b.map((right) => likeness(left, right)));
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      (scores[i] ?? [])[j] = Math.max(
        score(scores, i + 1, j),
        score(scores, i, j + 1),
        score(scores, i + 1, j + 1) + (like[i]?.[j] ?? 0),
      );
  const pairs: LinePair[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    const likely = like[i]?.[j] ?? 0;
    if (likely > 0 && score(scores, i, j) === score(scores, i + 1, j + 1) + likely)
      pairs.push({ a: a[i++] ?? "", b: b[j++] ?? "", changed: true });
    else if (score(scores, i, j) === score(scores, i + 1, j)) pairs.push({ a: a[i++] ?? "", changed: true });
    else pairs.push({ b: b[j++] ?? "", changed: true });
  }
  return [...pairs, ...sideBySide(a.slice(i), b.slice(j))];
}

const score = (scores: readonly number[][], i: number, j: number): number => scores[i]?.[j] ?? 0;

function likeness(a: string, b: string): number {
  const words = new Set(a.slice(0, 400).match(/[\p{L}\p{N}_]+/gu));
  const other = new Set(b.slice(0, 400).match(/[\p{L}\p{N}_]+/gu));
  let shared = 0;
  for (const word of words) if (other.has(word)) shared++;
  const most = Math.max(words.size, other.size);
  return most === 0 || shared / most < 0.3 ? 0 : shared / most;
}

function sideBySide(a: readonly string[], b: readonly string[]): LinePair[] {
  return Array.from({ length: Math.max(a.length, b.length) }, (_, at) => {
    const [left, right] = [a[at], b[at]];
    return { ...(left === undefined ? {} : { a: left }), ...(right === undefined ? {} : { b: right }), changed: true };
  });
}

/** Pairs that differ with `context` around them; `undefined` where equal ones are left out. */
export function withContext(pairs: readonly LinePair[], context: number): (LinePair | undefined)[] {
  const near = new Uint8Array(pairs.length);
  pairs.forEach((pair, at) => {
    if (pair.changed) near.fill(1, Math.max(0, at - context), at + context + 1);
  });
  const rows: (LinePair | undefined)[] = [];
  pairs.forEach((pair, at) => {
    if (near[at] === 1) rows.push(pair);
    else if (rows.length === 0 || rows.at(-1) !== undefined) rows.push(undefined);
  });
  return rows;
}
