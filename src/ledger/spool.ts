import { appendFile, mkdir, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { type Entropy, systemEntropy, uniqueName } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import { exclusively } from "../exclusive.ts";
import { isObject, parseJson } from "../json.ts";
import { namesIn } from "../tree.ts";
import { EVENT_KINDS, type EventKind, type LedgerEvent } from "./event.ts";
import type { Ledger } from "./ledger.ts";

/**
 * Events on their way into the ledger, a JSON line each: `verify` must start
 * fast and load no database, so it leaves its event here and whoever opens the
 * ledger next enters it. Each line has a name of its own, so that entering it
 * twice (a crash between the ledger and the removal) shows and is left out.
 */
export async function spool(ledgerPath: string, event: LedgerEvent, entropy: Entropy = systemEntropy): Promise<void> {
  const path = spoolPath(ledgerPath);
  await mkdir(dirname(path), { recursive: true });
  const data = { ...event.data, spooled: uniqueName(entropy) };
  const line = JSON.stringify({ ...event, data }, (_key, value: unknown) =>
    typeof value === "string" ? value.toWellFormed() : value,
  );
  // A line of its own, even after one that a crash cut off.
  await appendFile(path, `\n${line}\n`, { flush: true });
}

const spoolPath = (ledgerPath: string): string => `${ledgerPath}.spool`;

/** Enters all that waits, and returns how many events it were. A line cut off by a crash is dropped. */
export async function enterSpooled(ledger: Ledger): Promise<number> {
  const path = spoolPath(ledger.path);
  const folder = dirname(path);
  const prefix = `${path.slice(folder.length + 1)}.`;
  const waiting = async (): Promise<string[]> => (await namesIn(folder)).filter((name) => name.startsWith(prefix));
  if (!(await exists(path)) && (await waiting()).length === 0) return 0;
  return await exclusively(`${path}-lock`, async () => {
    try {
      await rename(path, `${path}.${uniqueName(systemEntropy)}`);
    } catch (error) {
      if (systemCode(error) !== "ENOENT") throw error;
    }
    let entered = 0;
    for (const name of await waiting()) {
      const events = linesOf(await readFile(`${folder}/${name}`, "utf8"));
      entered += await enter(ledger, events);
      await rm(`${folder}/${name}`);
    }
    return entered;
  });
}

async function exists(path: string): Promise<boolean> {
  try {
    await readFile(path);
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}

async function enter(ledger: Ledger, events: readonly LedgerEvent[]): Promise<number> {
  const recent = await ledger.events({ kinds: ["verify"], last: 10_000 });
  const known = new Set(recent.map((event) => event.data["spooled"]));
  const fresh = events.filter((event) => !known.has(event.data["spooled"]));
  try {
    await ledger.recordAll(fresh);
    return fresh.length;
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  return await enterEach(ledger, fresh);
}

/** One event that the ledger does not take must not keep it shut for ever: it is left out, the others are entered. */
async function enterEach(ledger: Ledger, events: readonly LedgerEvent[]): Promise<number> {
  let entered = 0;
  for (const event of events) {
    try {
      await ledger.record(event);
      entered++;
    } catch (error) {
      if (!isRefusal(error)) throw error;
    }
  }
  return entered;
}

const isRefusal = (error: unknown): boolean =>
  error instanceof BitforbitError && (error.code === "input" || error.code === "limit");

function linesOf(text: string): LedgerEvent[] {
  const events: LedgerEvent[] = [];
  for (const line of text.split("\n")) {
    const event = eventIn(line);
    if (event !== undefined) events.push(event);
  }
  return events;
}

/** An event that `spool` wrote; undefined for what a crash left of one. */
function eventIn(line: string): LedgerEvent | undefined {
  if (!line.startsWith("{") || !line.endsWith("}")) return undefined;
  try {
    const value = parseJson(line, "a spooled event");
    if (!isObject(value) || !isObject(value["data"]) || !EVENT_KINDS.includes(value["kind"] as EventKind))
      return undefined;
    return value as unknown as LedgerEvent;
  } catch {
    return undefined;
  }
}
