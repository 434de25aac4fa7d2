import { constants } from "node:fs";
import { chmod, copyFile, lstat, mkdir, realpath, stat, utimes } from "node:fs/promises";
import { dirname, join, matchesGlob, relative, sep } from "node:path";
import { type Digest, digestOfFile } from "../digest.ts";
import { BitforbitError, messageOf, systemCode } from "../errors.ts";
import { byteOrder } from "../order.ts";
import { openFolders, walkTree } from "../tree.ts";

/** A file that the recipe asked for and the build made. */
export interface Output {
  /** Path below the build path, with `/`. */
  path: string;
  digest: Digest;
  /** Bytes. */
  size: number;
  executable: boolean;
}

const isPattern = (output: string): boolean => /[*?[{]/.test(output);

/**
 * Copies the outputs named by `wanted` (paths or globs) from `tree` to `into`.
 * Links are followed only to files inside the tree, so a build cannot make us
 * publish what it can merely name. Throws `build` when an output was not made,
 * `refused` when it leads out of the tree, `build` also beyond `maxBytes`. The
 * copies are made now; with `newest` (epoch seconds) they keep the files' own
 * times, and none is later than that.
 */
export async function collectOutputs(
  tree: string,
  wanted: readonly string[],
  into: string,
  maxBytes: number,
  newest?: number,
): Promise<Output[]> {
  const root = await realpath(tree);
  await openFolders(root).catch((error: unknown) => {
    throw unreadable("", error);
  });
  const paths = await matching(root, wanted).catch((error: unknown) => {
    throw unreadable("", error);
  });
  const outputs: Output[] = [];
  let total = 0;
  for (const path of paths) {
    requirePrintable(path);
    const from = await insideFile(root, path);
    const { size, mode, mtimeMs } = await stat(from);
    if ((mode & 0o400) === 0) {
      await chmod(from, mode | 0o400).catch((error: unknown) => {
        throw unreadable(path, error);
      });
    }
    total += size;
    if (total > maxBytes) {
      throw new BitforbitError("build", `the outputs are larger than ${maxBytes} bytes (at ${path})`, {
        hint: "raise limits.output in bitforbit.toml, or name fewer outputs",
      });
    }
    const to = join(into, path);
    await mkdir(dirname(to), { recursive: true });
    await copyFile(from, to, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE).catch((error: unknown) => {
      throw unreadable(path, error);
    });
    const executable = (mode & 0o100) !== 0;
    await chmod(to, executable ? 0o755 : 0o644); // an artifact is its bytes; the umask of the build is not part of it
    if (newest !== undefined) await utimes(to, newest, Math.min(newest, mtimeMs / 1000));
    outputs.push({ path, digest: await digestOfFile(to), size, executable });
  }
  return outputs;
}

/** Names go into statements, stores and terminals: UTF-8 without control characters, backslashes or what was no UTF-8. */
function requirePrintable(path: string): void {
  if (!/[\u0000-\u001f\u007f-\u009f\\\ufffd]/.test(path)) return;
  throw new BitforbitError(
    "build",
    `the output ${JSON.stringify(path)} has a name with control characters, backslashes or no UTF-8`,
    {
      hint: "have the build name it otherwise, or leave it out of outputs",
    },
  );
}

function unreadable(path: string, error: unknown): unknown {
  if (systemCode(error) !== "EACCES" && systemCode(error) !== "EPERM") return error;
  const what = path === "" ? "a folder of the build tree" : `the output ${JSON.stringify(path)}`;
  return new BitforbitError("build", `${what} cannot be read: ${messageOf(error)}`, {
    cause: error,
    hint: "let the build leave what it makes readable by its owner (chmod -R u+rX)",
  });
}

async function matching(root: string, wanted: readonly string[]): Promise<string[]> {
  const found = new Set<string>();
  for (const output of wanted.filter((name) => !isPattern(name))) {
    for (const path of await fixedOutput(root, output)) found.add(path);
  }
  const patterns = wanted.filter(isPattern);
  const matched = new Set<string>();
  if (patterns.length > 0) {
    for await (const entry of walkTree(root)) {
      if (entry.type === "directory" || entry.type === "other") continue;
      for (const pattern of patterns) {
        if (!matchesGlob(entry.path, pattern)) continue;
        matched.add(pattern);
        if (entry.type === "link" && (await leadsToMember(root, entry.path))) continue;
        found.add(entry.path);
      }
    }
  }
  for (const pattern of patterns) if (!matched.has(pattern)) throw notMade(pattern);
  return [...found].sort(byteOrder);
}

const notMade = (output: string): BitforbitError =>
  new BitforbitError("build", `the build did not make the output ${JSON.stringify(output)}`, {
    hint: "correct outputs in bitforbit.toml, or the build; 'bitforbit build --keep' leaves the build tree for a look",
  });

/** A path that was named outright: the file, or every file of the folder. */
async function fixedOutput(root: string, output: string): Promise<string[]> {
  let stats;
  try {
    stats = await lstat(join(root, output));
  } catch (error) {
    if (systemCode(error) === "ENOENT" || systemCode(error) === "ENOTDIR") throw notMade(output);
    throw error;
  }
  if (!stats.isDirectory()) return [output];
  const paths: string[] = [];
  for await (const entry of walkTree(join(root, output))) {
    const path = `${output.replace(/\/+$/, "")}/${entry.path}`;
    if (entry.type === "file") paths.push(path);
    if (entry.type === "link" && !(await leadsToMember(root, path))) paths.push(path);
  }
  if (paths.length === 0) throw notMade(output);
  return paths;
}

/** A link to another name beside it (`libx.so` to `libx.so.1`) adds nothing: its target is an output of its own. */
async function leadsToMember(root: string, path: string): Promise<boolean> {
  const target = await realpath(join(root, path)).catch(() => undefined);
  if (target === undefined || !target.startsWith(root + sep)) return false;
  const folder = dirname(join(root, path));
  return target.startsWith(folder + sep) || (await stat(target)).isDirectory();
}

async function insideFile(root: string, path: string): Promise<string> {
  const from = await realpath(join(root, path)).catch((error: unknown) => {
    throw new BitforbitError("refused", `the output ${JSON.stringify(path)} is a link that leads nowhere`, {
      cause: error,
    });
  });
  const inside = relative(root, from);
  if (inside === ".." || inside.startsWith(`..${sep}`)) {
    throw new BitforbitError("refused", `the output ${JSON.stringify(path)} leads out of the build tree`, {
      hint: "copy the file into the build tree instead of linking to it",
    });
  }
  if (!(await stat(from)).isFile()) {
    throw new BitforbitError("refused", `the output ${JSON.stringify(path)} is not a regular file`);
  }
  return from;
}
