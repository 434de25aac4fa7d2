/** `bitforbit log search`: what a log holds about a digest, key, name or package, with proof that it is all there is. */
import { join } from "node:path";
import { base64 } from "../bytes.ts";
import { type Digest, parseDigest, sha256 } from "../digest.ts";
import { writeDurable } from "../durable.ts";
import { BitforbitError, type ExitCode } from "../errors.ts";
import { keysOf } from "../flow/keys.ts";
import { type Asked, type Subject, queriesAbout } from "../flow/search-queries.ts";
import { noteVerifier } from "../format/note.ts";
import { parseSpki } from "../format/spki.ts";
import { publicKeys } from "../keys/keys.ts";
import { startsWith } from "../log/mirror.ts";
import type { LogReader, SignedTree } from "../log/reader.ts";
import {
  type SearchNotes,
  notesText,
  parseProof,
  proofText,
  proveSearch,
  publishedSearch,
  requireTrue,
  searchIndexOf,
  signSearch,
  verifySearch,
} from "../log/search.ts";
import { type SearchIndex, prefixOf } from "../log/search-index.ts";
import { namedKey, namedLog, readSmall } from "./log-place.ts";
import { wholeNumber } from "./log-serve.ts";
import { type Options, texts } from "./program.ts";
import { nearestHome, passphrase, text } from "./project.ts";
import { counted, type Terminal } from "./terminal.ts";

const MAX_PROOF_BYTES = 64 << 20;
const SUBJECTS = ["digest", "key", "name", "package"] as const;

/** What is said of the tree that was searched. */
interface Searched {
  origin: string;
  size: number;
  unreadable: number;
}

export async function search(options: Options, terminal: Terminal): Promise<ExitCode> {
  const queries = await askedFor(options);
  const file = text(options, "verify");
  if (file !== undefined) return await verified(file, queries, options, terminal);
  if (queries.length === 0 && options["publish"] !== true) {
    throw new BitforbitError("usage", "log search takes one of --digest, --key, --name, --package", {
      hint: "or --publish, or --verify FILE",
    });
  }
  const log = await namedLog(options);
  const proof = text(options, "proof");
  const signed = proof !== undefined || options["publish"] === true ? await signedIndex(log, options) : undefined;
  const { tree } = signed ?? (await log.newest());
  const index = signed?.index ?? (await searchIndexOf(tree));
  if (signed === undefined) await checkPublished(log, index);
  const searched = { origin: log.identity.origin, size: index.size, unreadable: index.unreadable };
  if (signed !== undefined && proof !== undefined) {
    const content = proofText(await proveSearch(queries, index, signed.notes, tree));
    if (content.length > MAX_PROOF_BYTES) throw new BitforbitError("limit", "the answer is too large for one proof");
    await writeDurable(proof, content);
  }
  const answers = queries.map((query) => ({ ...query, found: index.span(query).found }));
  tell(searched, answers, terminal, { ...(proof === undefined ? {} : { proof }), ...publishedPlace(signed) });
  return 0;
}

/** The one thing that was asked for, and for an artifact every statement about it that is known. */
async function askedFor(options: Options): Promise<Asked[]> {
  const named = SUBJECTS.filter((name) => text(options, name) !== undefined);
  if (named.length > 1) throw new BitforbitError("usage", `--${named.join(" and --")} are not for one search`);
  const files = texts(options, "bundle");
  const [kind] = named;
  const value = (kind === undefined ? undefined : text(options, kind)) ?? "";
  if (kind === undefined || kind === "key" || kind === "name") {
    if (files.length > 0) throw new BitforbitError("usage", "--bundle is for --digest and --package");
    if (kind === undefined) return [];
    const query = { kind, value: kind === "key" ? await keyIdOf(value) : value };
    prefixOf(query); // refuses what is no key id before a log is read
    return [query];
  }
  // A stranger's log has a stranger's artifacts: what is in the store here says nothing of them.
  const own = text(options, "log") === undefined && text(options, "logKey") === undefined;
  const subject: Subject = kind === "digest" ? { digest: parseDigest(value) } : { name: value };
  const queries = await queriesAbout(subject, files, own ? await nearestHome(".", options) : undefined);
  if (queries.length > 0) return queries;
  throw new BitforbitError("input", `nothing is known of a package ${JSON.stringify(value.slice(0, 100))}`, {
    hint: "a log's entries do not name packages: name its statements with --bundle, or search by --digest or --key",
  });
}

/** `key` is an id as `keys list` prints it, or a file with a public key. */
async function keyIdOf(key: string): Promise<string> {
  if (/^[A-Za-z0-9+/]{43}=$/.test(key)) return key;
  const { der } = parseSpki(await readSmall(key), key);
  return base64(sha256(der));
}

interface SignedIndex extends SignedTree {
  index: SearchIndex;
  notes: SearchNotes;
  /** Where it was published just now. */
  place?: string;
}

/** The index with the log's signature: what the log published; of one's own log, signed and published now when it grew since. */
async function signedIndex(log: LogReader, options: Options): Promise<SignedIndex> {
  const published = await publishedSearch(log.source, log.verifier);
  const newest = await log.newest();
  const own = text(options, "log") === undefined && text(options, "logKey") === undefined;
  if (published !== undefined && (!own || published.head.size === newest.tree.size)) {
    await requireOneLog(newest, published);
    const index = await searchIndexOf(published.tree);
    requireTrue(published.head, index);
    return { ...published, index };
  }
  if (!own) {
    throw new BitforbitError("input", `the log in ${log.source.name} publishes no signed search index`, {
      hint: "its operator makes one with 'bitforbit log search --publish'; without --proof, the log is searched as it stands",
    });
  }
  const home = await nearestHome(".", options);
  const { checkpoint } = await keysOf(home, passphrase());
  const index = await searchIndexOf(newest.tree);
  const notes = await signSearch(index, newest, log.verifier, checkpoint);
  const place = join(home.log, "search.json");
  await writeDurable(place, notesText(notes));
  return { ...newest, index, notes, place };
}

/** What was searched without a signature is held against what is signed, where that is of the same tree. */
async function checkPublished(log: LogReader, index: SearchIndex): Promise<void> {
  const published = await publishedSearch(log.source, log.verifier);
  if (published === undefined) return;
  await requireOneLog(await log.newest(), published);
  if (published.head.size === index.size) requireTrue(published.head, index);
}

async function requireOneLog(newest: SignedTree, published: SignedTree): Promise<void> {
  if (await startsWith(newest.tree, published.checkpoint)) return;
  const { size } = published.checkpoint;
  throw new BitforbitError("refused", `the log's search index is of another tree of ${size} entries than the log`, {
    hint: "'bitforbit log judge' shows the checkpoint in its search.json and the log's own to anyone who has the key",
  });
}

function publishedPlace(signed: SignedIndex | undefined): { published?: string } {
  return signed?.place === undefined ? {} : { published: signed.place };
}

/** A proof in a file against the log's key; with a question, that it is an answer to that one. */
async function verified(
  file: string,
  queries: readonly Asked[],
  options: Options,
  terminal: Terminal,
): Promise<ExitCode> {
  const proof = parseProof(await readSmall(file, MAX_PROOF_BYTES), file);
  const key = await namedKey(options);
  const pem = key?.pem ?? (await publicKeys((await nearestHome(".", options)).root)).checkpoint.pem;
  const origin = key?.origin ?? proof.checkpoint.split("\n", 1)[0] ?? "";
  const { head, answers } = verifySearch(proof, noteVerifier(origin, pem));
  const least = wholeNumber(options, "logSize", 0, 999_999_999);
  if (head.size < least) {
    throw new BitforbitError("refused", `${file} is about the first ${head.size} entries, not about ${least}`, {
      hint: "ask for a newer answer",
    });
  }
  const about = new Map(queries.map((query) => [`${query.kind} ${query.value}`, query.about]));
  for (const wanted of about.keys()) {
    if (answers.some(({ kind, value }) => `${kind} ${value}` === wanted)) continue;
    throw new BitforbitError("refused", `${file} has no answer about ${wanted}`);
  }
  const shown = answers
    .filter(({ kind, value }) => about.size === 0 || about.has(`${kind} ${value}`))
    .map((answer) => ({ ...answer, ...aboutOf(about.get(`${answer.kind} ${answer.value}`)) }));
  tell(head, shown, terminal, { verified: true });
  return 0;
}

const aboutOf = (about: Asked["about"]): { about?: { digest: Digest; predicateType: string } } =>
  about === undefined ? {} : { about };

function tell(
  { origin, size, unreadable }: Searched,
  answers: readonly (Asked & { found: number[] })[],
  terminal: Terminal,
  more: { proof?: string; published?: string; verified?: true },
): void {
  terminal.document({ origin, size, unreadable, answers, ...more });
  for (const { kind, value, about, found } of answers) {
    const what = about === undefined ? `${kind} ${value}` : `${about.predicateType} about ${about.digest}`;
    const shown = found.slice(0, 20).join(", ") + (found.length > 20 ? ", …" : "");
    terminal.line(
      `${what}: ${found.length === 0 ? "nothing" : `${counted(found.length, "entry", "entries")}: ${shown}`}`,
    );
  }
  const proven = more.verified === true ? terminal.good("proven complete for") : "this is all there is in";
  const aside = unreadable === 0 ? "" : `, of which ${unreadable} cannot be searched`;
  if (answers.length > 0) terminal.line(`${proven} the ${counted(size, "entry", "entries")} of ${origin}${aside}`);
  if (more.published !== undefined) terminal.line(`signed: ${more.published}`);
  if (more.proof !== undefined) terminal.line(`proof: ${more.proof}`);
}
