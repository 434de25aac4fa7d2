/**
 * The ledger: every step of every build is an event, and events are only ever
 * added. Each row carries a hash over itself and the row before, so that a
 * change, a removal or an insertion breaks the chain; whoever remembers the
 * head (id and hash) also sees when the end was cut off.
 *
 * SQLite in WAL mode, synchronous=FULL: an event that `record` has acknowledged
 * survives the death of the process and of the machine.
 *
 * kysely and SQLite load when a ledger is opened, not with this file.
 */
import type { Kysely, SelectQueryBuilder } from "kysely";
import { link, mkdir, open, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Digest } from "../digest.ts";
import { syncFolder } from "../durable.ts";
import { systemEntropy, uniqueName } from "../entropy.ts";
import { BitforbitError, systemCode } from "../errors.ts";
import type { AuditReport, Head } from "./audit.ts";
import {
  type EventKind,
  eventOf,
  type EventRow,
  type LedgerEvent,
  type RecordedEvent,
  rowOf,
  subjectsOf,
} from "./event.ts";
import type { ArtifactStory, BuildStory, BuildSummary, Promotion } from "./story.ts";

export interface Tables {
  events: EventRow;
  subjects: { artifact: string; event: number };
}

export interface EventFilter {
  kinds?: readonly EventKind[];
  build?: string;
  /** Events that speak of this artifact: as their own, among their outputs or their subjects. */
  artifact?: Digest;
  environment?: string;
  project?: string;
  ok?: boolean;
  /** Milliseconds since 1970, inclusive. */
  from?: number;
  /** Milliseconds since 1970, exclusive. */
  to?: number;
  /** Events recorded after the one with this id. */
  after?: number;
  /** The latest so many (then still in the order of recording). */
  last?: number;
  /** The first so many. */
  limit?: number;
}

export interface Ledger {
  readonly path: string;
  /** Adds an event and returns its id, once it is on disk. Throws `input`, `limit`, or `outside` when the disk is full. */
  record(event: LedgerEvent): Promise<number>;
  /** Adds all or none. */
  recordAll(events: readonly LedgerEvent[]): Promise<number[]>;
  /** Events in the order of recording. */
  events(filter?: EventFilter): Promise<RecordedEvent[]>;
  /** The same one by one, in memory that does not grow with the ledger. */
  each(filter?: EventFilter): AsyncGenerator<RecordedEvent>;
  /** The latest builds first; 50 unless `limit` says otherwise. */
  builds(options?: { limit?: number; project?: string }): Promise<BuildSummary[]>;
  /** A build's whole story, or undefined when no event names it. */
  build(id: string): Promise<BuildStory | undefined>;
  /** What is known of the artifact with these bytes, or undefined. */
  artifact(digest: Digest): Promise<ArtifactStory | undefined>;
  /** Promotions, granted and denied, the latest first. */
  promotions(environment?: string): Promise<Promotion[]>;
  /** What was promoted last into an environment: one for each artifact name of the project, the latest first. */
  currentIn(environment: string, project?: string): Promise<Promotion[]>;
  /** The last event, to be remembered elsewhere. */
  head(): Promise<Head | undefined>;
  /** Checks every row against the chain, and the chain against heads that the caller remembers. */
  audit(known?: readonly Head[]): Promise<AuditReport>;
  close(): Promise<void>;
}

const PAGE = 500;

/** One page of the smallest size: https://sqlite.org/fileformat.html, section 1.3.2. */
const SMALLEST_DATABASE = 512;

/**
 * Opens the ledger at `path`, making it when there is none. Throws `input` for
 * a file that is no ledger, is damaged, or was made by a newer bitforbit.
 */
export async function openLedger(path: string): Promise<Ledger> {
  const [{ explained, kyselyOver, openDatabase, patiently }, { migrate }] = await Promise.all([
    import("./sqlite.ts"),
    import("./migrations.ts"),
  ]);
  await ensureLedger(path).catch((error: unknown) => {
    throw explained(error, path);
  });
  const database = openDatabase(path);
  try {
    await patiently(path, () => migrate(database, path));
    await patiently(path, () => database.exec("pragma journal_mode = wal"));
    database.exec("pragma synchronous = full");
  } catch (error) {
    database.close();
    throw error;
  }
  return new KyselyLedger(path, kyselyOver<Tables>(database, path));
}

/**
 * Makes a ledger beside its place and links it there when it is whole: a file
 * at `path` that is too short for a database has been cut off, and must not be
 * taken for a new one, as SQLite would.
 */
async function ensureLedger(path: string): Promise<void> {
  const size = await sizeOf(path);
  if (size === undefined) {
    const [{ openDatabase }, { migrate }] = await Promise.all([import("./sqlite.ts"), import("./migrations.ts")]);
    await mkdir(dirname(path), { recursive: true });
    const temporary = join(dirname(path), `.tmp-${uniqueName(systemEntropy)}`);
    try {
      const database = openDatabase(temporary);
      migrate(database, temporary);
      database.close();
      await link(temporary, path).catch((error: unknown) => {
        if (systemCode(error) !== "EEXIST") throw error; // another process was first
      });
      await syncFolder(dirname(path));
    } finally {
      await rm(temporary, { force: true });
    }
  } else if (size < SMALLEST_DATABASE || (await isTorn(path, size))) {
    throw new BitforbitError("input", `the ledger ${path} is damaged or cut off: ${size} bytes are left`, {
      hint: `restore ${path} from a copy`,
    });
  }
}

/**
 * A part of a page at the end, and no write-ahead log that has the whole of it:
 * SQLite would read the missing part as zeros. The page size is at offset 16 of
 * the file, big-endian, 1 standing for 65536.
 */
async function isTorn(path: string, size: number): Promise<boolean> {
  if (size === Infinity || ((await sizeOf(`${path}-wal`)) ?? 0) > 0) return false;
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(18), 0, 18, 0);
    if (buffer.toString("latin1", 0, 16) !== "SQLite format 3\0") return false; // SQLite says what is wrong with it
    const pageSize = buffer.readUInt16BE(16);
    return size % (pageSize <= 1 ? 65_536 : pageSize) !== 0;
  } finally {
    await file.close();
  }
}

async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const stats = await stat(path);
    return stats.isFile() ? stats.size : Infinity; // SQLite says what is wrong with it
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

class KyselyLedger implements Ledger {
  readonly path: string;
  readonly #db: Kysely<Tables>;

  constructor(path: string, db: Kysely<Tables>) {
    this.path = path;
    this.#db = db;
  }

  async record(event: LedgerEvent): Promise<number> {
    const [id] = await this.recordAll([event]);
    return id ?? 0;
  }

  async recordAll(events: readonly LedgerEvent[]): Promise<number[]> {
    if (events.length === 0) return [];
    return await this.#db.transaction().execute(async (transaction) => {
      let last = await lastOf(transaction);
      const ids: number[] = [];
      for (const event of events) {
        const row = rowOf(event, last);
        await transaction.insertInto("events").values(row).execute();
        const subjects = subjectsOf(event).map((artifact) => ({ artifact, event: row.id }));
        for (let at = 0; at < subjects.length; at += PAGE) {
          const some = subjects.slice(at, at + PAGE);
          await transaction.insertInto("subjects").values(some).execute();
        }
        ids.push(row.id);
        last = row;
      }
      return ids;
    });
  }

  async events(filter: EventFilter = {}): Promise<RecordedEvent[]> {
    if (filter.last !== undefined) {
      const rows = await this.#query(filter).orderBy("id", "desc").limit(filter.last).execute();
      return rows.reverse().map(eventOf);
    }
    return await Array.fromAsync(this.each(filter));
  }

  async *each(filter: EventFilter = {}): AsyncGenerator<RecordedEvent> {
    let after = filter.after ?? 0;
    for (let left = filter.limit ?? Infinity; left > 0;) {
      const size = Math.min(PAGE, left);
      const rows = await this.#query({ ...filter, after })
        .orderBy("id")
        .limit(size)
        .execute();
      for (const row of rows) yield eventOf(row);
      if (rows.length < size) return;
      left -= rows.length;
      after = rows.at(-1)?.id ?? after;
    }
  }

  #query(filter: EventFilter): SelectQueryBuilder<Tables, "events", EventRow> {
    let query = this.#db.selectFrom("events").selectAll("events");
    if (filter.after !== undefined) query = query.where("id", ">", filter.after);
    if (filter.kinds !== undefined) query = query.where("kind", "in", filter.kinds);
    if (filter.build !== undefined) query = query.where("build", "=", filter.build);
    if (filter.environment !== undefined) query = query.where("environment", "=", filter.environment);
    if (filter.project !== undefined) query = query.where("project", "=", filter.project);
    if (filter.ok !== undefined) query = query.where("ok", "=", filter.ok ? 1 : 0);
    if (filter.from !== undefined) query = query.where("at", ">=", filter.from);
    if (filter.to !== undefined) query = query.where("at", "<", filter.to);
    const { artifact } = filter;
    if (artifact === undefined) return query;
    return query.where("id", "in", (nested) =>
      nested.selectFrom("subjects").select("subjects.event").where("subjects.artifact", "=", artifact),
    );
  }

  async builds(options: { limit?: number; project?: string } = {}): Promise<BuildSummary[]> {
    const { summaryOf } = await import("./story.ts");
    let query = this.#db
      .selectFrom("events")
      .select((row) => ["build", row.fn.min("id").as("first")])
      .where("build", "is not", null)
      .groupBy("build")
      .orderBy("first", "desc")
      .limit(options.limit ?? 50);
    if (options.project !== undefined) query = query.where("project", "=", options.project);
    const summaries: BuildSummary[] = [];
    for (const { build } of await query.execute()) {
      if (build !== null) summaries.push(summaryOf(build, await this.events({ build })));
    }
    return summaries;
  }

  async build(id: string): Promise<BuildStory | undefined> {
    const { buildStory } = await import("./story.ts");
    return await buildStory(this, id);
  }

  async artifact(digest: Digest): Promise<ArtifactStory | undefined> {
    const { artifactStory } = await import("./story.ts");
    return await artifactStory(this, digest);
  }

  async promotions(environment?: string): Promise<Promotion[]> {
    const { promotionOf } = await import("./story.ts");
    const filter = environment === undefined ? {} : { environment };
    return (await this.events({ ...filter, kinds: ["promote"] })).reverse().map(promotionOf);
  }

  async currentIn(environment: string, project?: string): Promise<Promotion[]> {
    const { currentOf, promotionOf } = await import("./story.ts");
    const filter = project === undefined ? {} : { project };
    const granted = await this.events({ ...filter, environment, kinds: ["promote"], ok: true });
    return currentOf(granted.reverse().map(promotionOf));
  }

  async head(): Promise<Head | undefined> {
    return await lastOf(this.#db);
  }

  async audit(known: readonly Head[] = []): Promise<AuditReport> {
    const { auditLedger } = await import("./audit.ts");
    return await auditLedger(this.#db, known);
  }

  async close(): Promise<void> {
    await this.#db.destroy();
  }
}

async function lastOf(db: Kysely<Tables>): Promise<Head | undefined> {
  const row = await db.selectFrom("events").select(["id", "hash"]).orderBy("id", "desc").limit(1).executeTakeFirst();
  return row === undefined ? undefined : { id: row.id, hash: row.hash };
}
