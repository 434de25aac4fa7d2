import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { BitforbitError } from "../errors.ts";
import { parseDeb822 } from "../format/deb822.ts";
import type { Purl } from "../format/purl.ts";
import { namesIn } from "../tree.ts";
import { runClient } from "./client.ts";

/**
 * `pkg:deb/debian/hello@2.10-3?arch=source&distro=bookworm`: the .dsc and what
 * it names, by apt, which checks the archive's signature. apt works in a folder
 * of its own, with the machine's mirrors and keys; so the machine's package
 * lists stay as they are, and any suite of those mirrors can be asked for.
 */
export async function fetchDebianSource(purl: Purl & { version: string }, into: string): Promise<void> {
  const suite = purl.qualifiers?.["distro"]?.replace(/^debian-/, "");
  if (suite === undefined || !/^[a-z0-9][a-z0-9.-]{0,63}$/.test(suite)) {
    throw new BitforbitError("input", `no distro in pkg:deb/${purl.namespace ?? ""}/${purl.name}`, {
      hint: "write it as pkg:deb/debian/hello@2.10-3?arch=source&distro=bookworm",
    });
  }
  const root = `${into}.apt`;
  try {
    await mkdir(join(root, "lists", "partial"), { recursive: true });
    await mkdir(join(root, "archives", "partial"), { recursive: true });
    await writeFile(join(root, "sources.list"), (await sourceLines(suite)).map((line) => `${line}\n`).join(""));
    await writeFile(join(root, "status"), "");
    const options = [
      `Dir::Etc::sourcelist=${join(root, "sources.list")}`,
      "Dir::Etc::sourceparts=/dev/null",
      "Dir::Etc::preferences=/dev/null",
      "Dir::Etc::preferencesparts=/dev/null",
      `Dir::State::lists=${join(root, "lists")}`,
      `Dir::State::status=${join(root, "status")}`,
      `Dir::Cache=${root}`,
      `Dir::Cache::archives=${join(root, "archives")}`,
      "Dir::Cache::pkgcache=",
      "Dir::Cache::srcpkgcache=",
      "APT::Sandbox::User=root",
      "APT::Get::List-Cleanup=false",
      "Acquire::Languages=none",
    ].flatMap((option) => ["-o", option]);
    const about = `${purl.name} ${purl.version} (${suite})`;
    await runClient("apt-get", [...options, "-qq", "update"], { cwd: into, about });
    const args = [...options, "-qq", "--download-only", "source", `${purl.name}=${purl.version}`];
    await runClient("apt-get", args, { cwd: into, about });
  } finally {
    await rm(root, { recursive: true, force: true });
  }
}

/** `deb-src` lines for `suite` from the mirrors of the machine that carry Debian itself, keys included. */
async function sourceLines(suite: string): Promise<string[]> {
  const lines = new Set<string>();
  for (const { uris, suites, components, options } of await machineSources()) {
    if (suites.some((item) => /-security|\//.test(item))) continue;
    for (const uri of uris) lines.add(`deb-src ${options}${uri} ${suite} ${components.join(" ")}`);
  }
  if (lines.size === 0) {
    throw new BitforbitError("lacking", "this machine's apt has no Debian mirror", {
      hint: "add one to /etc/apt/sources.list.d, or name the .dsc's files by url",
    });
  }
  return [...lines];
}

export interface AptSource {
  uris: string[];
  suites: string[];
  components: string[];
  /** `[signed-by=…] ` or "". */
  options: string;
}

async function machineSources(): Promise<AptSource[]> {
  const parts = "/etc/apt/sources.list.d";
  const files = ["/etc/apt/sources.list", ...(await namesIn(parts).catch(() => [])).map((name) => join(parts, name))];
  const found: AptSource[] = [];
  for (const file of files) {
    if (!/\.(?:list|sources)$/.test(file)) continue;
    const text = await readFile(file, "utf8").catch(() => "");
    found.push(...(file.endsWith(".list") ? parseOneLine(text) : parseSourcesFile(text, basename(file))));
  }
  const debian = found.filter(({ components }) => components.includes("main"));
  return debian.filter(({ uris }) => uris.some((uri) => /\/debian\/?$|\/debian\//.test(uri)));
}

/** One-line style of sources.list(5). */
export function parseOneLine(text: string): AptSource[] {
  return text.split("\n").flatMap((line) => {
    const match = /^deb(?:-src)?\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+([^#]+)/.exec(line.trim());
    if (match === null) return [];
    const [, options, uri = "", suite = "", components = ""] = match;
    const key = options?.split(/\s+/).find((item) => item.startsWith("signed-by="));
    const words = components.trim().split(/\s+/);
    return [{ uris: [uri], suites: [suite], components: words, options: key === undefined ? "" : `[${key}] ` }];
  });
}

/** deb822 style of sources.list(5); keys that stand in the file itself are left to apt's own trust. */
export function parseSourcesFile(text: string, what: string): AptSource[] {
  return parseDeb822(text, what).flatMap((paragraph) => {
    const words = (field: string): string[] =>
      paragraph
        .get(field)
        ?.split(/\s+/)
        .filter((word) => word !== "") ?? [];
    if (paragraph.get("enabled")?.toLowerCase() === "no") return [];
    const key = paragraph.get("signed-by");
    const options = key !== undefined && /^\/[^\s\]]+$/.test(key) ? `[signed-by=${key}] ` : "";
    return [{ uris: words("uris"), suites: words("suites"), components: words("components"), options }];
  });
}
