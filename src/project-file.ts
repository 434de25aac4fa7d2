import { constants } from "node:fs";
import { lstat, open } from "node:fs/promises";
import { join } from "node:path";
import { utf8Text } from "./bytes.ts";
import { BitforbitError, systemCode } from "./errors.ts";

/**
 * Text of a file of a project that we do not trust: a regular file (a link
 * could point anywhere), UTF-8, at most `maxBytes`. Undefined when there is no
 * such file. Throws `input` or `limit`.
 */
export async function readProjectFile(
  folder: string,
  name: string,
  maxBytes: number = 16 << 20,
): Promise<string | undefined> {
  let file;
  try {
    file = await open(join(folder, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = systemCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (code === "ELOOP") throw new BitforbitError("input", `${name} is a link, not a file`, { cause: error });
    throw error;
  }
  try {
    const stats = await file.stat();
    if (!stats.isFile()) throw new BitforbitError("input", `${name} is not a regular file`);
    if (stats.size > maxBytes) throw new BitforbitError("limit", `${name}: larger than ${maxBytes} bytes`);
    const text = utf8Text(new Uint8Array(await file.readFile()));
    if (text === undefined) throw new BitforbitError("input", `${name}: not UTF-8`);
    return text;
  } finally {
    await file.close();
  }
}

/** Whether `folder` has a regular file of that name. */
export async function hasFile(folder: string, name: string): Promise<boolean> {
  try {
    return (await lstat(join(folder, name))).isFile();
  } catch {
    return false;
  }
}
