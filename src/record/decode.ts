/** Content codings of HTTP (RFC 9110, section 8.4), taken off: for reading what a registry says. */
import { createReadStream } from "node:fs";
import { pipeline, type Readable, type Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from "node:zlib";
import { BitforbitError } from "../errors.ts";
import { bodyPath } from "../body-path.ts";
import { headerOf } from "./headers.ts";
import type { Exchange } from "./recording.ts";

const DECODERS: Readonly<Record<string, () => Transform>> = {
  gzip: createGunzip,
  "x-gzip": createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
};

/** The coding of an answer, in lower case; undefined when there is none. Several at once are one unknown coding. */
export function codingOf(headers: Exchange["headers"]): string | undefined {
  const coding = headerOf(headers, "content-encoding")?.trim().toLowerCase();
  return coding === undefined || coding === "" || coding === "identity" ? undefined : coding;
}

/** `stream` without its coding. Throws `input` for a coding that is not known. */
export function decoded(stream: Readable, coding: string | undefined): Readable {
  if (coding === undefined) return stream;
  const decoder = Object.hasOwn(DECODERS, coding) ? DECODERS[coding]?.() : undefined;
  if (decoder === undefined) {
    stream.destroy();
    throw new BitforbitError("input", `not a content coding that is known: ${JSON.stringify(coding.slice(0, 50))}`);
  }
  // An error of the source is the decoder's, too.
  return pipeline(stream, decoder, () => undefined);
}

/** All of a stream. Throws `limit` beyond `most` bytes. */
export async function wholeOf(stream: Readable, most: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > most) throw new BitforbitError("limit", `${what}: more than ${most} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A recorded body, decoded. Throws `limit`, `input`, and what reading throws. */
export async function decodedBody(exchange: Exchange, cache: string, most: number): Promise<Buffer> {
  const stream = createReadStream(bodyPath(cache, exchange.digest));
  return await wholeOf(decoded(stream, codingOf(exchange.headers)), most, exchange.url);
}

/** Whether a client takes a coding (RFC 9110, section 12.5.3); one that says nothing takes none, to be safe. */
export function takesCoding(acceptEncoding: string | undefined, coding: string): boolean {
  return (acceptEncoding ?? "").split(",").some((part) => {
    const [name = "", weight = ""] = part
      .trim()
      .toLowerCase()
      .split(/\s*;\s*/);
    return (name === coding || name === "*") && !/^q=0(?:\.0*)?$/.test(weight);
  });
}
