import { join } from "node:path";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { makeLocked } from "../../flow/prepare.ts";
import { recordLock } from "../../flow/record.ts";
import { withScratch } from "../../flow/scratch.ts";
import { type ChangeLine, changeLines } from "../../lock/change-lines.ts";
import { countOf, lockChanges } from "../../lock/changes.ts";
import { environmentWords } from "../../lock/environment.ts";
import { findingLines } from "../../lock/finding-lines.ts";
import { LOCK_FILE, lockingAlone, lockToReplace, writeLock } from "../../lock/lock-file.ts";
import { upstreamChanges, upstreamLines } from "../../lock/upstream.ts";
import { probeHost } from "../../sandbox/host.ts";
import { onInterrupt } from "../interrupt.ts";
import type { Options } from "../program.ts";
import { homeFor, projectFolder, text } from "../project.ts";
import { counted, type Terminal } from "../terminal.ts";

/** `bitforbit lock [DIR]`: pins every material; `--check` only says whether the lock fits. */
export async function lock(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const folder = await projectFolder(args[0]);
  const home = homeFor(folder, options);
  const checkOnly = options["check"] === true;
  const asOf = dayOf(text(options, "asOf"));
  return await lockingAlone(folder, home.cache, async () => {
    const { lock: before, conflict } = await lockToReplace(folder);
    if (checkOnly && before === undefined) {
      throw new BitforbitError("refused", `no bitforbit.lock in ${folder}`, { hint: "run 'bitforbit lock'" });
    }
    if (conflict) terminal.say("bitforbit.lock holds marks of a merge conflict: it is made anew");
    return await onInterrupt(async (signal) =>
      withScratch(home, {}, async (scratch) => {
        const made = await makeLocked(folder, home, {
          host: await probeHost(),
          scratch,
          before,
          update: options["update"] === true,
          afresh: checkOnly,
          ...(asOf === undefined ? {} : { asOf }),
          signal,
          onProgress: (line) => terminal.progress(`lock · ${line}`),
          onWarning: (line) => terminal.warn(line),
        });
        terminal.progress(undefined);
        const changes = lockChanges(before, made.lock);
        const now = { lock: made.lock, recording: made.recording ?? { version: 1, exchanges: [] } };
        const { recordedBefore: recording } = made;
        const upstream =
          checkOnly && before !== undefined
            ? upstreamChanges({ lock: before, ...(recording === undefined ? {} : { recording }) }, now)
            : [];
        const count = countOf(changes);
        const fits = count === 0 && !upstream.some(({ kind }) => kind === "other-bytes" || kind === "not-served");
        const document = {
          project: made.recipe.name,
          fits,
          environment: environmentWords(made.lock.environment),
          materials: made.lock.materials.length,
          lockfiles: made.lock.lockfiles.map(({ path, sha256 }) => ({ path, digest: `sha256:${sha256}` })),
          changes,
          ...(made.findings === undefined ? {} : { findings: made.findings }),
          ...(checkOnly ? { upstream } : {}),
        };
        for (const line of changeLines(changes, before, made.lock)) terminal.line(toned(line, terminal));
        for (const line of upstreamLines(upstream)) terminal.line(`${terminal.bad("!")} ${line}`);
        for (const line of made.findings === undefined ? [] : findingLines(made.findings)) {
          terminal.line(terminal.dim(line));
        }
        if (checkOnly) {
          terminal.line(
            fits ? terminal.good("bitforbit.lock fits") : terminal.bad("bitforbit.lock does not fit: see above"),
          );
          terminal.document(document);
          return fits ? 0 : 1;
        }
        await writeLock(folder, made.lock);
        await recordLock(made);
        terminal.document({ ...document, written: join(folder, LOCK_FILE) });
        const pinned = counted(made.lock.materials.length, "dependency", "dependencies");
        terminal.line(`${pinned} pinned in bitforbit.lock (${counted(count, "change")})`);
        terminal.line(terminal.dim(`environment: ${environmentWords(made.lock.environment)}`));
        return 0;
      }),
    );
  });
}

const TONES: Readonly<Record<ChangeLine["tone"], "bad" | "strong" | "good" | "dim">> = {
  alarm: "bad",
  heading: "strong",
  added: "good",
  removed: "bad",
  changed: "strong",
  note: "dim",
};

function toned({ tone, text: line }: ChangeLine, terminal: Terminal): string {
  return terminal[TONES[tone]](line);
}

/** A date (its first second, UTC) or an instant, RFC 3339; undefined when none was given. */
function dayOf(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const plain = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}Z)?$/.test(value);
  const at = plain ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(at)) {
    throw new BitforbitError("usage", `not a date: ${JSON.stringify(value)}`, {
      hint: "2026-03-01, or 2026-03-01T12:00:00Z",
    });
  }
  return at / 1000;
}
