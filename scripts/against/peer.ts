/** What diffoscope shows of a pair: its JSON as a list of places with the lines that differ there. */

/** As `diffoscope --json` writes it. */
interface PeerNode {
  source1: string;
  source2: string;
  comments?: string[];
  unified_diff: string | null;
  details?: PeerNode[];
}

/** One node of its tree that tells something. */
export interface Told {
  /** Members from the outermost in, each by its name on both sides; without what was run on them. */
  members: { a: string; b: string }[];
  /** What was run to see it: "readelf --wide --sections {}", "file list", or "" for the content itself. */
  by: string;
  comments: string[];
  /** Runs of lines: what went and what came. */
  changes: { gone: string[]; came: string[] }[];
}

const SEEN_BY =
  /\{\}|^(?:file list|stat|metadata|symlink|filetype from|line order|ordering|encoding|zipinfo|zipnote|error|Pretty-printed|js-beautify|(?:objdump|sng|Python bytecode|xxd|header)$)/;

/** `document`: as parsed. Members of folders are told by their place below the root, not by whole paths. */
export function toldBy(document: unknown): Told[] {
  const root = document as PeerNode;
  const within = (name: string): string =>
    [root.source1, root.source2].reduce(
      (path, top) => (path.startsWith(`${top}/`) ? path.slice(top.length + 1) : path),
      name,
    );
  return nodesIn(root, [], true).map((told) => ({
    ...told,
    members: told.members.map(({ a, b }) => ({ a: within(a), b: within(b) })),
  }));
}

function nodesIn(node: PeerNode, above: Told["members"], root = false): Told[] {
  const isMember = !root && !SEEN_BY.test(node.source1);
  const members = isMember ? [...above, { a: node.source1, b: node.source2 }] : above;
  const changes = node.unified_diff === null ? [] : changesIn(node.unified_diff);
  const comments = node.comments ?? [];
  const by = isMember || root ? "" : node.source1;
  const own = changes.length > 0 || comments.length > 0 ? [{ members, by, comments, changes }] : [];
  return [...own, ...(node.details ?? []).flatMap((inner) => nodesIn(inner, members))];
}

function changesIn(diff: string): Told["changes"] {
  const changes: Told["changes"] = [];
  let open: Told["changes"][number] | undefined;
  for (const line of diff.split("\n")) {
    const mark = line[0];
    if (mark !== "-" && mark !== "+") {
      open = undefined;
      continue;
    }
    // what it left out of a long block
    if (/^[-+]\[ \d+ lines removed \]$/.test(line)) continue;
    if (open === undefined) changes.push((open = { gone: [], came: [] }));
    (mark === "-" ? open.gone : open.came).push(line.slice(1));
  }
  return changes;
}

/** How many lines its tree has. */
export function linesOf(told: readonly Told[]): number {
  return told.reduce(
    (sum, { changes }) => sum + changes.reduce((lines, { gone, came }) => lines + gone.length + came.length, 0),
    0,
  );
}
