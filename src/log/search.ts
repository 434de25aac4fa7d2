/**
 * Searching a log, with proof. The log's key signs the root of the sorted index
 * (`search-index.ts`) of the tree of one checkpoint; an answer holds the lines
 * that fit and those beside them, and proves each entry that it found by the
 * log itself. Whoever reads the whole log can compute the same root: a false
 * index is shown by its own signature.
 *
 *     bitforbit.dev/log-search/v1
 *     log.example
 *     15368405 31JQUq8EyQx5lpqtKRqryJzA+77WD2xmTyuB4uIlXeE=
 *     30736810 CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
 *     0
 *
 * The lines: what it is, the log's origin, size and root of the log, lines and
 * root of the index, entries that are not hashedrekord and cannot be found. It
 * is no checkpoint: of those, the third line is a root hash alone.
 */
import { base64, fromBase64 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { type NoteVerifier, openNote, signNote } from "../format/note.ts";
import { type Json, type JsonObject, isObject, parseJson } from "../json.ts";
import { type Checkpoint, openCheckpoint } from "./checkpoint.ts";
import { type Entry, readEntry } from "./entry.ts";
import { verifyInclusion } from "./proof.ts";
import type { SignedTree } from "./reader.ts";
import {
  type Query,
  SearchIndex,
  SearchIndexBuilder,
  type SearchKind,
  type Span,
  spanIsComplete,
} from "./search-index.ts";
import type { TileSource } from "./source.ts";
import { HASH_BYTES, TILE_WIDTH, inclusionProof, leafHash, sameRoot } from "./tile.ts";
import { VerifiedTree } from "./verified.ts";
import type { CheckpointSigner } from "./writer.ts";

const TITLE = "bitforbit.dev/log-search/v1";
const MAX_ANSWERS = 1024;
const MAX_HASHES = 128;
/** Of what one answer found, so many entries come with their own proof. */
const MAX_PROVEN = 1000;

/** What the log's key says of the index. */
export interface SearchHead extends Checkpoint {
  /** Lines of the index, and its root. */
  lines: number;
  indexRoot: Uint8Array;
  unreadable: number;
}

/** Two signed notes: of the index, and the checkpoint of the same tree. What a log publishes as `search.json`. */
export interface SearchNotes {
  index: string;
  checkpoint: string;
}

export interface Answer extends Query {
  /** Indexes of entries, all there are. */
  found: number[];
}

export interface SearchProof extends SearchNotes {
  answers: (Query & Span & { entries: { entry: Uint8Array; hashes: Uint8Array[] }[] })[];
}

/** Reads every entry of a tree, each held against its hash. */
export async function searchIndexOf(tree: VerifiedTree): Promise<SearchIndex> {
  const builder = new SearchIndexBuilder();
  for (let tile = 0; tile * TILE_WIDTH < tree.size; tile++) {
    for (const leaf of (await tree.entries(tile)).content) builder.add(leaf);
  }
  return builder.sorted();
}

/** Has the log's key sign the index of a tree. */
export async function signSearch(
  index: SearchIndex,
  { checkpoint, note }: SignedTree,
  verifier: NoteVerifier,
  signer: CheckpointSigner,
): Promise<SearchNotes> {
  const { origin, size, root } = checkpoint;
  const { count, unreadable } = index;
  const text = `${TITLE}\n${origin}\n${size} ${base64(root)}\n${count} ${base64(index.root)}\n${unreadable}\n`;
  const { name, keyHash } = verifier;
  return { index: await signNote(text, { name, keyHash, sign: (bytes) => signer.sign(bytes) }), checkpoint: note };
}

/** What two notes say when both are signed by the log and of one tree. Throws `input`, or `refused` where they are not. */
export function openSearch({ index, checkpoint }: SearchNotes, log: NoteVerifier): SearchHead {
  const { text, signedBy } = openNote(index, [log]);
  if (signedBy.length === 0) throw new BitforbitError("refused", `the search index is not signed by ${log.name}`);
  const number = "(0|[1-9][0-9]{0,14})";
  const form = new RegExp(`^${TITLE}\n([^\n]+)\n${number} ([^ \n]+)\n${number} ([^ \n]+)\n${number}\n$`);
  const [, origin = "", size, root = "", lines, indexRoot = "", unreadable] = form.exec(text) ?? [];
  if (size === undefined) throw new BitforbitError("input", "the note is not of a search index");
  const head = {
    origin,
    size: Number(size),
    root: fromBase64(root),
    lines: Number(lines),
    indexRoot: fromBase64(indexRoot),
    unreadable: Number(unreadable),
  };
  if (origin !== log.name) throw new BitforbitError("refused", `the search index is of ${origin}, not of ${log.name}`);
  const tree = openCheckpoint(checkpoint, log);
  if (tree.size !== head.size || !sameRoot(tree.root, head.root)) {
    throw new BitforbitError(
      "refused",
      `the search index is of the tree of ${head.size} entries, the checkpoint of another of ${tree.size}`,
      { hint: "an answer is complete for one tree only: ask for one that was made anew" },
    );
  }
  return head;
}

/** What the log published for others to search with: of the tree that it is of. Undefined where it has nothing. */
export async function publishedSearch(
  source: TileSource,
  verifier: NoteVerifier,
): Promise<(SignedTree & { head: SearchHead; notes: SearchNotes }) | undefined> {
  const text = await source.searchNotes?.();
  if (text === undefined) return undefined;
  const notes = parseNotes(parseJson(text, `${source.name}/search.json`), "search.json");
  const head = openSearch(notes, verifier);
  const { origin, size, root } = head;
  return {
    head,
    notes,
    checkpoint: { origin, size, root },
    note: notes.checkpoint,
    tree: new VerifiedTree([source], { size, root }),
  };
}

/** Throws `refused` when an index that was signed does not follow from the entries: then the log's key lied, or its holder erred. */
export function requireTrue(head: SearchHead, index: SearchIndex): void {
  const { lines, unreadable, origin } = head;
  if (index.count === lines && index.unreadable === unreadable && sameRoot(index.root, head.indexRoot)) return;
  throw new BitforbitError("refused", `the search index that ${origin} signed does not follow from its entries`, {
    hint: "keep its search.json and the entries: they show that what was signed is false",
  });
}

/** Answers with proof. `index` and `notes` are of the tree. */
export async function proveSearch(
  queries: readonly Query[],
  index: SearchIndex,
  notes: SearchNotes,
  tree: VerifiedTree,
): Promise<SearchProof> {
  const answers: SearchProof["answers"] = [];
  for (const query of queries) {
    const span = index.span(query);
    const entries: { entry: Uint8Array; hashes: Uint8Array[] }[] = [];
    for (const at of span.found.slice(0, MAX_PROVEN)) {
      const { content } = await tree.entries(Math.floor(at / TILE_WIDTH));
      const hashes = await tree.compute((node) => inclusionProof(at, tree.size, node));
      entries.push({ entry: content[at % TILE_WIDTH] ?? new Uint8Array(), hashes });
    }
    answers.push({ ...query, ...span, entries });
  }
  return { ...notes, answers };
}

/**
 * What a proof says, when it is one: that these are all entries of the tree
 * about each query. Throws `input` or `limit` for what is malformed, `refused`
 * for what does not follow from the two signed notes.
 */
export function verifySearch(proof: SearchProof, log: NoteVerifier): { head: SearchHead; answers: Answer[] } {
  const head = openSearch(proof, log);
  for (const answer of proof.answers) {
    const { kind, value, found, entries } = answer;
    const what = `the answer about ${kind} ${JSON.stringify(value.slice(0, 100))}`;
    if (!spanIsComplete(answer, answer, head.lines, head.indexRoot)) {
      throw new BitforbitError("refused", `${what} is not proven complete`, {
        hint: "it was changed, something was left out, or it is of another index",
      });
    }
    if (entries.length !== Math.min(found.length, MAX_PROVEN)) {
      throw new BitforbitError("refused", `${what} has ${entries.length} entries for ${found.length} that it found`);
    }
    for (const [at, { entry, hashes }] of entries.entries()) {
      const index = found[at] ?? -1;
      if (!verifyInclusion(index, head.size, leafHash(entry), hashes, head.root)) {
        throw new BitforbitError("refused", `${what}: entry ${index} is not proven to be in the log`);
      }
      const said = readEntry(entry);
      if (said === undefined || !isAbout(said, answer)) {
        throw new BitforbitError("refused", `${what}: entry ${index} is about something else`);
      }
    }
  }
  return { head, answers: proof.answers.map(({ kind, value, found }) => ({ kind, value, found })) };
}

function isAbout({ digest, keyId, names }: Entry, { kind, value }: Query): boolean {
  return kind === "digest" ? digest === value : kind === "key" ? keyId === value : names.includes(value);
}

export function notesText({ index, checkpoint }: SearchNotes): string {
  return `${JSON.stringify({ version: 1, index, checkpoint }, null, 2)}\n`;
}

const encoded = (bytes: readonly Uint8Array[]): string[] => bytes.map((one) => base64(one));

export function proofText({ index, checkpoint, answers }: SearchProof): string {
  const shown = answers.map(({ before, after, hashes, entries, kind, value, from, to, found }) => ({
    kind,
    value,
    from,
    to,
    found,
    ...(before === undefined ? {} : { before: base64(before) }),
    ...(after === undefined ? {} : { after: base64(after) }),
    hashes: encoded(hashes),
    entries: entries.map((one) => ({ entry: base64(one.entry), hashes: encoded(one.hashes) })),
  }));
  return `${JSON.stringify({ version: 1, index, checkpoint, answers: shown }, null, 1)}\n`;
}

/** The inverse of `proofText`. Throws `input` or `limit`, naming `what`. */
export function parseProof(text: string, what: string): SearchProof {
  const value = parseJson(text, what);
  const notes = parseNotes(value, what, ["answers"]);
  const answers = isObject(value) ? value["answers"] : undefined;
  return { ...notes, answers: list(answers, MAX_ANSWERS, `${what}: answers`).map((one) => parseAnswer(one, what)) };
}

const ANSWER = new Set(["kind", "value", "from", "to", "found", "before", "after", "hashes", "entries"]);

function parseAnswer(value: Json, what: string): SearchProof["answers"][number] {
  const answer = only(value, ANSWER, `an answer of ${what}`);
  const { kind, before, after } = answer;
  const words = answer["value"];
  if ((kind !== "digest" && kind !== "key" && kind !== "name") || typeof words !== "string") {
    throw new BitforbitError("input", `${what}: an answer is not about a digest, key or name`);
  }
  const entries = list(answer["entries"], MAX_PROVEN, `${what}: entries`).map((one) => {
    const { entry, hashes } = only(one, new Set(["entry", "hashes"]), `an entry of ${what}`);
    return { entry: octets(entry, what), hashes: hashList(hashes, what) };
  });
  return {
    kind: kind satisfies SearchKind,
    value: words,
    from: whole(answer["from"], what),
    to: whole(answer["to"], what),
    found: list(answer["found"], 1 << 24, `${what}: found`).map((one) => whole(one, what)),
    ...(before === undefined ? {} : { before: octets(before, what) }),
    ...(after === undefined ? {} : { after: octets(after, what) }),
    hashes: hashList(answer["hashes"], what),
    entries,
  };
}

function parseNotes(value: Json, what: string, more: readonly string[] = []): SearchNotes {
  const { version, index, checkpoint } = only(value, new Set(["version", "index", "checkpoint", ...more]), what);
  if (version !== 1 || typeof index !== "string" || typeof checkpoint !== "string") {
    throw new BitforbitError("input", `${what} is not version 1 of a search index and its checkpoint`);
  }
  return { index, checkpoint };
}

function only(value: Json, names: ReadonlySet<string>, what: string): JsonObject {
  if (!isObject(value)) throw new BitforbitError("input", `${what} is not an object`);
  const unknown = Object.keys(value).find((name) => !names.has(name));
  if (unknown === undefined) return value;
  throw new BitforbitError("input", `${what} has the unknown field ${JSON.stringify(unknown.slice(0, 80))}`);
}

function list(value: Json | undefined, most: number, what: string): Json[] {
  if (!Array.isArray(value)) throw new BitforbitError("input", `${what} is not a list`);
  if (value.length > most) throw new BitforbitError("limit", `${what} has more than ${most} items`);
  return value;
}

function whole(value: Json | undefined, what: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new BitforbitError("input", `${what}: not an index: ${JSON.stringify(value ?? null).slice(0, 80)}`);
}

function octets(value: Json | undefined, what: string): Uint8Array {
  if (typeof value !== "string") throw new BitforbitError("input", `${what}: not a string of base64`);
  return fromBase64(value);
}

function hashList(value: Json | undefined, what: string): Uint8Array[] {
  const hashes = list(value, MAX_HASHES, `${what}: hashes`).map((one) => octets(one, what));
  if (hashes.every(({ length }) => length === HASH_BYTES)) return hashes;
  throw new BitforbitError("input", `${what}: a hash is not of 32 bytes`);
}
