import { join } from "node:path";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { prepare } from "../../flow/prepare.ts";
import { recordLock } from "../../flow/record.ts";
import { withScratch } from "../../flow/scratch.ts";
import type { Material } from "../../material.ts";
import { countOf, lockChanges } from "../../lock/changes.ts";
import { environmentWords } from "../../lock/environment.ts";
import { LOCK_FILE, readLock, writeLock } from "../../lock/lock-file.ts";
import { probeHost } from "../../sandbox/host.ts";
import { onInterrupt } from "../interrupt.ts";
import type { Options } from "../program.ts";
import { homeFor, projectFolder } from "../project.ts";
import { counted, short, type Terminal } from "../terminal.ts";

const MOST = 40;

/** `bitforbit lock [DIR]`: pins every material; `--check` only says whether the lock fits. */
export async function lock(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const folder = await projectFolder(args[0]);
  const home = homeFor(folder, options);
  const before = await readLock(folder);
  const checkOnly = options["check"] === true;
  if (checkOnly && before === undefined) {
    throw new BitforbitError("refused", `no bitforbit.lock in ${folder}`, { hint: "run 'bitforbit lock'" });
  }
  const prepared = await onInterrupt(async (signal) =>
    withScratch(home, {}, async (scratch) =>
      prepare(folder, home, {
        host: await probeHost(),
        scratch,
        relock: true,
        signal,
        onProgress: (line) => terminal.progress(`fetch · ${line}`),
      }),
    ),
  );
  terminal.progress(undefined);
  const changes = lockChanges(before, prepared.lock);
  const count = countOf(changes);
  const document = {
    project: prepared.recipe.name,
    fits: count === 0,
    environment: environmentWords(prepared.lock.environment),
    materials: prepared.lock.materials.length,
    lockfiles: prepared.lock.lockfiles.map(({ path, sha256 }) => ({ path, digest: `sha256:${sha256}` })),
    changes,
  };
  for (const material of changes.added.slice(0, MOST)) terminal.line(`${terminal.good("+")} ${named(material)}`);
  if (changes.added.length > MOST) terminal.line(`${terminal.good("+")} … and ${changes.added.length - MOST} more`);
  for (const material of changes.removed.slice(0, MOST)) terminal.line(`${terminal.bad("-")} ${named(material)}`);
  for (const { what, before: old, after } of changes.changed) {
    terminal.line(`${terminal.strong("~")} ${what}: ${short(old)} → ${short(after)}`);
  }
  const pinned = prepared.lock.materials.filter((material) => material.kind === "dependency").length;
  if (checkOnly) {
    terminal.line(
      count === 0
        ? terminal.good("bitforbit.lock fits")
        : terminal.bad("bitforbit.lock is out of date: run 'bitforbit lock'"),
    );
    terminal.document(document);
    return count === 0 ? 0 : 1;
  }
  await writeLock(folder, prepared.lock);
  await recordLock(prepared);
  terminal.document({ ...document, written: join(folder, LOCK_FILE) });
  terminal.line(
    `${counted(pinned, "dependency", "dependencies")} pinned in bitforbit.lock (${counted(count, "change")})`,
  );
  terminal.line(terminal.dim(`environment: ${environmentWords(prepared.lock.environment)}`));
  return 0;
}

const named = ({ name, version }: Material): string => `${name} ${version ?? ""}`.trimEnd();
