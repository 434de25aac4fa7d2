/** `bitforbit log monitor` and `log judge`: watching logs, and what is shown when one of them lies. */
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { BitforbitError, type ExitCode, messageOf } from "../errors.ts";
import type { Home } from "../flow/home.ts";
import { withLedger } from "../flow/record.ts";
import { noteVerifier } from "../format/note.ts";
import { publicKeys } from "../keys/keys.ts";
import { noteText, parseCheckpoint } from "../log/checkpoint.ts";
import { type Evidence, judge, parseEvidence } from "../log/contradiction.ts";
import { type Alert, type Seen, type Watch, lookAt, parseWatch } from "../log/monitor.ts";
import { type LogReader, readLog } from "../log/reader.ts";
import { namedKey, namedLog, parseLogKey, readSmall, tilesAt } from "./log-place.ts";
import { wholeNumber } from "./log-serve.ts";
import type { Options } from "./program.ts";
import { nearestHome, text } from "./project.ts";
import { counted, grouped, type Terminal } from "./terminal.ts";

const MAX_LIST_BYTES = 16 << 20;
const MAX_ALERTS = 10_000;

/** Looks at every log once, or every so many seconds until it is asked to end. */
export async function monitor(options: Options, terminal: Terminal): Promise<ExitCode> {
  const home = await nearestHome(".", options);
  const seconds = wholeNumber(options, "follow", 0, 86_400);
  const folder = text(options, "state") ?? join(home.root, "monitor");
  const abort = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => abort.abort());
  const watch = await watched(home, options);
  const alerts: Alert[] = [];
  const tell = (alert: Alert): void => {
    if (alerts.length < MAX_ALERTS) alerts.push(alert);
    terminal.line(JSON.stringify(alert));
  };
  let seen: Seen[] = [];
  for (;;) {
    seen = [];
    for (const open of await logsOf(options)) {
      try {
        seen.push(await lookAt(await open(), watch, folder, tell));
      } catch (error) {
        // One that cannot be reached must not keep the others from being watched.
        if (seconds === 0 || !(error instanceof BitforbitError) || error.code !== "outside") throw error;
        terminal.warn(messageOf(error), error.hint);
      }
    }
    if (seconds === 0 || abort.signal.aborted) break;
    await pause(seconds * 1000, undefined, { signal: abort.signal }).catch(() => undefined);
    if (abort.signal.aborted) break;
  }
  terminal.document({ logs: seen, alerts });
  for (const { origin, from, size } of seen) {
    terminal.say(`${origin}: ${grouped(size - from)} new of ${counted(size, "entry", "entries")}`);
  }
  return alerts.length === 0 ? 0 : 1;
}

/** The logs that `--logs` lists, a verifier key and a place a line; without it, the one that other verbs speak of. */
async function logsOf(options: Options): Promise<(() => Promise<LogReader>)[]> {
  const file = text(options, "logs");
  if (file === undefined) return [async () => await namedLog(options)];
  const content = await readSmall(file, MAX_LIST_BYTES);
  const logs: (() => Promise<LogReader>)[] = [];
  for (const [at, line] of content.split("\n").entries()) {
    const [key = "", place, more] = line
      .replace(/(?:^|\s)#.*$/, "")
      .trim()
      .split(/\s+/);
    if (key === "") continue;
    const where = `${file}, line ${at + 1}`;
    if (place === undefined || more !== undefined)
      throw new BitforbitError("input", `${where}: not a log's key and its place`);
    const { pem, origin } = parseLogKey(key, where);
    logs.push(async () => await readLog(tilesAt(place), pem, origin));
  }
  if (logs.length === 0) throw new BitforbitError("input", `${file} names no log`);
  return logs;
}

/** What is watched: a file's, or this home's own key; what the ledger knows of the home's own log is expected. */
async function watched(home: Home, options: Options): Promise<Watch> {
  const file = text(options, "watch");
  if (file !== undefined) return parseWatch(await readSmall(file, MAX_LIST_BYTES), file);
  const { artifact } = await publicKeys(home.root);
  const made = new Set<string>();
  await withLedger(home, async (ledger) => {
    for await (const { data } of ledger.each({ kinds: ["log"] })) {
      const { origin, index, last } = data;
      for (let at = Number(index); at <= Number(last); at++) made.add(`${String(origin)} ${at}`);
    }
  });
  const none = new Set<string>();
  return {
    keys: new Set([artifact.keyId]),
    names: none,
    digests: none,
    known: none,
    made: (origin, index) => made.has(`${origin} ${index}`),
  };
}

/** Whether two checkpoints, or a contradiction that a mirror or monitor kept, show that a log lied. */
export async function judged(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [one, two] = args;
  if (one === undefined) throw new BitforbitError("usage", "log judge takes a contradiction, or two checkpoints");
  const evidence: Evidence =
    two === undefined
      ? parseEvidence(await readSmall(one, 1 << 20), one)
      : { first: await readSmall(one, 1 << 16), second: await readSmall(two, 1 << 16) };
  const key = await namedKey(options);
  const pem = key?.pem ?? (await publicKeys((await nearestHome(".", options)).root)).checkpoint.pem;
  const origin = key?.origin ?? parseCheckpoint(noteText(evidence.first)).origin;
  const judgement = judge(evidence, noteVerifier(origin, pem));
  const { verdict, first, second } = judgement;
  terminal.document({ ...judgement });
  const sizes = `${origin}: trees of ${grouped(first)} and ${counted(second, "entry", "entries")}`;
  if (verdict === "contradiction")
    terminal.line(`${sizes} ${terminal.bad("contradict each other, and both are signed")}`);
  else if (verdict === "consistent") terminal.line(`${sizes} ${terminal.good("are of one log")}`);
  else {
    throw new BitforbitError(
      "input",
      `two checkpoints of ${grouped(first)} and ${counted(second, "entry", "entries")} say nothing of each other by themselves`,
      {
        hint: "'bitforbit log mirror' and 'log monitor' keep the proof beside them when they contradict each other",
      },
    );
  }
  return verdict === "contradiction" ? 1 : 0;
}
