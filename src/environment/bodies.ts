/**
 * Fetched files by content: `<cache>/bodies/sha256/<two hexadecimal digits>/<64 of them>`,
 * written durably, never replaced while they are right, and digested again at every use.
 */
import { link, mkdir, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { bodyPath } from "../body-path.ts";
import { digestOfFile } from "../digest.ts";
import { syncFolder } from "../durable.ts";
import { systemCode } from "../errors.ts";

/**
 * Whether the body is there and is what its name says. A poisoned one is
 * removed, and `say` names it as `what`.
 */
export async function checkBody(
  cache: string,
  sha256: string,
  what: string,
  say: (line: string) => void,
): Promise<boolean> {
  const path = bodyPath(cache, `sha256:${sha256}`);
  try {
    if ((await digestOfFile(path)) === `sha256:${sha256}`) return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
  say(`${what}: the file in the cache is not what its digest says (${path}): it is refused and fetched anew`);
  await rm(path, { force: true });
  return false;
}

/**
 * Takes a finished file of the same file system, whose SHA-256 was checked, in
 * under that name; fsyncs it first. `from` stays. Of two processes at once one
 * wins, with the same content.
 */
export async function keepBody(cache: string, from: string, sha256: string): Promise<void> {
  const path = bodyPath(cache, `sha256:${sha256}`);
  const file = await open(from, "r");
  try {
    await file.chmod(0o644);
    await file.sync();
  } finally {
    await file.close();
  }
  await mkdir(dirname(path), { recursive: true });
  await link(from, path).catch((error: unknown) => {
    if (systemCode(error) !== "EEXIST") throw error;
  });
  await syncFolder(dirname(path));
}
