/** Does the ledger still say what was recorded? */
import { type Kysely, sql } from "kysely";
import { byteOrder } from "../order.ts";
import { eventOf, GENESIS, rowHash, subjectsOf } from "./event.ts";
import type { Tables } from "./ledger.ts";
import { GUARDS } from "./migrations.ts";

/** A place in the chain: who remembers it sees whether what came before was changed. */
export interface Head {
  id: number;
  hash: string;
}

export interface AuditReport {
  ok: boolean;
  /** Rows read. */
  events: number;
  head: Head | undefined;
  /** What is wrong, in words, at most 100. */
  problems: string[];
}

const PAGE = 500;
const MAX_PROBLEMS = 100;

export async function auditLedger(db: Kysely<Tables>, known: readonly Head[]): Promise<AuditReport> {
  const problems: string[] = [];
  const say = (problem: string): void => {
    if (problems.length < MAX_PROBLEMS) problems.push(problem);
  };
  await checkFile(db, say);
  const { count, head } = await checkChain(db, new Map(known.map(({ id, hash }) => [id, hash])), say);
  for (const { id } of known) {
    if (id > count) say(`event ${id}, which is remembered elsewhere, is gone: the end was cut off`);
  }
  return { ok: problems.length === 0, events: count, head, problems };
}

/** The database's own structure, and the triggers that keep it append-only. */
async function checkFile(db: Kysely<Tables>, say: (problem: string) => void): Promise<void> {
  const { rows } = await sql<{ quick_check: string }>`pragma quick_check(20)`.execute(db);
  for (const row of rows) if (row.quick_check !== "ok") say(`the file is damaged: ${row.quick_check}`);
  const triggers = await sql<{ name: string }>`select name from sqlite_schema where type = 'trigger'`.execute(db);
  const present = new Set(triggers.rows.map(({ name }) => name));
  for (const guard of GUARDS) if (!present.has(guard)) say(`the trigger ${guard} was removed`);
}

async function checkChain(
  db: Kysely<Tables>,
  known: ReadonlyMap<number, string>,
  say: (problem: string) => void,
): Promise<{ count: number; head: Head | undefined }> {
  let head: Head = { id: 0, hash: GENESIS };
  let count = 0;
  for (;;) {
    const page = db.selectFrom("events").selectAll().where("id", ">", head.id).orderBy("id").limit(PAGE);
    const rows = await page.execute();
    const subjects = await subjectsBetween(db, rows[0]?.id ?? 0, rows.at(-1)?.id ?? -1);
    for (const row of rows) {
      count++;
      if (row.id !== head.id + 1) say(`event ${head.id + 1} is missing: ${row.id} follows ${head.id}`);
      else if (row.previous !== head.hash)
        say(`event ${row.id} does not follow event ${head.id}: one of them was put there later`);
      if (rowHash(row) !== row.hash) say(`event ${row.id} was changed: its hash is of other content`);
      const remembered = known.get(row.id);
      if (remembered !== undefined && remembered !== row.hash)
        say(`event ${row.id} is not the one remembered elsewhere`);
      const expected = subjectsOf(eventOf(row)).sort(byteOrder).join(" ");
      if ((subjects.get(row.id) ?? []).join(" ") !== expected)
        say(`event ${row.id} is listed under other artifacts than its own`);
      head = { id: row.id, hash: row.hash };
    }
    if (rows.length < PAGE) return { count, head: count === 0 ? undefined : head };
  }
}

async function subjectsBetween(db: Kysely<Tables>, first: number, last: number): Promise<Map<number, string[]>> {
  const found = new Map<number, string[]>();
  const query = db.selectFrom("subjects").selectAll().where("event", ">=", first).where("event", "<=", last);
  for (const { artifact, event } of await query.orderBy("artifact").execute()) {
    found.set(event, [...(found.get(event) ?? []), artifact]);
  }
  return found;
}
