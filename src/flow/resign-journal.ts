/**
 * What signing anew has done so far: lines of JSON, each durable before the
 * next step. A batch's signatures are written before they are logged, so that
 * a run that is killed in between finds them in the log again instead of
 * signing twice. A line that was cut off was never acted on.
 */
import { constants } from "node:fs";
import { type FileHandle, open, readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import * as v from "valibot";
import { syncFolder } from "../durable.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { parseJson } from "../json.ts";

export interface ResignItem {
  artifact: string;
  predicateType: string;
  /** The referrer that is signed anew. */
  from: string;
  /** Base64. */
  signature: string;
}

/** A statement that nothing proves to be older than the end of its key. */
export interface Loss {
  artifact: string;
  name: string;
  predicateType: string;
  reason: string;
}

export interface ResignBatch {
  /** Entries of the log before this batch. */
  size: number;
  items: ResignItem[];
  lost: Loss[];
  /** The last artifact of the batch: the next one begins after it. */
  last: string;
}

type Line = { start: { key: string; from: string[] } } | { batch: ResignBatch } | { done: number };

const text = v.string();
const Shape: v.GenericSchema<Line> = v.union([
  v.strictObject({ start: v.strictObject({ key: text, from: v.array(text) }) }),
  v.strictObject({
    batch: v.strictObject({
      size: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
      items: v.array(v.strictObject({ artifact: text, predicateType: text, from: text, signature: text })),
      lost: v.array(v.strictObject({ artifact: text, name: text, predicateType: text, reason: text })),
      last: text,
    }),
  }),
  v.strictObject({ done: v.number() }),
]);

export interface Journal {
  /** Batches that are wholly done, then perhaps one that is not. */
  batches: ResignBatch[];
  done: number;
  write(batch: ResignBatch): Promise<void>;
  finish(): Promise<void>;
  close(): Promise<void>;
  remove(): Promise<void>;
}

/** Opens the journal of signing anew with `key` what the keys `from` signed; one of another undertaking is begun afresh. */
export async function openJournal(path: string, key: string, from: readonly string[]): Promise<Journal> {
  const lines = await readLines(path);
  const [first] = lines;
  const start = { key, from: [...from].sort() };
  const same = first !== undefined && "start" in first && JSON.stringify(first.start) === JSON.stringify(start);
  const kept = same ? lines.slice(1) : [];
  const batches = kept.flatMap((line) => ("batch" in line ? [line.batch] : []));
  const done = kept.filter((line) => "done" in line).length;
  // Written whole again: what was cut off is gone, and what follows stands on lines of its own.
  const file = await open(
    path,
    constants.O_CREAT | constants.O_WRONLY | (same ? constants.O_APPEND : constants.O_TRUNC),
    0o600,
  );
  if (same) await file.truncate(kept.reduce((sum, line) => sum + lineBytes(line), lineBytes({ start })));
  else await append(file, { start });
  await syncFolder(dirname(path));
  return {
    batches,
    done,
    write: async (batch) => {
      await append(file, { batch });
    },
    finish: async () => {
      await append(file, { done: 1 });
    },
    close: async () => await file.close(),
    remove: async () => await rm(path, { force: true }),
  };
}

const textOf = (line: Line): string => `${JSON.stringify(line)}\n`;
const lineBytes = (line: Line): number => Buffer.byteLength(textOf(line));

async function append(file: FileHandle, line: Line): Promise<void> {
  await file.appendFile(textOf(line));
  await file.sync();
}

async function readLines(path: string): Promise<Line[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  }
  const whole = text.slice(0, text.lastIndexOf("\n") + 1);
  return whole
    .split("\n")
    .filter((line) => line !== "")
    .map((line, at) => {
      const parsed = v.safeParse(Shape, parseJson(line, `${path}:${at + 1}`));
      if (parsed.success) return parsed.output;
      throw new BitforbitError("input", `${path}:${at + 1}: ${parsed.issues[0].message}`, {
        hint: "move the file away: signing anew then begins from the start",
      });
    });
}
