/**
 * Normalised outputs, the last crutch of `determinise`: what a build packed gets
 * times no later than the source's, its own owner becomes root, members stand in
 * order. What is signed is left, and so is what another output holds the
 * checksum of. Modes, attributes and contents are never touched: a difference
 * in those is one that people should see.
 */
import { readFile, utimes, writeFile } from "node:fs/promises";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { memorySource } from "../bytesource.ts";
import { digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { AR_MAGIC } from "../format/ar.ts";
import { gunzip, type GzipMember } from "../format/gzip.ts";
import { gzipBytes } from "../format/gzip-write.ts";
import { looksLikeTar } from "../format/tar-header.ts";
import { normalisedAr } from "./normalise-ar.ts";
import { normalisedPdf, normalisedPng } from "./normalise-documents.ts";
import { normalisedTar } from "./normalise-tar.ts";
import { normalisedZip } from "./normalise-zip.ts";
import type { Normalised, Still } from "./normalised.ts";
import type { Output } from "./outputs.ts";

/** Larger ones are left: they are held in memory. */
const MAX_BYTES = 512 << 20;
/** Larger files are no lists of checksums. */
const MAX_LIST = 1 << 20;
const SIGNATURE = /\.(?:asc|sig|sign|minisig|p7s|sigstore|sigstore\.json|pem)$/;

const startsWith = (bytes: Uint8Array, text: string): boolean =>
  Buffer.from(bytes.subarray(0, text.length)).toString("latin1") === text;

/** A file as it is normalised; undefined for what is no format that is. Throws `input` or `limit` for what is broken. */
async function normalised(bytes: Uint8Array, still: Still): Promise<Normalised | undefined> {
  if (startsWith(bytes, "PK\x03\x04") || startsWith(bytes, "PK\x05\x06")) return normalisedZip(bytes, still);
  if (startsWith(bytes, AR_MAGIC)) {
    return await normalisedAr(bytes, still, async (inner) => await normalised(inner, still));
  }
  if (startsWith(bytes, "\x1f\x8b\x08")) return await normalisedGzip(bytes, still);
  if (startsWith(bytes, "\x89PNG\r\n\x1a\n")) return normalisedPng(bytes, still);
  if (startsWith(bytes, "%PDF-")) return normalisedPdf(bytes, still);
  return looksLikeTar(bytes) ? normalisedTar(bytes, still) : undefined;
}

/** Its header's time, and what is in it where that is a tar: then it is packed again, by a compressor of our own. */
async function normalisedGzip(bytes: Uint8Array, still: Still): Promise<Normalised> {
  const chunks: Uint8Array[] = [];
  const { members, end } = await gunzip(memorySource(bytes, "gzip"), (chunk) => void chunks.push(chunk.slice()));
  const [member] = members;
  if (member === undefined || end !== bytes.length) return { left: "bytes stand in it that are no member" };
  const content = new Uint8Array(Buffer.concat(chunks));
  const inner = members.length === 1 && looksLikeTar(content) ? normalisedTar(content, still) : undefined;
  const mtime = Math.min(member.mtime, still.epoch);
  const done = members.some((one) => one.mtime > still.epoch && one.headerCrc === undefined) ? ["its time"] : [];
  if (inner === undefined || !("bytes" in inner) || inner.done.length === 0) {
    return { bytes: done.length === 0 ? bytes : clamped(bytes, members, still.epoch), done };
  }
  const { name } = member;
  return {
    bytes: gzipBytes(inner.bytes, { mtime, ...(name === undefined ? {} : { name }) }),
    done: [...done, ...inner.done],
  };
}

function clamped(bytes: Uint8Array, members: readonly GzipMember[], epoch: number): Uint8Array {
  const copy = bytes.slice();
  for (const { offset, mtime, headerCrc } of members) {
    if (mtime > epoch && headerCrc === undefined) new DataView(copy.buffer).setUint32(offset + 4, epoch, true);
  }
  return copy;
}

/**
 * Normalises the outputs that lie in `folder`, in their place; gives them as
 * they are then, and in words what was changed and what was left and why, one
 * line an output.
 */
export async function normaliseOutputs(
  folder: string,
  outputs: readonly Output[],
  still: Still,
): Promise<{ outputs: Output[]; told: string[] }> {
  const told: string[] = [];
  const after: Output[] = [];
  const lists = await checksumLists(folder, outputs);
  for (const output of outputs) {
    const bytes = output.size > MAX_BYTES ? undefined : new Uint8Array(await readFile(join(folder, output.path)));
    const result = bytes === undefined ? undefined : await normalisedOrLeft(bytes, still);
    if (result === undefined || bytes === undefined || ("done" in result && result.done.length === 0)) {
      after.push(output);
      continue;
    }
    const left = "left" in result ? result.left : whyLeft(output, bytes, outputs, lists);
    if (left !== undefined || !("bytes" in result)) {
      told.push(`${output.path} is left as it was built: ${left ?? ""}`);
      after.push(output);
      continue;
    }
    const file = join(folder, output.path);
    await writeFile(file, result.bytes);
    await utimes(file, still.epoch, still.epoch);
    after.push({ ...output, digest: digestOf(result.bytes), size: result.bytes.length });
    told.push(`${output.path} is normalised: ${result.done.join(", ")}`);
  }
  return { outputs: after, told };
}

/** What cannot be read is no archive, or a broken one: the build made it so, and it stays so. */
async function normalisedOrLeft(bytes: Uint8Array, still: Still): Promise<Normalised | undefined> {
  try {
    return await normalised(bytes, still);
  } catch (error) {
    if (error instanceof BitforbitError) return undefined;
    throw error;
  }
}

/** Texts among the outputs that could hold checksums of others. */
async function checksumLists(folder: string, outputs: readonly Output[]): Promise<ReadonlyMap<string, string>> {
  const lists = new Map<string, string>();
  for (const { path, size } of outputs) {
    if (size > MAX_LIST) continue;
    const text = await readFile(join(folder, path), "latin1");
    if (!text.includes("\0")) lists.set(path, text);
  }
  return lists;
}

/** A signature or a checksum beside it would be wrong about another file. */
function whyLeft(
  { path }: Output,
  bytes: Uint8Array,
  outputs: readonly Output[],
  lists: ReadonlyMap<string, string>,
): string | undefined {
  const signature = outputs.find(
    (other) => other.path.startsWith(path) && SIGNATURE.test(other.path.slice(path.length)),
  );
  if (signature !== undefined) return `${signature.path} signs it`;
  const sums = ["md5", "sha1", "sha256", "sha384", "sha512"].flatMap((algorithm) => {
    const sum = createHash(algorithm).update(bytes).digest();
    return [sum.toString("hex"), sum.toString("base64")];
  });
  const [list] = [...lists].find(([other, text]) => other !== path && sums.some((sum) => text.includes(sum))) ?? [];
  return list === undefined ? undefined : `${list} holds its checksum`;
}
