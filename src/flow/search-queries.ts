/**
 * What to search a log for. An entry holds the digest of what was signed, its
 * signature and its key, and nothing else: of a statement, the digest of its
 * envelope's encoding. Which artifact a statement is about is told by the
 * statement itself, so those are found that are at hand: in the store, or given.
 */
import { payloadOf } from "../attest/payload.ts";
import { readStatement } from "../attest/read.ts";
import { type Digest, digestOf, hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { IN_TOTO_PAYLOAD, preAuthEncoding } from "../format/dsse.ts";
import type { Query } from "../log/search-index.ts";
import type { Store } from "../store/store.ts";
import { readBundle, readStore } from "./evidence.ts";
import type { Home } from "./home.ts";

export interface Asked extends Query {
  /** Of a statement: which artifact it is about, and what it says of it. */
  about?: { digest: Digest; predicateType: string };
}

export interface Subject {
  digest?: Digest;
  /** The name of an artifact, as the store and statements have it. */
  name?: string;
}

interface Given {
  payload: Uint8Array;
  subjects: { name: string; sha256: string }[];
  predicateType: string;
}

/**
 * The queries for all that is known of a subject. `home`: whose store is asked,
 * too. Throws `input` for a bundle in `files` that is about something else.
 */
export async function queriesAbout(
  subject: Subject,
  files: readonly string[],
  home: Home | undefined,
): Promise<Asked[]> {
  const given: Given[] = [];
  const digests = new Set<Digest>(subject.digest === undefined ? [] : [subject.digest]);
  const fits = (one: { name: string; sha256: string }): boolean =>
    `sha256:${one.sha256}` === subject.digest || (subject.name !== undefined && one.name === subject.name);
  for (const file of files) {
    const read = statementOf(await readBundle(file));
    const about = read.subjects.filter(fits);
    if (about.length === 0) {
      throw new BitforbitError("input", `${file} is not about ${subject.digest ?? subject.name ?? ""}`);
    }
    for (const { sha256 } of about) digests.add(`sha256:${sha256}`);
    given.push(read);
  }
  const store = home === undefined ? undefined : await readStore(home.store);
  if (subject.name !== undefined) {
    for (const { name, digest } of (await store?.artifacts()) ?? []) if (name === subject.name) digests.add(digest);
  }
  const asked = new Map<string, Asked>();
  for (const digest of digests) {
    asked.set(digest, { kind: "digest", value: digest });
    for (const one of [...given, ...(await storedAbout(store, digest))]) {
      if (!one.subjects.some(({ sha256 }) => sha256 === hexOf(digest))) continue;
      const value = digestOf(preAuthEncoding(IN_TOTO_PAYLOAD, one.payload));
      asked.set(value, { kind: "digest", value, about: { digest, predicateType: one.predicateType } });
    }
  }
  return [...asked.values()];
}

async function storedAbout(store: Store | undefined, digest: Digest): Promise<Given[]> {
  const found: Given[] = [];
  for (const referrer of (await store?.referrers(digest)) ?? []) found.push(statementOf(await referrer.bundle()));
  return found;
}

function statementOf(bytes: Uint8Array): Given {
  const { payload } = payloadOf(bytes);
  const { subjects, predicateType } = readStatement(payload);
  return { payload, subjects, predicateType };
}
