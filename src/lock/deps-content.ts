/**
 * What of a fetched folder is content and what is a client's bookkeeping. The
 * lock's `deps.digest` is of content only, so that it is the same at every
 * fetch; the cache's own manifest is of every byte.
 */
import { open } from "node:fs/promises";
import { join } from "node:path";
import { type Digest, digestOf, digestOfFile } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { Ecosystem } from "../material.ts";
import { digestOfTreeLines, treeLine, walkTree } from "../tree.ts";

interface Rule {
  ecosystem: Ecosystem;
  paths: RegExp;
  reason: string;
  /** Leaves out only files for which this holds. */
  unless?: "gzip";
}

/** Files that differ from fetch to fetch, though what was fetched is the same. */
export const BOOKKEEPING: readonly Rule[] = [
  { ecosystem: "npm", paths: /(?:^|\/)_cacache\/(?:index-v5|tmp)\//, reason: "index entries hold times and addresses" },
  {
    ecosystem: "npm",
    paths: /(?:^|\/)_cacache\/content-v2\//,
    unless: "gzip",
    reason: "a registry's answer about a package changes with each new version of it; packages themselves are gzip",
  },
  { ecosystem: "npm", paths: /(?:^|\/)_(?:logs\/|update-notifier|npx\/)/, reason: "logs and times of npm itself" },
  {
    ecosystem: "cargo",
    paths: /(?:^|\/)(?:\.package-cache(?:-mutate)?|\.global-cache|\.last-updated)$/,
    reason: "cargo's locks and times of last use",
  },
  { ecosystem: "cargo", paths: /(?:^|\/)registry\/index\//, reason: "the index grows with each crate published" },
  {
    ecosystem: "go",
    paths: /(?:^|\/)cache\/(?:lock|download\/sumdb\/.*|download\/.*\/@v\/(?:list|.*\.(?:lock|info)))$/,
    reason: "locks, lists of versions and the checksum database's state; .info holds where from and when",
  },
  {
    ecosystem: "go",
    paths: /(?:^|\/)cache\/download\/.*\/@v\/.*\.zip$/,
    reason: "each proxy compresses anew; the files unpacked beside count, and go checks each zip against go.sum",
  },
  {
    ecosystem: "maven",
    paths: /(?:^|\/)(?:_remote\.repositories|resolver-status\.properties|[^/]*\.lastUpdated|maven-metadata-[^/]*)$/,
    reason: "times, and names of mirrors",
  },
  { ecosystem: "maven", paths: /\.(?:sha1|md5|sha256|sha512|asc)$/, reason: "checksums that not every mirror serves" },
];

/** One file or link: what it is in a `treeDigest`, and whether it is content. */
export interface DepsFile {
  path: string;
  line: string;
  bytes: number;
  content: boolean;
}

/**
 * Every file and link below `folder`, hashed. Without an ecosystem, all rules
 * apply. Throws `input` for what is neither file, folder nor link.
 */
export async function depsFiles(folder: string, ecosystem: Ecosystem | undefined): Promise<DepsFile[]> {
  const rules = BOOKKEEPING.filter((rule) => ecosystem === undefined || rule.ecosystem === ecosystem);
  const files: DepsFile[] = [];
  for await (const { path, type, stats, target } of walkTree(folder)) {
    if (type === "directory") continue;
    if (type === "other") throw new BitforbitError("input", `fetched ${path} is neither a file nor a link`);
    const digest = type === "link" ? digestOf(target ?? "") : await digestOfFile(join(folder, path));
    const mode = type === "link" ? "link" : stats.mode & 0o100 ? "755" : "644";
    const matching = rules.filter((rule) => rule.paths.test(path));
    const gzip = matching.some((rule) => rule.unless === "gzip") && (await isGzip(join(folder, path)));
    files.push({
      path,
      line: treeLine(mode, digest, path),
      bytes: type === "file" ? stats.size : 0,
      content: matching.every((rule) => rule.unless === "gzip" && gzip),
    });
  }
  return files;
}

async function isGzip(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer[0] === 0x1f && buffer[1] === 0x8b;
  } finally {
    await file.close();
  }
}

/** Digest, number and size of the content, as the lock holds them. */
export function contentOf(files: readonly DepsFile[]): { digest: Digest; files: number; bytes: number } {
  const content = files.filter((file) => file.content);
  return {
    digest: digestOfTreeLines([...content]),
    files: content.length,
    bytes: content.reduce((sum, file) => sum + file.bytes, 0),
  };
}
