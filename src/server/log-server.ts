/** A log for others to write to: the write API of Rekor v2, and the tiles of C2SP tlog-tiles, on a port of its own. */
import { hex, utf8 } from "../bytes.ts";
import { sha256 } from "../digest.ts";
import { messageOf } from "../errors.ts";
import type { JsonObject } from "../json.ts";
import { transparencyLogEntry } from "../format/tlog-entry.ts";
import { MAX_REQUEST_BYTES, requestedEntry } from "../log/rekor.ts";
import { TILE_WIDTH, tilePath } from "../log/tile.ts";
import type { Log } from "../log/writer.ts";
import { type PlainAnswer, type PlainRequest, createPlainServer } from "./plain-http.ts";
import type { RunningServer } from "./server.ts";

export interface LogServerOptions {
  host: string;
  port: number;
  /** POSTs a second of one address. */
  ratePerSecond: number;
  /** Requests under way at once. */
  maxUnderWay: number;
  report(error: unknown): void;
}

/** Entries whose answer is kept, so that a client that asks again gets the same one. */
const MAX_ANSWERED = 16_384;
const PREFIX = "/api/v2";

/** Serves `log` until it is closed; an entry is answered for when it is durable and in the published checkpoint. */
export async function createLogServer(log: Log, options: LogServerOptions): Promise<RunningServer> {
  const answered = new Map<string, Promise<JsonObject>>();
  const server = await createPlainServer({
    ...options,
    maxBody: MAX_REQUEST_BYTES,
    refusal,
    answer: async (request) => {
      const path = request.path.startsWith(`${PREFIX}/`) ? request.path.slice(PREFIX.length) : request.path;
      if (request.path === `${PREFIX}/log/entries`) return await added(log, request, answered);
      if (request.method !== "GET" && request.method !== "HEAD")
        return refusal(405, `${request.method} is not allowed here`);
      return await readFrom(log, path);
    },
  });
  return {
    url: server.url,
    close: async () => {
      await server.close();
      await log.settled();
    },
  };
}

async function added(
  log: Log,
  request: PlainRequest,
  answered: Map<string, Promise<JsonObject>>,
): Promise<PlainAnswer> {
  if (request.method !== "POST") return refusal(405, `${request.method} is not allowed here`);
  let entry: Uint8Array;
  try {
    entry = requestedEntry(request.body);
  } catch (error) {
    return refusal(400, messageOf(error));
  }
  const name = hex(sha256(entry));
  let answer = answered.get(name);
  if (answer === undefined) {
    answer = log.appendAll([entry]).then(([proof]) => {
      if (proof === undefined) throw new Error("the log gave no proof");
      return transparencyLogEntry(entry, proof, log.identity.keyHash);
    });
    answered.set(name, answer);
    answer.catch(() => answered.delete(name));
    const [oldest] = answered.keys();
    if (answered.size > MAX_ANSWERED && oldest !== undefined) answered.delete(oldest);
  }
  return { status: 201, type: "application/json", body: JSON.stringify(await answer) };
}

/** `/checkpoint` and `/tile/…`: files of the folder, and of those only what has such a name. */
async function readFrom(log: Log, path: string): Promise<PlainAnswer> {
  if (path === "/checkpoint") {
    const note = (await log.source.checkpointNote()) ?? "";
    const headers = { "Cache-Control": "no-store" };
    return { status: 200, type: "text/plain; charset=utf-8", body: utf8(note), headers };
  }
  if (path === "/search.json") {
    const notes = await log.source.searchNotes?.();
    const headers = { "Cache-Control": "no-store" };
    if (notes !== undefined) return { status: 200, type: "application/json", body: utf8(notes), headers };
  }
  const tile = parseTilePath(path);
  const bytes = tile === undefined ? undefined : await log.source.tile(tile.level, tile.index, tile.width);
  if (bytes === undefined) return refusal(404, `there is nothing at ${JSON.stringify(path.slice(0, 200))}`);
  const headers = { "Cache-Control": "public, max-age=31536000, immutable" };
  return { status: 200, type: "application/octet-stream", body: bytes, headers };
}

/** The tile that a path names; undefined for any other spelling than the one. */
function parseTilePath(path: string): { level: number | "entries"; index: number; width: number } | undefined {
  const match = /^\/tile\/(entries|\d{1,2})\/((?:x\d{3}\/){0,4}\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(path);
  if (match === null) return undefined;
  const [, kind = "", digits = "", partial] = match;
  const level = kind === "entries" ? kind : Number(kind);
  const index = Number(digits.replace(/[x/]/g, ""));
  const width = partial === undefined ? TILE_WIDTH : Number(partial);
  if (width > TILE_WIDTH || (partial !== undefined && width === TILE_WIDTH) || level === 64) return undefined;
  return `/${tilePath(level, index, width)}` === path ? { level, index, width } : undefined;
}

/** As gRPC's gateway, which Rekor is behind, writes errors. */
function refusal(status: number, reason: string): PlainAnswer {
  const code = { 400: 3, 404: 5, 405: 12, 413: 3, 429: 8, 503: 14 }[status] ?? 13;
  return { status, type: "application/json", body: JSON.stringify({ code, message: reason, details: [] }) };
}
