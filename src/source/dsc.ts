import { readFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { run } from "../child.ts";
import { digestOfFile, hexOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import { parseDeb822 } from "../format/deb822.ts";
import { namesIn } from "../tree.ts";

/**
 * Checks that beside a .dsc lie exactly the files that its Checksums-Sha256
 * names, each with that size and digest (Debian policy, section 5.6.24).
 * Throws `refused` or `input`.
 */
export async function verifyDsc(path: string): Promise<void> {
  const what = basename(path);
  const [control] = parseDeb822(await readFile(path, "utf8"), what);
  const lines =
    control
      ?.get("checksums-sha256")
      ?.split("\n")
      .filter((line) => line !== "") ?? [];
  if (lines.length === 0) throw new BitforbitError("input", `${what} has no Checksums-Sha256`);
  const named = new Set([what]);
  for (const line of lines) {
    const [, sha256 = "", size = "", name = ""] = /^([0-9a-f]{64}) +(\d{1,15}) +([\w.+~-]+)$/.exec(line) ?? [];
    if (name === "") throw new BitforbitError("input", `${what}: not a checksum line: ${line.slice(0, 100)}`);
    named.add(name);
    const file = join(dirname(path), name);
    const have = await digestOfFile(file).catch(() => undefined);
    if (have === undefined) throw new BitforbitError("refused", `${name}, which ${what} names, is not there`);
    if (hexOf(have) !== sha256)
      throw new BitforbitError("refused", `${name} (${size} bytes) is not the file that ${what} names`);
  }
  const stray = (await namesIn(dirname(path))).find((name) => !named.has(name));
  if (stray !== undefined) throw new BitforbitError("refused", `${stray} lies beside ${what}, which does not name it`);
}

/**
 * Unpacks a Debian source package with its patches applied, by dpkg-source:
 * it knows every format (1.0, 3.0 native, 3.0 quilt) and compression. The
 * files' digests were checked by `verifyDsc`. Gives the time of the newest
 * changelog entry, seconds.
 */
export async function unpackDsc(path: string, into: string): Promise<number> {
  const ran = await run("dpkg-source", ["--no-check", "--no-copy", "--extract", path, into], {
    cwd: dirname(path),
    timeoutMilliseconds: 10 * 60_000,
    env: { LC_ALL: "C" },
  });
  if (ran.exitCode !== 0) {
    const said = ran.stderr.trim().split("\n").at(-1)?.slice(0, 300) ?? "";
    throw new BitforbitError("input", `dpkg-source cannot unpack ${basename(path)}: ${said}`);
  }
  const changelog = await readFile(join(into, "debian", "changelog"), "utf8").catch(() => "");
  const written = /^ -- .*>  (.{10,60})$/m.exec(changelog)?.[1];
  const time = written === undefined ? Number.NaN : Date.parse(written);
  return Number.isFinite(time) ? Math.max(0, Math.floor(time / 1000)) : 0;
}
