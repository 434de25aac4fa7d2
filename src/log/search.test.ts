import { strict as assert } from "node:assert";
import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { leavesOf, scratch, serveFolder, signerOf } from "../../test/logs.ts";
import { base64, utf8 } from "../bytes.ts";
import { BitforbitError } from "../errors.ts";
import { hashedRekord } from "../format/hashedrekord.ts";
import { noteVerifier, signNote } from "../format/note.ts";
import { LogAddress } from "./address.ts";
import { mirrorLog } from "./mirror.ts";
import { openLogReader, readLog } from "./reader.ts";
import {
  type SearchProof,
  notesText,
  openSearch,
  parseProof,
  proofText,
  proveSearch,
  publishedSearch,
  requireTrue,
  searchIndexOf,
  signSearch,
  verifySearch,
} from "./search.ts";
import { type Query, SearchIndexBuilder, spanIsComplete } from "./search-index.ts";
import { type Log, openLog } from "./writer.ts";

const signer = signerOf("log");
const verifier = noteVerifier("log.example", signer.publicKeyPem);
const sha = (bytes: Uint8Array | string): Buffer => createHash("sha256").update(bytes).digest();
const digestOf = (message: string): string => `sha256:${sha(message).toString("hex")}`;

interface Person {
  keyId: string;
  entry(message: string): Uint8Array;
}

function person(): Person {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ format: "der", type: "spki" });
  return {
    keyId: base64(sha(spki)),
    entry: (message) => hashedRekord(sha(message), sign("sha256", Buffer.from(message), privateKey), spki),
  };
}

const [me, other] = [person(), person()];
const mine: Query = { kind: "key", value: me.keyId };
const absent: Query = { kind: "digest", value: digestOf("never signed") };

/** 300 entries: every tenth is mine, three are about one digest, one is not readable. */
async function filled(t: TestContext): Promise<{ log: Log; folder: string }> {
  const folder = join(scratch(t), "log");
  const log = await openLog(folder, signer, { origin: "log.example" });
  const entries = Array.from({ length: 299 }, (_, at) =>
    (at % 10 === 0 ? me : other).entry(at === 7 || at === 70 || at === 270 ? "thrice" : `message ${at}`),
  );
  await log.appendAll([...entries, ...leavesOf(1)]);
  await log.settled();
  return { log, folder };
}

async function proven(log: Log, queries: readonly Query[]): Promise<SearchProof> {
  const newest = await log.newest();
  const index = await searchIndexOf(newest.tree);
  return await proveSearch(queries, index, await signSearch(index, newest, verifier, signer), newest.tree);
}

const refused = (error: unknown): boolean => error instanceof BitforbitError && error.code === "refused";

test("every entry about a key or digest is found, nothing besides, and the proof says so offline", async (t) => {
  const { log } = await filled(t);
  const thrice: Query = { kind: "digest", value: digestOf("thrice") };
  const proof = parseProof(proofText(await proven(log, [mine, thrice, absent])), "proof.json");
  const { head, answers } = verifySearch(proof, verifier);
  assert.deepEqual(
    answers.map(({ found }) => found),
    [Array.from({ length: 30 }, (_, at) => at * 10), [7, 70, 270], []],
  );
  assert.deepEqual([head.size, head.lines, head.unreadable], [300, 598, 1]);
});

test("indexes of any number of lines prove each of their lines, and the gaps between", () => {
  for (const count of [0, 1, 2, 3, 31, 32, 33, 64, 100]) {
    const builder = new SearchIndexBuilder();
    for (let at = 0; at < count; at++) builder.add(me.entry(`message ${at}`));
    const index = builder.sorted();
    assert.equal(index.count, 2 * count);
    const queries = Array.from({ length: count + 1 }, (_, at) => ({
      kind: "digest" as const,
      value: digestOf(`message ${at}`),
    }));
    for (const [at, query] of [...queries, mine].entries()) {
      const span = index.span(query);
      const expected = query === mine ? Array.from({ length: count }, (_, n) => n) : at < count ? [at] : [];
      assert.deepEqual(span.found, expected);
      assert.ok(spanIsComplete(query, span, index.count, index.root), `${at} of ${count}`);
      assert.ok(!spanIsComplete(query, span, index.count, sha("another root")));
    }
  }
});

test("what was changed in an answer is refused, whatever it is", async (t) => {
  const { log } = await filled(t);
  const honest = await proven(log, [mine, absent]);
  const attack = (name: string, change: (proof: SearchProof) => void): void => {
    const proof = parseProof(proofText(honest), name);
    change(proof);
    assert.notEqual(proofText(proof), proofText(honest), name);
    assert.throws(() => verifySearch(proof, verifier), refused, name);
  };
  const [first, second] = [0, 1].map((n) => (proof: SearchProof) => proof.answers[n] as SearchProof["answers"][number]);
  assert.ok(first !== undefined && second !== undefined);
  for (const at of [0, 15, 29]) {
    attack("an entry is dropped", (proof) => {
      first(proof).found.splice(at, 1);
      first(proof).entries.splice(at, 1);
    });
    attack("an entry is dropped, and the range is shorter", (proof) => {
      first(proof).found.splice(at, 1);
      first(proof).entries.splice(at, 1);
      first(proof).to--;
    });
  }
  attack("the last entry is passed off as the neighbour", (proof) => {
    const answer = first(proof);
    const line = Buffer.from(answer.before ?? answer.after ?? []);
    line[0] = 2;
    sha("").copy(line, 1);
    answer.after = line;
  });
  attack("all is dropped", (proof) =>
    Object.assign(first(proof), { found: [], entries: [], to: first(proof).from + 1 }),
  );
  attack("a neighbour is left out", (proof) => delete second(proof).before);
  attack("a neighbour is left out, and the range is shorter", (proof) => {
    delete second(proof).before;
    second(proof).from++;
  });
  attack("the neighbours change places", (proof) => {
    const { before, after } = second(proof);
    if (before !== undefined && after !== undefined) Object.assign(second(proof), { before: after, after: before });
  });
  attack("the neighbour is another", (proof) => (second(proof).after = Buffer.alloc(41, 0xff)));
  attack("the neighbour is of another length", (proof) => (second(proof).after = Buffer.alloc(40, 0xff)));
  attack("the answer is of another place", (proof) => Object.assign(second(proof), { from: 0, to: 2 }));
  attack("the answer is beyond the index", (proof) => Object.assign(second(proof), { from: 597, to: 599 }));
  attack("the question is another", (proof) => (second(proof).value = digestOf("thrice")));
  attack("a hash is another", (proof) => (second(proof).hashes[0] = sha("x")));
  attack("a hash is left out", (proof) => second(proof).hashes.pop());
  attack("a hash is added", (proof) => second(proof).hashes.push(sha("x")));
  attack("found in another order", (proof) => first(proof).found.reverse());
  attack("found at another place", (proof) => (first(proof).found[3] = 31));
  attack("an entry is added", (proof) => first(proof).found.push(299));
  attack("an entry is not shown", (proof) => first(proof).entries.pop());
  attack("an entry is another's", (proof) => {
    const [one] = first(proof).entries;
    if (one !== undefined) one.entry = other.entry("message 0");
  });
  attack("an entry's way to the root is another", (proof) => first(proof).entries[0]?.hashes.pop());
});

test("an index that is stale, of another tree, of another log or of another key is refused", async (t) => {
  const { log } = await filled(t);
  const old = await proven(log, [mine]);
  await log.appendAll([me.entry("later")]);
  const fresh = await proven(log, [mine]);
  assert.equal(verifySearch(fresh, verifier).answers[0]?.found.at(-1), 300);
  assert.equal(verifySearch(old, verifier).head.size, 300);
  // The newest checkpoint, with an index that does not know the last entry.
  assert.throws(() => verifySearch({ ...old, checkpoint: fresh.checkpoint }, verifier), refused);
  assert.throws(() => verifySearch({ ...fresh, answers: old.answers }, verifier), refused);
  assert.throws(() => verifySearch({ ...old, answers: fresh.answers }, verifier), refused);
  const sized = { ...old, index: old.index.replace("\n300 ", "\n301 ") };
  assert.throws(() => verifySearch(sized, verifier), refused);
  assert.throws(() => verifySearch(old, noteVerifier("log.example", signerOf("another").publicKeyPem)), refused);
  assert.throws(() => verifySearch(old, noteVerifier("other.example", signer.publicKeyPem)), refused);
  // Neither note may stand for the other.
  assert.throws(
    () => openSearch({ index: old.checkpoint, checkpoint: old.checkpoint }, verifier),
    /not of a search index/,
  );
  assert.throws(() => openSearch({ index: old.index, checkpoint: old.index }, verifier), BitforbitError);
});

test("a false index that the log signed is shown by whoever reads the log", async (t) => {
  const { log, folder } = await filled(t);
  const newest = await log.newest();
  const builder = new SearchIndexBuilder();
  for (let tile = 0; tile < 2; tile++) {
    for (const entry of (await newest.tree.entries(tile)).content) {
      // The liar hides one entry, and says that it is not readable.
      builder.add(builder.size === 70 ? utf8("hidden") : entry);
    }
  }
  const lie = builder.sorted();
  const notes = await signSearch(lie, newest, verifier, signer);
  const proof = await proveSearch([{ kind: "digest", value: digestOf("thrice") }], lie, notes, newest.tree);
  assert.deepEqual(verifySearch(proof, verifier).answers[0]?.found, [7, 270], "offline, the log's word is taken");
  writeFileSync(join(folder, "search.json"), notesText(notes));
  const published = await publishedSearch((await openLogReader(folder, signer.publicKeyPem)).source, verifier);
  assert.ok(published !== undefined);
  const index = await searchIndexOf(published.tree);
  assert.throws(() => requireTrue(published.head, index), /does not follow from its entries/);
});

test("what is published is found over HTTP, also when the log has grown since, and copied by a mirror", async (t) => {
  const { log, folder } = await filled(t);
  const served = await serveFolder(t, () => folder);
  const reader = await readLog(new LogAddress(served.url), signer.publicKeyPem);
  assert.equal(await publishedSearch(reader.source, verifier), undefined);
  const newest = await log.newest();
  const index = await searchIndexOf(newest.tree);
  writeFileSync(join(folder, "search.json"), notesText(await signSearch(index, newest, verifier, signer)));
  await log.appendAll([me.entry("later")]);
  const copy = join(scratch(t), "copy");
  await mirrorLog(reader.source, verifier, copy);
  for (const source of [reader.source, (await openLogReader(copy, signer.publicKeyPem)).source]) {
    const published = await publishedSearch(source, verifier);
    assert.ok(published !== undefined);
    const again = await searchIndexOf(published.tree);
    requireTrue(published.head, again);
    const proof = await proveSearch([mine], again, published.notes, published.tree);
    assert.equal(verifySearch(proof, verifier).answers[0]?.found.length, 30);
  }
});

const answer = (value: Record<string, unknown>): Record<string, unknown> =>
  (value["answers"] as Record<string, unknown>[])[0] ?? {};

test("files that are no proofs are refused by name, and never more", async (t) => {
  const { log } = await filled(t);
  const text = proofText(await proven(log, [mine]));
  const bad = (change: (value: Record<string, unknown>) => void): string => {
    const value = JSON.parse(text) as Record<string, unknown>;
    change(value);
    return JSON.stringify(value);
  };
  const files = [
    "",
    "[]",
    bad((value) => (value["version"] = 2)),
    bad((value) => (value["more"] = 1)),
    bad((value) => (value["answers"] = {})),
    bad((value) => (value["answers"] = Array.from({ length: 1025 }, () => answer(value)))),
    bad((value) => (answer(value)["kind"] = "package")),
    bad((value) => (answer(value)["found"] = [-1])),
    bad((value) => (answer(value)["found"] = [2 ** 60])),
    bad((value) => (answer(value)["found"] = "0")),
    bad((value) => (answer(value)["from"] = 0.5)),
    bad((value) => (answer(value)["hashes"] = ["AA=="])),
    bad((value) => (answer(value)["before"] = "?")),
    bad((value) => (answer(value)["entries"] = [{ entry: "AA==" }])),
  ];
  for (const file of files) assert.throws(() => parseProof(file, "given.json"), BitforbitError, file.slice(0, 80));
  const key = parseProof(
    bad((value) => (answer(value)["value"] = "no key")),
    "given.json",
  );
  assert.throws(() => verifySearch(key, verifier), /not a key: "no key"/);
  const strange = await signNote("bitforbit.dev/log-search/v1\nlog.example\n1 x\n", { ...verifier, sign: signer.sign });
  assert.throws(() => verifySearch({ ...key, index: strange }, verifier), /not of a search index/);
});
