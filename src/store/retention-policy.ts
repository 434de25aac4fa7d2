/**
 * How long evidence is kept: `<home>/retention.toml`.
 *
 *     years = 7                        # 1 to 100; 7 where nothing is said
 *     [predicate]                      # by predicate type, instead
 *     "https://in-toto.io/attestation/test-result/v0.1" = 2
 *     [environment]                    # at least so long for what was promoted there
 *     prod = 10
 *     [[hold]]                         # kept until this is taken out
 *     digest = "sha256:…"
 *     reason = "case 2026-17"
 */
import { type Digest, digestOf, isDigest } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { isTable, parseToml, type Toml, type TomlTable } from "../format/toml.ts";

export interface RetentionPolicy {
  years: number;
  predicate: Readonly<Record<string, number>>;
  environment: Readonly<Record<string, number>>;
  holds: readonly { digest: Digest; reason: string }[];
  /** Of the file's bytes, or of those that stand for no file. */
  digest: Digest;
}

const USUAL = "years = 7\n";
const MAX_BYTES = 1 << 20;
const LEAST = 1;
const MOST = 100;

/** Parses a retention policy; without a text, seven years for everything. Throws `input` or `limit`, naming the key. */
export function parseRetention(text: string = USUAL, what = "retention.toml"): RetentionPolicy {
  const table = parseToml(text, what, MAX_BYTES);
  onlyKeys(table, what, ["years", "predicate", "environment", "hold"]);
  return {
    years: table["years"] === undefined ? 7 : yearsOf(table["years"], `${what}: years`),
    predicate: yearsBy(table["predicate"], `${what}: predicate`),
    environment: yearsBy(table["environment"], `${what}: environment`),
    holds: holdsOf(table["hold"], what),
    digest: digestOf(text),
  };
}

function yearsBy(value: Toml | undefined, what: string): Record<string, number> {
  if (value === undefined) return {};
  if (!isTable(value)) throw new BitforbitError("input", `${what} is not a table of years`);
  return Object.fromEntries(Object.entries(value).map(([name, years]) => [name, yearsOf(years, `${what}.${name}`)]));
}

function yearsOf(value: Toml | undefined, what: string): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= LEAST && value <= MOST) return value;
  throw new BitforbitError("input", `${what} is ${show(value)}, not a whole number from ${LEAST} to ${MOST}`, {
    hint: "evidence is kept for a year at the least: nothing here drops it sooner",
  });
}

function holdsOf(value: Toml | undefined, what: string): RetentionPolicy["holds"] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw new BitforbitError("input", `${what}: hold is not a list of [[hold]] tables`);
  return value.map((hold, at) => {
    const place = `${what}: hold ${at + 1}`;
    if (!isTable(hold)) throw new BitforbitError("input", `${place} is not a table`);
    onlyKeys(hold, place, ["digest", "reason"]);
    const { digest, reason } = hold;
    if (typeof digest !== "string" || !isDigest(digest)) {
      throw new BitforbitError("input", `${place}: digest is ${show(digest)}, not sha256:… with 64 digits`);
    }
    if (typeof reason !== "string" || reason === "") throw new BitforbitError("input", `${place} gives no reason`);
    return { digest, reason };
  });
}

function onlyKeys(table: TomlTable, what: string, known: readonly string[]): void {
  const stranger = Object.keys(table).find((key) => !known.includes(key));
  if (stranger === undefined) return;
  throw new BitforbitError("input", `${what} has the unknown key ${JSON.stringify(stranger.slice(0, 80))}`, {
    hint: `its keys are ${known.join(", ")}: a misspelt hold would hold nothing`,
  });
}

function show(value: Toml | undefined): string {
  return typeof value === "bigint" ? String(value) : (JSON.stringify(value) ?? "missing").slice(0, 80);
}

/** How long a piece of this type is kept, promoted into these environments: the longest that is asked. */
export function yearsFor(policy: RetentionPolicy, predicateType: string, environments: Iterable<string> = []): number {
  const own = Object.hasOwn(policy.predicate, predicateType) ? policy.predicate[predicateType] : undefined;
  let years = own ?? policy.years;
  for (const name of environments) {
    if (Object.hasOwn(policy.environment, name)) years = Math.max(years, policy.environment[name] ?? 0);
  }
  return years;
}

/** The same day so many years later; of the 29th of February, the 1st of March. */
export function yearsAfter(milliseconds: number, years: number): number {
  const date = new Date(milliseconds);
  date.setUTCFullYear(date.getUTCFullYear() + years);
  return date.getTime();
}
