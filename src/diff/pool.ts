import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { BitforbitError, type ErrorCode } from "../errors.ts";
import type { Bounds, Comparison } from "./comparison.ts";
import type { Compared } from "./diff.ts";

/** A pair of files to be compared by some thread. */
export interface FileJob {
  place: number;
  /** Paths in the bytes of the file system. */
  a: Uint8Array;
  b: Uint8Array;
  shown: string;
  path: string[];
  bounds: Omit<Bounds, "excluded" | "expired">;
  /** Milliseconds after which it stops. */
  endsIn: number | undefined;
}

export interface FileAnswer {
  place: number;
  found?: Compared & { leaves: number };
  error?: { code: ErrorCode; message: string };
  /** A defect of ours, with its stack. */
  defect?: string;
}

export interface FilePair {
  a: Buffer;
  b: Buffer;
  shown: string;
  path: string[];
  /** Bytes of both. */
  size: number;
}

/** Below this, starting a thread costs more than it saves. */
const WORTH_THREADS = 8 << 20;
const MOST_THREADS = 8;

/** How many threads are worth it for some pairs; 0: none. */
export function threadsFor(pairs: readonly FilePair[]): number {
  if (pairs.length < 2 || workerFile() === undefined) return 0;
  const bytes = pairs.reduce((sum, { size }) => sum + size, 0);
  const most = Math.min(availableParallelism(), MOST_THREADS, pairs.length, Math.floor(bytes / WORTH_THREADS));
  return most < 2 ? 0 : most;
}

/**
 * Compares pairs of files in `count` threads, the largest first; answers in
 * the order of the pairs. Each has its share of the memory, and the bounds on
 * leaves for itself, so that the outcome does not hang on which is done first.
 */
export async function inThreads(
  comparison: Comparison,
  pairs: readonly FilePair[],
  count: number,
): Promise<FileAnswer[]> {
  const { excluded: _, expired: __, timeLeft, ...bounds } = comparison.bounds;
  const shared = { ...bounds, timeLeft: undefined, maxInMemory: Math.floor(bounds.maxInMemory / count) };
  const waiting = [...pairs.entries()].sort(([at, one], [place, other]) => other.size - one.size || at - place);
  const answers: FileAnswer[] = [];
  const work = async (): Promise<void> => {
    const worker = new Worker(workerFile() ?? "", { stdout: false, stderr: false });
    try {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [place, { a, b, shown, path }] = next;
        const job: FileJob = { place, a, b, shown, path, bounds: shared, endsIn: timeLeft?.() };
        answers[place] = await asked(worker, job);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: count }, work));
  return answers;
}

function asked(worker: Worker, job: FileJob): Promise<FileAnswer> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(error);
    const ended = (): void => reject(new BitforbitError("limit", `${job.shown}: the thread that compared it ended`));
    worker.once("error", failed);
    worker.once("exit", ended);
    worker.once("message", (answer: FileAnswer) => {
      worker.off("error", failed);
      worker.off("exit", ended);
      if (answer.defect === undefined) resolve(answer);
      else reject(new Error(answer.defect));
    });
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows; a thread has no origin
    worker.postMessage(job);
  });
}

/** Beside this file in the source; beside the bundle, or above its chunks, in the package. */
function workerFile(): string | undefined {
  const here = import.meta.dirname;
  const places = ["worker.ts", "diff-worker.cjs", "diff-worker.js", "../diff-worker.cjs", "../diff-worker.js"];
  return places.map((place) => join(here, place)).find((path) => existsSync(path));
}
