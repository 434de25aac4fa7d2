/** Which lines of diffoscope's are not in our difference. */
import { type Ours, plain, type Shown } from "./ours.ts";
import type { Told } from "./peer.ts";
import { withoutArtefacts } from "./rules.ts";

export interface Missing {
  /** The member, and what diffoscope ran on it. */
  where: string;
  what: string;
}

export function missingOf(told: readonly Told[], ours: Ours): Missing[] {
  return told.flatMap((place) => missingAt(place, ours));
}

function missingAt(place: Told, ours: Ours): Missing[] {
  const where = [...place.members.map(({ a }) => a), place.by].filter((word) => word !== "").join(" > ");
  const changes = inPairs(place.by, withoutArtefacts(place), ours.renames);
  const found = leavesAt(place, ours.leaves);
  if (found.length === 0) return [{ where, what: "nothing is told of this member" }];
  if (changes.length === 0) return [];
  const text = found.map((shown) => shown.text).join("\n");
  const flat = text.replace(/\s+/g, " ");
  const isShown = (word: string): boolean =>
    text.includes(word) ||
    flat.includes(word) ||
    ours.sizes.has(word) ||
    text.toLowerCase().includes(word.toLowerCase());
  return changes.flatMap(({ gone, came }) => {
    const missing: Missing[] = [];
    const paired = gone.length === came.length;
    const side = (mark: string, lines: string[], others: string[]): void => {
      const all = new Set(others.flatMap(wordsOf));
      for (const [at, line] of lines.entries()) {
        if (isShown(line)) continue;
        const besides = paired ? new Set(wordsOf(others[at] ?? "")) : all;
        const steps = new Set([...besides].flatMap((word) => word.split("/")));
        const isThere = (word: string): boolean =>
          isShown(word) || (word.includes("/") && word.split("/").every((step) => steps.has(step) || isShown(step)));
        const lost = wordsOf(line).filter((word) => !besides.has(word) && !isThere(word));
        if (lost.length > 0)
          missing.push({ where, what: `${mark} ${line.slice(0, 200)}   [${lost.slice(0, 8).join("] [")}]` });
      }
    };
    side("-", gone, came);
    side("+", came, gone);
    return missing;
  });
}

/** Listings: lines of the same member, which may stand far apart, belong together. */
function inPairs(by: string, changes: Told["changes"], renames: ReadonlyMap<string, string>): Told["changes"] {
  if (!/list$|^zipinfo \{\}|-lls/.test(by)) return changes;
  const came = new Map(changes.flatMap((change) => change.came).map((line) => [nameOf(line), line]));
  const pairs: Told["changes"] = [];
  for (const line of changes.flatMap((change) => change.gone)) {
    const name = came.has(nameOf(line)) ? nameOf(line) : (renames.get(nameOf(line)) ?? "");
    const other = came.get(name);
    came.delete(name);
    pairs.push({ gone: [line], came: other === undefined ? [] : [other] });
  }
  return [...pairs, ...[...came.values()].map((line) => ({ gone: [], came: [line] }))];
}

const nameOf = (line: string): string => plain(line.split(" ").at(-1) ?? "");

function wordsOf(line: string): string[] {
  return line
    .split(/[\s"'`,;()<>{}[\]=|]+/)
    .map((word) => word.replace(/^[.:]+(?=\w)|[.:]+$/g, ""))
    .filter((word) => /\w/.test(word));
}

/** Our leaves of the innermost member that has any; of all, where it is not one of a container. */
function leavesAt({ members }: Told, leaves: Shown[]): Shown[] {
  const names = members.filter(({ a }, at) => at === 0 || members[at - 1]?.a.startsWith(a) !== true);
  const last = names.at(-1);
  if (last === undefined) return leaves;
  const wanted = [plain(last.a), plain(last.b)];
  const here = leaves.filter(({ path }) =>
    path.some((name) =>
      wanted.some((one) => name === one || name.endsWith(`/${one}`) || one.endsWith(`/${name}`) || name.includes(one)),
    ),
  );
  if (here.length > 0 || !isWrapping(last.a)) return here;
  return leavesAt({ members: members.slice(0, -1), by: "", comments: [], changes: [] }, leaves);
}

/** What is only another form of what holds it: "data.tar" in "data.tar.xz", "x-content" in "x". */
function isWrapping(name: string): boolean {
  return /\.tar$|-content$|\.cpio$|^content$/.test(name);
}
