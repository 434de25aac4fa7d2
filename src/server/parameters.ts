import { HTTPException } from "hono/http-exception";
import { type Digest, isDigest } from "../digest.ts";
import { BitforbitError } from "../errors.ts";

/** A refusal that the person on the other end may read: its status, what is wrong, what to do. */
export function refusal(status: 400 | 404 | 503, message: string, hint: string): HTTPException {
  return new HTTPException(status, { message, cause: new BitforbitError("input", message, { hint }) });
}

/** A value from a URL, short and printable, for a message. */
export function named(value: string): string {
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value);
}

export function digestParameter(text: string): Digest {
  if (isDigest(text)) return text;
  throw refusal(400, `not a digest: ${named(text)}`, "a digest is 'sha256:' and 64 lower-case hexadecimal digits");
}

const BUILD_ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;

export function buildIdParameter(text: string): string {
  if (BUILD_ID.test(text)) return text;
  throw refusal(400, `not a build id: ${named(text)}`, "take the id from the list of builds, /api/v1/builds");
}

/** `?limit=`: how many to give. */
export function limitParameter(text: string | undefined, bounds: { otherwise: number; most: number }): number {
  if (text === undefined) return bounds.otherwise;
  const limit = /^[1-9][0-9]{0,3}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= bounds.most) return limit;
  throw refusal(400, `not a limit: ${named(text)}`, `a limit is a whole number from 1 to ${bounds.most}`);
}

export function beforeParameter(text: string | undefined): string | undefined {
  return text === undefined ? undefined : buildIdParameter(text);
}

/** Query parameters that a route does not know are refused: a misspelt `limt` should not pass in silence. */
export function checkQuery(url: string, known: readonly string[]): void {
  const seen = new Set<string>();
  for (const [key] of new URL(url).searchParams) {
    if (!known.includes(key)) {
      const hint = known.length === 0 ? "this address takes none" : `known here: ${known.join(", ")}`;
      throw refusal(400, `unknown query parameter ${named(key)}`, hint);
    }
    if (seen.has(key)) throw refusal(400, `query parameter ${named(key)} is given twice`, "give it once");
    seen.add(key);
  }
}

/**
 * C2SP tlog-tiles, "Merkle Tree" and "Log Entries": level 0 to 63 or `entries`; the index in groups of three
 * digits, all but the last after an `x`, without needless leading groups; a partial tile's width 1 to 255.
 */
const TILE =
  /^tile\/(?:entries|[0-9]|[1-5][0-9]|6[0-3])\/(?!x000\/)(?:x[0-9]{3}\/){0,5}[0-9]{3}(?:\.p\/(?:[1-9]|[1-9][0-9]|1[0-9]{2}|2[0-4][0-9]|25[0-5]))?$/;

export function tileParameter(path: string): string {
  if (TILE.test(path)) return path;
  throw refusal(400, `not a tile: ${named(path)}`, "a tile is named as in C2SP tlog-tiles: tile/0/x001/067");
}
