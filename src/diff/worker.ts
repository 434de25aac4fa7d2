import { parentPort } from "node:worker_threads";
import { systemClock } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import { diffFilePair } from "./diff.ts";
import type { FileAnswer, FileJob } from "./pool.ts";

/** One of several threads that compare pairs of files of two folders. */
const port = parentPort;
port?.on("message", (job: FileJob) => {
  void answered(job).then((answer) => port.postMessage(answer));
});

async function answered({ place, a, b, shown, path, bounds, endsIn }: FileJob): Promise<FileAnswer> {
  const end = endsIn === undefined ? Infinity : systemClock.elapsed() + endsIn;
  const options = { ...bounds, expired: () => systemClock.elapsed() > end };
  try {
    return { place, found: await diffFilePair(Buffer.from(a), Buffer.from(b), shown, path, options) };
  } catch (error) {
    if (error instanceof BitforbitError) return { place, error: { code: error.code, message: error.message } };
    return { place, defect: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
