/** `bitforbit store retention`: what evidence is kept until when, dropping what may go, and an auditor's check that nothing went early. */
import { rfc3339 } from "../clock.ts";
import { BitforbitError, type ExitCode } from "../errors.ts";
import { readStore } from "../flow/evidence.ts";
import type { Home } from "../flow/home.ts";
import type { Retained } from "../flow/retained.ts";
import { artifactKeyIds, keepersOf, prune, retentionOf, retentionPlan } from "../flow/retention.ts";
import { checkRetention } from "../flow/retention-check.ts";
import { witnessesOf } from "../flow/witness-list.ts";
import { parsePublicKey } from "../keys/verifier.ts";
import { parseWitnesses } from "../log/witness-list.ts";
import { namedLog, readSmall } from "./log-place.ts";
import { type Options, texts } from "./program.ts";
import { passphrase, text } from "./project.ts";
import { counted, grouped, type Terminal } from "./terminal.ts";

const MAX_FILE = 1 << 20;
/** Lines for people; the document has all. */
const MOST_LINES = 200;

export async function retention(home: Home, options: Options, terminal: Terminal): Promise<ExitCode> {
  if (options["prune"] === true && options["check"] === true) {
    throw new BitforbitError("usage", "--prune and --check are two things", { hint: "check after it was pruned" });
  }
  if (options["check"] === true) return await check(home, options, terminal);
  for (const name of ["policy", "witnesses", "key", "log", "logKey"]) {
    if (options[name] === undefined) continue;
    throw new BitforbitError("usage", `--${name.replace("K", "-k")} is for --check`, {
      hint: "what is kept and dropped here follows retention.toml and the witnesses of this home",
    });
  }
  return options["prune"] === true ? await dropped(home, terminal) : await shown(home, terminal);
}

async function shown(home: Home, terminal: Terminal): Promise<ExitCode> {
  const { policy, now, items } = await retentionPlan(home);
  const due = items.filter(({ kept }) => kept === undefined);
  terminal.document({
    policy: policyDocument(policy),
    ...(now === undefined ? {} : { now: rfc3339(now) }),
    evidence: items.map(itemDocument),
  });
  for (const item of items.slice(0, MOST_LINES)) {
    const until = item.until === undefined ? "" : ` until ${rfc3339(item.until).slice(0, 10)}`;
    const said = item.kept === undefined ? terminal.bad(`may go since${until.slice(6)}`) : `kept${until}: ${item.kept}`;
    terminal.line(`${item.evidence.digest}  ${grouped(item.evidence.size)} B  ${item.evidence.predicateType}`);
    terminal.line(terminal.dim(`  ${said}`));
  }
  if (items.length > MOST_LINES) terminal.line(`… and ${counted(items.length - MOST_LINES, "more piece")}`);
  const bytes = due.reduce((sum, { evidence }) => sum + evidence.size, 0);
  terminal.line(
    `${counted(due.length, "piece")} of ${items.length} may go, ${grouped(bytes)} bytes; --prune drops them`,
  );
  if (now === undefined) terminal.line("no witness cosigns the log: without trusted time nothing may go");
  return 0;
}

function policyDocument({ years, digest, holds }: { years: number; digest: string; holds: readonly object[] }): object {
  return { digest, years, holds };
}

function itemDocument({ evidence, years, logged, until, kept }: Retained): object {
  return {
    digest: evidence.digest,
    predicateType: evidence.predicateType,
    size: evidence.size,
    subjects: evidence.subjects,
    index: evidence.bundle.entry.logIndex,
    years,
    ...(logged === undefined ? {} : { logged: rfc3339(logged.at) }),
    ...(until === undefined ? {} : { until: rfc3339(until) }),
    ...(kept === undefined ? {} : { kept }),
  };
}

async function dropped(home: Home, terminal: Terminal): Promise<ExitCode> {
  const words = passphrase();
  const done = await prune(home, words === undefined ? {} : { passphrase: words });
  terminal.document({
    policy: policyDocument(done.plan.policy),
    now: rfc3339(done.plan.now ?? 0),
    dropped: done.dropped,
    finished: done.finished,
  });
  for (const { digest, size, predicateType } of done.dropped.slice(0, MOST_LINES)) {
    terminal.line(`dropped ${digest}  ${grouped(size)} B  ${predicateType}`);
  }
  if (done.finished > 0) terminal.line(`${counted(done.finished, "piece")} that a run before had begun to drop`);
  const bytes = done.dropped.reduce((sum, { size }) => sum + size, 0);
  terminal.line(
    `${counted(done.dropped.length, "piece")} dropped, ${grouped(bytes)} bytes; each has its statement in the log`,
  );
  return 0;
}

async function check(home: Home, options: Options, terminal: Terminal): Promise<ExitCode> {
  const store = await readStore(home.store);
  if (store === undefined) throw new BitforbitError("input", `there is no store in ${home.root}`);
  const log = await namedLog(options);
  const file = text(options, "witnesses");
  const named = file === undefined ? await witnessesOf(home) : parseWitnesses(await readSmall(file, MAX_FILE), file);
  const found = await checkRetention({
    log,
    store,
    keyIds: await keyIdsOf(home, options),
    keepers: keepersOf(log.verifier, named),
    policy: await retentionOf(home, text(options, "policy")),
  });
  const times = found.dropped.map(({ logged, until, droppedAfter, ...rest }) => {
    return { ...rest, logged: rfc3339(logged), until: rfc3339(until), droppedAfter: rfc3339(droppedAfter) };
  });
  terminal.document({ ...found, dropped: times });
  for (const { index, signed, reason } of found.problems.slice(0, MOST_LINES)) {
    terminal.line(`${terminal.bad("✗")} entry ${index}, ${signed}: ${reason}`);
  }
  terminal.line(
    `${counted(found.own, "entry", "entries")}: ${found.present} present, ${found.dropped.length} dropped in time, ${found.problems.length} not accounted for`,
  );
  if (found.others > 0)
    terminal.line(`${counted(found.others, "entry", "entries")} by others, whose evidence is not kept here`);
  return found.ok ? 0 : 1;
}

async function keyIdsOf(home: Home, options: Options): Promise<Set<string>> {
  const files = texts(options, "key");
  if (files.length === 0) return await artifactKeyIds(home);
  const ids = new Set<string>();
  for (const file of files) ids.add(parsePublicKey(await readSmall(file), file).keyId);
  return ids;
}
