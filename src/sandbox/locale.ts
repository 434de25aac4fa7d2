import { existsSync } from "node:fs";
import { chmod, cp, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { run } from "../child.ts";
import { digestOfFile, sha256Hex } from "../digest.ts";
import type { Lack } from "../world.ts";

/** A folder in the form of /usr/lib/locale, which holds C.utf8 and the locales that worlds use. */
export interface Locales {
  folder: string;
  /** Names as LC_ALL takes them, "et_EE.UTF-8". */
  names: readonly string[];
}

/** Locales that the worlds use besides C.UTF-8. */
const WANTED = ["et_EE"];

/**
 * Compiles the locales of the worlds once a machine. Both worlds are shown the
 * same folder in place of /usr/lib/locale, so a build sees the same list of
 * locales on every machine, whatever its administrator has generated.
 */
export async function compiledLocales(cache: string, lacks: Lack[]): Promise<Locales | undefined> {
  const sources = WANTED.map((name) => `/usr/share/i18n/locales/${name}`);
  const lack = (what: string, remedy: string): undefined => {
    lacks.push({ what, remedy, causes: ["locale"] });
    return undefined;
  };
  if (!sources.every((source) => existsSync(source)) || !existsSync("/usr/lib/locale")) {
    return lack("no locale sources in /usr/share/i18n", "apt-get install locales");
  }
  try {
    const compiler = existsSync("/usr/bin/localedef") ? await digestOfFile("/usr/bin/localedef") : "none";
    const digests = await Promise.all(sources.map((source) => digestOfFile(source)));
    const folder = join(cache, `locale-${sha256Hex([compiler, ...digests].join("\n")).slice(0, 16)}`);
    if (!existsSync(folder)) await compileInto(cache, folder);
    return { folder, names: WANTED.map((name) => `${name}.UTF-8`) };
  } catch (error) {
    return lack(
      `locales cannot be compiled: ${error instanceof Error ? error.message : "unknown"}`,
      "apt-get install libc-bin locales",
    );
  }
}

async function compileInto(cache: string, folder: string): Promise<void> {
  await mkdir(cache, { recursive: true, mode: 0o755 });
  const temporary = await mkdtemp(join(cache, ".tmp-locale-"));
  try {
    await chmod(temporary, 0o755);
    for (const name of WANTED) {
      const compiled = await run("localedef", [
        "--no-archive",
        "-i",
        name,
        "-f",
        "UTF-8",
        join(temporary, `${name}.utf8`),
      ]);
      if (!existsSync(join(temporary, `${name}.utf8`, "LC_CTYPE"))) throw new Error(compiled.stderr.slice(0, 200));
    }
    if (existsSync("/usr/lib/locale/C.utf8")) {
      await cp("/usr/lib/locale/C.utf8", join(temporary, "C.utf8"), { recursive: true });
    }
    await rename(temporary, folder).catch((error: unknown) => {
      // Another process was first: its folder has the same content.
      if (!existsSync(folder)) throw error;
    });
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}
