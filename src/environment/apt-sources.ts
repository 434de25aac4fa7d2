/**
 * The archives that this machine's apt is set up for (sources.list(5), both
 * styles), turned towards the suite that a recipe wants. Which of them are
 * Debian's is told by the keyring that they are signed with, and by their
 * layout; never by a host name, so that mirrors serve.
 */
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { existsSync } from "node:fs";
import { BitforbitError, systemCode } from "../errors.ts";
import { type Paragraph, parseDeb822 } from "../format/deb822.ts";
import { namesIn } from "../tree.ts";

export interface AptSource {
  uris: string[];
  suites: string[];
  components: string[];
  /** A path, or an OpenPGP key block (lines joined by LF). */
  signedBy: string | undefined;
  /** The machine's owner says that this archive's Release may be of any age: one of the past. */
  anyAge: boolean;
}

const KEYRINGS = ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/** All sources of binary packages below an apt folder ("/etc/apt"), switched-off ones left out. Throws `input`. */
export async function machineSources(folder: string): Promise<AptSource[]> {
  const parts = join(folder, "sources.list.d");
  const files = [join(folder, "sources.list"), ...(await namesOr(parts)).map((name) => join(parts, name))];
  const found: AptSource[] = [];
  for (const file of files) {
    if (!/\.(?:list|sources)$/.test(file)) continue;
    const text = await readFile(file, "utf8").catch((error: unknown) => {
      if (systemCode(error) === "ENOENT" || systemCode(error) === "EACCES") return "";
      throw error;
    });
    found.push(...(file.endsWith(".list") ? oneLineSources(text) : deb822Sources(text, basename(file))));
  }
  return found;
}

async function namesOr(folder: string): Promise<string[]> {
  return await namesIn(folder).catch((error: unknown) => {
    if (systemCode(error) === "ENOENT") return [];
    throw error;
  });
}

/** One-line style: `deb [option=value…] uri suite component…`. */
export function oneLineSources(text: string): AptSource[] {
  return text.split("\n").flatMap((line) => {
    const match = /^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line.trim());
    if (match === null) return [];
    const [, options = "", uri = "", suite = "", components = ""] = match;
    const option = (name: string): string | undefined =>
      new RegExp(`(?:^|\\s)${name}=(\\S+)`, "i").exec(options)?.[1] ?? undefined;
    return [
      {
        uris: [uri],
        suites: [suite],
        components: components.trim().split(/\s+/),
        signedBy: option("signed-by"),
        anyAge: option("check-valid-until") === "no",
      },
    ];
  });
}

/** deb822 style. Throws `input` for what is not that. */
export function deb822Sources(text: string, what: string): AptSource[] {
  return parseDeb822(text, what).flatMap((paragraph) => {
    const words = (field: string): string[] => (paragraph.get(field) ?? "").split(/\s+/).filter((word) => word !== "");
    if (isNo(paragraph, "enabled") || !words("types").includes("deb")) return [];
    return [
      {
        uris: words("uris"),
        suites: words("suites"),
        components: words("components"),
        signedBy: paragraph.get("signed-by"),
        anyAge: isNo(paragraph, "check-valid-until"),
      },
    ];
  });
}

function isNo(paragraph: Paragraph, field: string): boolean {
  return ["no", "false", "off", "0"].includes(paragraph.get(field)?.toLowerCase() ?? "");
}

/** Suites that have neither updates nor a security archive: everything goes straight in. */
const ROLLING = /^(?:sid|unstable|experimental|rc-buggy)$/;

/** A suite's kind stands in its name (bookworm-security) or, until Debian 10, after a slash (buster/updates). */
function kindOf(suite: string): "base" | "updates" | "security" | undefined {
  if (/-security$|\/updates$/.test(suite)) return "security";
  if (suite.endsWith("-updates")) return "updates";
  return /[-/]/.test(suite) ? undefined : "base";
}

/**
 * The sources for one suite: its own archive and, where this machine is set up
 * for them, its updates and security archive. Throws `lacking` when the machine
 * names no Debian archive or has no key for it.
 */
export function sourcesFor(machine: readonly AptSource[], suite: string, components: readonly string[]): AptSource[] {
  const debian = debianSources(machine);
  const found = new Map<string, AptSource>();
  for (const source of debian) {
    for (const kind of new Set(source.suites.map(kindOf))) {
      if (kind === undefined || (kind !== "base" && ROLLING.test(suite))) continue;
      const wanted = kind === "base" ? suite : `${suite}-${kind}`;
      const one = { ...source, suites: [wanted], components: [...components], signedBy: keyOf(source) };
      found.set(`${source.uris.join(" ")} ${wanted}`, one);
    }
  }
  if (![...found.values()].some((source) => source.suites[0] === suite)) {
    throw new BitforbitError("lacking", "this machine's apt is set up for no Debian archive", {
      hint: "write one into /etc/apt/sources.list.d/debian.sources: sources.list(5) has an example",
    });
  }
  return [...found.values()];
}

/** Those signed with Debian's own keys; else those laid out like Debian's archive, with whatever key they name. */
function debianSources(machine: readonly AptSource[]): AptSource[] {
  const main = machine.filter(({ components }) => components.includes("main"));
  const signed = main.filter(({ signedBy }) => signedBy !== undefined && /debian-archive-[^/]*$/.test(signedBy));
  const laidOut = main.filter(({ uris }) => uris.some((uri) => /\/debian(?:-security)?(?:\/|$)/.test(uri)));
  return signed.length > 0 ? [...signed, ...laidOut.filter(({ signedBy }) => signedBy === undefined)] : laidOut;
}

function keyOf(source: AptSource): string {
  const key = source.signedBy ?? KEYRINGS.find((path) => existsSync(path));
  if (key !== undefined && (!key.startsWith("/") || existsSync(key))) return key;
  throw new BitforbitError("lacking", `the keys of the Debian archive are not here: ${key ?? KEYRINGS[0] ?? ""}`, {
    hint: "apt-get install debian-archive-keyring",
  });
}

/** A .sources file of ours: nothing of the machine's options is taken over but the key and the age. */
export function writeSources(sources: readonly AptSource[]): string {
  return sources
    .map((source) =>
      [
        "Types: deb",
        `URIs: ${source.uris.join(" ")}`,
        `Suites: ${source.suites.join(" ")}`,
        `Components: ${source.components.join(" ")}`,
        "Targets: Packages",
        `Signed-By: ${(source.signedBy ?? "").split("\n").map(continuation).join("\n")}`,
        ...(source.anyAge ? ["Check-Valid-Until: no"] : []),
        "",
      ].join("\n"),
    )
    .join("\n");
}

function continuation(line: string, index: number): string {
  return index === 0 ? line : ` ${line === "" ? "." : line}`;
}
