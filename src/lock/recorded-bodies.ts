/** What the comparison of a recording needs to know of the bodies: hashes of Go's zips, checksums served beside artifacts. */
import { createHash } from "node:crypto";
import { utf8Text } from "../bytes.ts";
import type { ByteSource } from "../bytesource.ts";
import { type Digest } from "../digest.ts";
import { goHash1 } from "../format/go-sum.ts";
import { readZip, readZipMember } from "../format/zip.ts";
import type { Checksums } from "../material.ts";
import type { Exchange, Recording } from "../record/recording.ts";
import type { Served } from "./recorded.ts";

/** Gives a recorded body to `use`; undefined when it is not there. Memory does not grow with the body. */
export type WithBody = <T>(digest: Digest, use: (body: ByteSource) => Promise<T>) => Promise<T | undefined>;

/** Reads what `compareRecording` asks of bodies. A zip that can't be read has no hash: go will refuse it, too. */
export async function servedWith(recording: Recording, withBody: WithBody): Promise<Served> {
  const byUrl = new Map(recording.exchanges.filter(isBody).map((exchange) => [exchange.url, exchange]));
  const beside = new Map<string, { url: string; checksums: Checksums }>();
  const goH1 = new Map<string, string>();
  for (const [url, exchange] of byUrl) {
    const side = /^(.*)\.(sha1|sha256|sha512)$/s.exec(url);
    const of = side === null ? undefined : byUrl.get(side[1] ?? "");
    if (side !== null && of !== undefined && exchange.size <= MAX_CHECKSUM_FILE) {
      const algorithm = (side[2] ?? "sha1") as keyof typeof DIGITS;
      const digits = await withBody(exchange.digest, (body) =>
        Promise.resolve(checksumIn(body.read(0, body.size), DIGITS[algorithm])),
      );
      const known = beside.get(of.url);
      if (digits !== undefined) {
        beside.set(of.url, { url, checksums: { ...known?.checksums, [algorithm]: digits } });
      }
    }
    if (
      exchange.purl?.startsWith("pkg:golang/") === true &&
      exchange.checksums?.goH1 === undefined &&
      url.endsWith(".zip")
    ) {
      const hash = await withBody(exchange.digest, async (body) => goZipHash(body).catch(() => undefined));
      if (hash !== undefined) goH1.set(exchange.digest, hash);
    }
  }
  return { beside, goH1 };
}

const isBody = ({ method, status }: Exchange): boolean => method === "GET" && status === 200;

const MAX_CHECKSUM_FILE = 4096;
const DIGITS = { sha1: 40, sha256: 64, sha512: 128 } as const;

/** The digits alone, or followed or led by a file's name. */
function checksumIn(bytes: Uint8Array, count: number): string | undefined {
  const words = (utf8Text(bytes) ?? "").trim().split(/\s+/);
  return words.find((word) => word.length === count && /^[0-9a-fA-F]+$/.test(word))?.toLowerCase();
}

/** Go's hash of a module's zip (golang.org/x/mod/sumdb/dirhash, HashZip). Throws `input` or `limit`. */
export async function goZipHash(zip: ByteSource): Promise<string> {
  const files: [string, string][] = [];
  for (const entry of readZip(zip).entries) {
    const hasher = createHash("sha256");
    await readZipMember(zip, entry, (chunk) => void hasher.update(chunk));
    files.push([entry.name, hasher.digest("hex")]);
  }
  return goHash1(files);
}
