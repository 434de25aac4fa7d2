import { chmodSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { BitforbitError } from "../errors.ts";
import { namesIn } from "../tree.ts";
import { type HostAbilities, isReachable } from "./host.ts";

const PREFIX = "bitforbit-sandbox-";
const STALE_MILLISECONDS = 2 * 86_400_000;

let folder: Promise<string> | undefined;

/**
 * This process's folder for small files of its sandboxes: in memory where that
 * is possible. A build's uid can pass through it but not list it. It is removed
 * when the process ends; one that was killed leaves its own to be swept by the
 * next, after two days.
 */
export function scratchFolder(host: HostAbilities): Promise<string> {
  folder ??= make(host);
  return folder;
}

async function make(host: HostAbilities): Promise<string> {
  for (const base of ["/dev/shm", tmpdir(), "/tmp", "/run", "/var/tmp"]) {
    try {
      if (host.isolation !== "user" && !isReachable(base)) continue;
      const made = mkdtempSync(join(base, PREFIX));
      if (host.isolation !== "user") chmodSync(made, 0o711);
      mkdirSync(join(made, "pipes"), { mode: 0o700 });
      process.once("exit", () => rmSync(made, { recursive: true, force: true }));
      await sweep(base);
      return made;
    } catch {
      // Not there, or not ours to write: the next.
    }
  }
  throw new BitforbitError("lacking", "no temporary folder can be written", { hint: "make /tmp writable" });
}

async function sweep(base: string): Promise<void> {
  for (const name of (await namesIn(base)).filter((one) => one.startsWith(PREFIX))) {
    const path = join(base, name);
    try {
      const stats = lstatSync(path);
      const mine = stats.isDirectory() && stats.uid === process.getuid?.();
      if (mine && systemClock.now() - stats.mtimeMs > STALE_MILLISECONDS)
        rmSync(path, { recursive: true, force: true });
    } catch {
      // Another process swept it just now.
    }
  }
}

/** Does `work` so that everyone may read what it makes, whatever our caller's umask: the build's user is another. */
export function readableByAll<T>(work: () => T): T {
  const before = process.umask(0o022);
  try {
    return work();
  } finally {
    process.umask(before);
  }
}
