/** Answers from the recording's own files, checked before the first byte is sent. */
import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";
import { BitforbitError, systemCode } from "../errors.ts";
import { bodyPath } from "../body-path.ts";
import { codingOf, decoded, takesCoding } from "./decode.ts";
import { ended, refuse } from "./proxy.ts";
import type { Exchange } from "./recording.ts";

const CHUNK = 1 << 20;

/** What of a request decides about the form of a stored answer. */
export interface AskedForm {
  method: string;
  range: string | undefined;
  ifRange: string | undefined;
  acceptEncoding: string | undefined;
}

export function askedForm(request: IncomingMessage): AskedForm {
  const { range, "if-range": ifRange, "accept-encoding": encodings } = request.headers;
  return {
    method: request.method ?? "GET",
    range,
    ifRange: typeof ifRange === "string" ? ifRange : undefined,
    acceptEncoding: typeof encodings === "string" ? encodings : undefined,
  };
}

/**
 * Sends a recorded answer, or the one range that was asked for (RFC 9110,
 * section 14.2; If-Range and several ranges give the whole), to a client that
 * does not take its coding without it. `method` HEAD sends the head alone. Throws `conflict` for a body that is gone or is not
 * what its digest says; nothing is sent then.
 */
export async function sendStored(
  exchange: Exchange,
  cache: string,
  response: ServerResponse,
  asked: AskedForm,
): Promise<void> {
  const path = bodyPath(cache, exchange.digest);
  const file = await open(path).catch((error: unknown) => {
    throw damaged(exchange, path, systemCode(error) === "ENOENT" ? "is gone" : "cannot be read", error);
  });
  try {
    await checkBody(file, exchange, path);
    const coding = codingOf(exchange.headers);
    const plainly = coding !== undefined && !takesCoding(asked.acceptEncoding, coding);
    const whole = exchange.status !== 200 || asked.ifRange !== undefined || coding !== undefined;
    const range = whole ? undefined : rangeOf(asked.range, exchange.size);
    if (range === "beyond") {
      response.setHeader("content-range", `bytes */${exchange.size}`);
      return await refuse(response, 416, "the range is beyond the end\n");
    }
    const { from, to } = range ?? { from: 0, to: exchange.size };
    for (const [name, value] of exchange.headers) {
      if (!plainly || name !== "content-encoding") response.appendHeader(name, value);
    }
    response.statusCode = range === undefined ? exchange.status : 206;
    if (range !== undefined) response.setHeader("content-range", `bytes ${from}-${to - 1}/${exchange.size}`);
    if (hasBody(exchange.status) && exchange.method !== "HEAD" && !plainly)
      response.setHeader("content-length", to - from);
    if (asked.method === "HEAD" || to === from) return await ended(response);
    const stream = file.createReadStream({ start: from, end: to - 1, highWaterMark: CHUNK, autoClose: false });
    await sendAll(decoded(stream, plainly ? coding : undefined), response);
  } finally {
    await file.close();
  }
}

/** What goes wrong on the way breaks the answer off: it must not seem to be whole. */
async function sendAll(stream: Readable, response: ServerResponse): Promise<void> {
  stream.once("error", () => response.destroy());
  stream.pipe(response);
  await finished(response, { readable: false }).catch(() => stream.destroy());
}

/** 204 and 304 have none (RFC 9110, sections 15.3.5 and 15.4.5). */
function hasBody(status: number): boolean {
  return status !== 204 && status !== 304;
}

async function checkBody(file: FileHandle, exchange: Exchange, path: string): Promise<void> {
  const hasher = createHash("sha256");
  const buffer = Buffer.allocUnsafe(Math.min(CHUNK, exchange.size + 1));
  let size = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, size);
    if (bytesRead === 0) break;
    size += bytesRead;
    if (size > exchange.size) break;
    hasher.update(buffer.subarray(0, bytesRead));
  }
  if (size === exchange.size && `sha256:${hasher.digest("hex")}` === exchange.digest) return;
  throw damaged(exchange, path, "is not what its digest says");
}

function damaged(exchange: Exchange, path: string, how: string, cause?: unknown): BitforbitError {
  return new BitforbitError("conflict", `the recorded body of ${exchange.url} ${how}: ${path}`, {
    cause,
    hint: "'bitforbit lock' fetches it anew",
  });
}

/** One range of bytes, half open; "beyond" when it begins after the end; undefined for anything else. */
export function rangeOf(header: string | undefined, size: number): { from: number; to: number } | "beyond" | undefined {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") return Number(last) === 0 ? "beyond" : { from: Math.max(0, size - Number(last)), to: size };
  if (last !== "" && Number(last) < Number(first)) return undefined;
  if (Number(first) >= size) return "beyond";
  return { from: Number(first), to: last === "" ? size : Math.min(size, Number(last) + 1) };
}
