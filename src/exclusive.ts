import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";
import { systemClock } from "./clock.ts";
import { BitforbitError } from "./errors.ts";

/**
 * Runs `work` while this process alone holds the lock file at `path`. The lock
 * is an SQLite transaction, which is a lock of the kernel's: it ends with the
 * process however that dies, so there is no stale lock to clear. Waits up to
 * `waitMilliseconds`, then throws `conflict`.
 */
export async function exclusively<T>(path: string, work: () => Promise<T>, waitMilliseconds = 120_000): Promise<T> {
  const { DatabaseSync } = await import("node:sqlite");
  await mkdir(dirname(path), { recursive: true });
  const deadline = systemClock.elapsed() + waitMilliseconds;
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    for (let pause = 2; ; pause = Math.min(pause * 2, 100)) {
      try {
        database.exec("BEGIN EXCLUSIVE");
        break;
      } catch (error) {
        if (!(error as Error).message.includes("locked")) throw error;
        if (systemClock.elapsed() > deadline) {
          throw new BitforbitError("conflict", `another process holds ${path}`, {
            cause: error,
            hint: "wait for the other bitforbit to end, or end it",
          });
        }
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
    return await work();
  } finally {
    database.close();
  }
}
