/** `bitforbit log serve`: this home's log, for others to write to. */
import { BitforbitError, type ExitCode, messageOf } from "../errors.ts";
import { keysOf } from "../flow/keys.ts";
import { logOptions } from "../flow/witnesses.ts";
import { PostgresLock, type Told } from "../log/postgres-lock.ts";
import { parsePostgresPlace } from "../log/postgres-place.ts";
import { openLog } from "../log/writer.ts";
import { lockPlaceOf, nameLock } from "../log/writer-lock.ts";
import { createLogServer } from "../server/log-server.ts";
import type { Options } from "./program.ts";
import { nearestHome, passphrase, text } from "./project.ts";
import type { Terminal } from "./terminal.ts";

const DEFAULT_PORT = 8480;
const DEFAULT_RATE = 200;
const MAX_UNDER_WAY = 8192;

export async function serveLog(options: Options, terminal: Terminal): Promise<ExitCode> {
  const port = wholeNumber(options, "port", DEFAULT_PORT, 65_535);
  const ratePerSecond = wholeNumber(options, "rate", DEFAULT_RATE, 1_000_000);
  const origin = text(options, "origin");
  if (origin !== undefined && !/^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/.test(origin)) {
    throw new BitforbitError("usage", `not a name for a log: ${JSON.stringify(origin)}`, {
      hint: "the host name by which it will be reached, in lower case, without port or path",
    });
  }
  const home = await nearestHome(".", options);
  const keys = await keysOf(home, passphrase());
  const lock = await keptLock(home.log, text(options, "lock"));
  const log = await openLog(home.log, keys.checkpoint, {
    ...(await logOptions(home)),
    ...(lock === undefined ? {} : { lock }),
    ...(origin === undefined ? {} : { origin }),
  });
  const asked = untilAsked();
  const server = await createLogServer(log, {
    host: text(options, "host") ?? "127.0.0.1",
    port,
    ratePerSecond,
    maxUnderWay: MAX_UNDER_WAY,
    report: (error) => terminal.warn(error instanceof Error ? error.message : String(error)),
  });
  const kept = await lock
    ?.keep(log.identity, () => log.refresh(), tellOf(lock, terminal))
    .catch(async (error: unknown) => await server.close().then(() => Promise.reject(error)));
  const named = lock === undefined ? {} : { lock: lock.place };
  terminal.document({ url: server.url, origin: log.identity.origin, home: home.root, ...named });
  terminal.line(`the log ${log.identity.origin} takes entries`);
  terminal.line(`  ${server.url}/api/v2/log/entries   (Ctrl-C ends it)`);
  await asked;
  await server.close();
  await kept?.close();
  return 0;
}

/** The lock in PostgreSQL that is asked for, or that is named beside the log. */
async function keptLock(folder: string, asked: string | undefined): Promise<PostgresLock | undefined> {
  if (asked !== undefined) await nameLock(folder, parsePostgresPlace(asked).text);
  const place = await lockPlaceOf(folder);
  return place === undefined ? undefined : new PostgresLock(parsePostgresPlace(place), { standsBy: true });
}

function tellOf({ place }: PostgresLock, terminal: Terminal): Told {
  let last = "";
  return (what, error) => {
    if (what === "lost") {
      const reason = messageOf(error);
      if (reason !== last) terminal.warn(`entries are refused: ${reason}`);
      last = reason;
      return;
    }
    last = "";
    if (what === "writes") terminal.say(`this process writes the log, by ${place}`);
    if (what === "by") terminal.say(`another process writes the log, by ${place}: this one stands by`);
    if (what === "lent") terminal.say("the lock is lent to a process that has something to add");
  };
}

/** Resolves when the process is asked to end. To be called before it is said where we answer. */
export async function untilAsked(): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => resolve());
  });
}

export function wholeNumber(options: Options, name: string, otherwise: number, most: number): number {
  const words = text(options, name) ?? String(otherwise);
  const value = /^\d{1,9}$/.test(words) ? Number(words) : -1;
  if (value < 0 || value > most) {
    throw new BitforbitError("usage", `--${name} is ${JSON.stringify(words)}, not a whole number up to ${most}`);
  }
  return value;
}
