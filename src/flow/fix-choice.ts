/** Which remedies are tried for a cause, and which of their edits first. */
import type { Cause } from "../explain/cause.ts";
import type { Edit } from "../explain/remedies/edit.ts";
import type { Texts } from "../explain/remedies/project.ts";
import { INTRUSIONS, type Remedy } from "../explain/remedies/remedy.ts";
import { remedies } from "../explain/remedies/remedies.ts";
import type { CauseName } from "../world.ts";
import { placed } from "./fix-places.ts";

/** What is tried where nothing named the cause: what leaves no mark of its own. */
const UNMARKED: readonly CauseName[] = ["random", "hash-order", "pid", "cpu-count", "race", "kernel", "vcs"];

/** What a cause may be taken for, where the bytes alone named it: another order is not always the folders'. */
const LIKE: Partial<Record<CauseName, readonly CauseName[]>> = {
  "readdir-order": ["hash-order", "locale", "race"],
  "hash-order": ["random", "readdir-order"],
  random: ["hash-order", "pid"],
  race: ["cpu-count", "readdir-order"],
  "cpu-count": ["race"],
  clock: ["mtime", "timezone"],
  mtime: ["clock"],
  timezone: ["clock"],
  unknown: UNMARKED,
};

/** In the order in which they are tried: the cause's own, then those of what it may be taken for. */
export function remediesFor(name: CauseName): [own: Remedy[], like: Remedy[]] {
  const own = inOrder(({ causes }) => causes.includes(name));
  const like = inOrder(({ causes }) => causes.some((one) => LIKE[name]?.includes(one) === true));
  return [own, like.filter((one) => !own.includes(one))];
}

function inOrder(mends: (remedy: Remedy) => boolean): Remedy[] {
  return INTRUSIONS.flatMap((intrusion) => remedies.filter((one) => one.intrusion === intrusion && mends(one)));
}

/** Of several edits those on the lines that are known to have written what differs, with the imports that these need. */
export function inScripts(edits: readonly Edit[], texts: Texts, causes: readonly Cause[]): Edit[] {
  const lines = new Set(
    causes.flatMap(({ command }) =>
      command?.script === undefined ? [] : [`${command.script.path}\0${command.script.line}`],
    ),
  );
  if (lines.size === 0) return [];
  const hit = placed(texts, edits).map(({ path, line }) => lines.has(`${path}\0${line}`));
  const paths = new Set(edits.flatMap((edit, at) => (hit[at] === true && edit.kind === "text" ? [edit.path] : [])));
  return edits.filter(
    (edit, at) =>
      hit[at] === true ||
      (edit.kind === "text" && edit.before === "" && /^import \w+\n$/.test(edit.after) && paths.has(edit.path)),
  );
}
