import { existsSync } from "node:fs";
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run } from "./child.ts";
import { sha256Hex } from "./digest.ts";

/** A small piece of C that this machine compiles for itself, once. */
export interface Piece {
  /** First part of the file's name; what follows is made from the source. */
  name: string;
  source: string;
  /** The compiler's, besides `-o` and the source. */
  options: readonly string[];
  /** More of them, without which it works as well: left out where the compiler refuses them. */
  wished?: readonly string[];
  /** Tries what was compiled before it is trusted. */
  works: (path: string) => Promise<boolean>;
}

/** Path of the compiled piece below `cache`; undefined where it cannot be compiled, or does not work. */
export async function compiledOnce(cache: string, piece: Piece): Promise<string | undefined> {
  const { options, wished = [] } = piece;
  const mark = sha256Hex(`${[...options, ...wished].join(" ")}\n${piece.source}`).slice(0, 16);
  const path = join(cache, `${piece.name}-${process.arch}-${mark}`);
  if (existsSync(path)) return path;
  try {
    await mkdir(cache, { recursive: true, mode: 0o755 });
    const folder = await mkdtemp(join(cache, `.tmp-${piece.name}-`));
    try {
      const [source, made] = [join(folder, "source.c"), join(folder, "made")];
      await writeFile(source, piece.source);
      const compile = async (more: readonly string[]): Promise<boolean> =>
        (await run("cc", [...options, ...more, "-o", made, source], { timeoutMilliseconds: 20_000 })).exitCode === 0;
      if (!(await compile(wished)) && (wished.length === 0 || !(await compile([])))) return undefined;
      await chmod(made, 0o755);
      if (!(await piece.works(made))) return undefined;
      await rename(made, path);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    return path;
  } catch {
    return undefined;
  }
}
