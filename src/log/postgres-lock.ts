/**
 * The lock of a log in PostgreSQL. Who holds a session's advisory lock is the
 * writer; a row of the log holds the epoch, which grows with each new writer,
 * and the tree that was committed last. A commit is one statement that fits
 * only this epoch, this tree, and a session that has the lock: one whose
 * session ended commits nothing any more, whatever it believes.
 *
 * A process that is stopped, or cut off, keeps its session open: the server
 * ends a session that says nothing for `IDLE`, and the lock goes with it. Who
 * holds the lock therefore says something every `BEAT`.
 */
import { Socket } from "node:net";
import { hostname } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "pg";
import { systemClock } from "../clock.ts";
import { BitforbitError, messageOf } from "../errors.ts";
import { type PostgresPlace, tlsOptions } from "./postgres-place.ts";
import type { Held, LogName, TreeHead, WriterLock } from "./writer-lock.ts";

const IDLE = 10_000;
const BEAT = 1000;
/** For one statement, and for connecting. */
const TIMEOUT = 5000;
/** Half of the advisory lock's key; the other is the log's. One more: who wants the lock for one append. */
const FAMILY = 0x62_66_62;
const WANTED = FAMILY + 1;
const NEEDED_VERSION = 140_000;

const TABLE = `CREATE TABLE IF NOT EXISTS bitforbit_log_writer (
  log bytea PRIMARY KEY,
  origin text NOT NULL,
  epoch bigint NOT NULL,
  size bigint,
  root bytea,
  writer text NOT NULL,
  since timestamptz NOT NULL DEFAULT now()
)`;

const HOLDS = `EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid()
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) AND classid = ${FAMILY} AND objsubid = 2 AND objid = $2)`;

interface Row {
  epoch: string;
  size: string | null;
  root: Buffer | null;
}

export interface PostgresLockOptions {
  /** Keeps the lock once it has it (`keep` is called): it then never waits for it, but says that it stands by. */
  standsBy?: boolean;
  /** How long to wait for the lock where it is not kept; 120,000 when not given. */
  waitMilliseconds?: number;
}

export class PostgresLock implements WriterLock {
  readonly place: string;
  readonly standsBy: boolean;
  readonly #at: PostgresPlace;
  readonly #wait: number;
  #session: Session | undefined;
  #busy = 0;
  /** Somebody wants the lock for one append: what is under way is ended, and nothing is begun. */
  #lending = false;

  constructor(at: PostgresPlace, options: PostgresLockOptions = {}) {
    this.#at = at;
    this.place = at.shown;
    this.standsBy = options.standsBy === true;
    this.#wait = options.waitMilliseconds ?? 120_000;
  }

  async asWriter<T>(log: LogName, work: (held: Held) => Promise<T>): Promise<T> {
    if (this.standsBy) {
      const held = this.#session?.held;
      if (held === undefined || this.#lending) throw standingBy(log, this.place);
      this.#busy++;
      try {
        return await work(held);
      } finally {
        this.#busy--;
      }
    }
    const session = await Session.open(this.#at, log);
    try {
      return await work(await this.#waited(session, log));
    } finally {
      session.close();
    }
  }

  /** Waits for the lock; a server that keeps it is shown that somebody does, and lends it. */
  async #waited(session: Session, log: LogName): Promise<Held> {
    const deadline = systemClock.elapsed() + this.#wait;
    await session.ask("SELECT pg_try_advisory_lock_shared($1, $2)", [WANTED, session.key]);
    for (;;) {
      const held = await session.take();
      if (held !== undefined) return held;
      if (systemClock.elapsed() > deadline) {
        throw new BitforbitError("conflict", `another process writes the log ${log.origin}, by ${this.place}`, {
          hint: "wait for it to end, or end it; 'log serve' lends the lock when it has nothing to write",
        });
      }
      await pause(100);
    }
  }

  /**
   * Has the lock whenever it can be had, until it is closed. `beat` is called
   * once it is there, and again and again while it is; `told` says who writes.
   * The first connection is made before this resolves: throws `outside` when there is none.
   */
  async keep(log: LogName, beat: () => Promise<void>, told: Told): Promise<{ close(): Promise<void> }> {
    this.#session = await Session.open(this.#at, log);
    const abort = new AbortController();
    const kept = (async (): Promise<void> => {
      while (!abort.signal.aborted) {
        const rest = await this.#round(log, beat, told);
        await pause(rest, undefined, { signal: abort.signal }).catch(() => undefined);
      }
    })();
    return {
      close: async () => {
        abort.abort();
        await kept;
        this.#session?.close();
      },
    };
  }

  /** One look at the lock; gives how long to rest until the next one. */
  async #round(log: LogName, beat: () => Promise<void>, told: Told): Promise<number> {
    try {
      if (this.#session?.lost !== false) this.#session = await Session.open(this.#at, log);
      const session = this.#session;
      this.#lending = await session.wanted();
      if (this.#lending) {
        if (this.#busy > 0) return BEAT / 20;
        await session.release();
        if (session.told !== "lent") told("lent");
        session.told = "lent";
        return BEAT / 2;
      }
      if (session.held === undefined) {
        if ((await session.take()) === undefined) {
          if (session.told !== "by") told("by");
          session.told = "by";
          return BEAT / 4;
        }
        session.told = "writes";
        await beat();
        told("writes");
        return BEAT;
      }
      await beat();
    } catch (error) {
      told("lost", error);
    }
    return BEAT;
  }
}

/** `by`: another is the writer; `lent`: to one that has a single thing to write. */
export type Told = (what: "writes" | "by" | "lent" | "lost", error?: unknown) => void;

/** One connection, and whether it has the lock. */
class Session {
  held: Held | undefined;
  lost = false;
  told: "writes" | "by" | "lent" | undefined;
  readonly key: number;
  readonly #log: LogName;
  readonly #place: string;
  readonly #client: Client;
  readonly #socket: Socket;

  private constructor(client: Client, socket: Socket, place: string, log: LogName) {
    this.#client = client;
    this.#socket = socket;
    this.#place = place;
    this.#log = log;
    this.key = Buffer.from(log.keyHash).readUInt32BE(0) & 0x7f_ff_ff_ff;
  }

  static async open(at: PostgresPlace, log: LogName): Promise<Session> {
    const { Client: PostgresClient } = await import("pg");
    const { host, port, database, user } = at;
    const ssl = await tlsOptions(at);
    // Our own, so that a server that answers no more does not keep us: closing politely would wait for it.
    const socket = new Socket();
    const client = new PostgresClient({
      host,
      port,
      database,
      ssl,
      ...(user === undefined ? {} : { user }),
      stream: () => socket,
      connectionTimeoutMillis: TIMEOUT,
      query_timeout: TIMEOUT,
      application_name: "bitforbit log",
    });
    const session = new Session(client, socket, at.shown, log);
    client.on("error", () => session.close());
    client.on("end", () => session.close());
    try {
      await client.connect();
      await session.#prepare();
      return session;
    } catch (error) {
      session.close();
      throw error instanceof BitforbitError ? error : unreachable(at.shown, error);
    }
  }

  async #prepare(): Promise<void> {
    const [{ version = 0 } = {}] = await this.ask<{ version: number }>(
      "SELECT current_setting('server_version_num')::int AS version",
    );
    if (version < NEEDED_VERSION) {
      throw new BitforbitError("lacking", `${this.#place} is older than PostgreSQL 14, which ends idle sessions`);
    }
    await this.ask(`SET idle_session_timeout = ${IDLE}`);
    await this.ask(`SET statement_timeout = ${TIMEOUT}`);
    // A commit that a power cut takes back would let another tree be committed in its place.
    await this.ask("SET synchronous_commit = on");
    const [{ there = null } = {}] = await this.ask<{ there: string | null }>(
      "SELECT to_regclass('bitforbit_log_writer')::text AS there",
    );
    if (there !== null) return;
    // Two that make it at once: one of them is told that it is there.
    await this.#client.query(TABLE).catch(async (error: unknown) => {
      if (!/already exists|duplicate key/.test(messageOf(error))) throw error;
    });
  }

  /** Throws `outside` for anything that went wrong; the session is then over, and the lock with it. */
  async ask<R extends object>(sql: string, values: readonly unknown[] = []): Promise<R[]> {
    try {
      if (this.lost) throw new Error("the session was ended");
      const { rows } = await this.#client.query<R>(sql, [...values]);
      return rows;
    } catch (error) {
      this.close();
      throw unreachable(this.#place, error);
    }
  }

  async wanted(): Promise<boolean> {
    const [row] = await this.ask<{ wanted: boolean }>(
      `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND classid = $1 AND objsubid = 2 AND objid = $2
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS wanted`,
      [WANTED, this.key],
    );
    return row?.wanted === true;
  }

  async release(): Promise<void> {
    if (this.held === undefined) return;
    this.held = undefined;
    await this.ask("SELECT pg_advisory_unlock($1, $2)", [FAMILY, this.key]);
  }

  /** Becomes the writer where nobody else is: a new epoch begins, so that nothing of an older one is committed any more. */
  async take(): Promise<Held | undefined> {
    const [lock] = await this.ask<{ taken: boolean }>("SELECT pg_try_advisory_lock($1, $2) AS taken", [
      FAMILY,
      this.key,
    ]);
    if (lock?.taken !== true) return undefined;
    const [row] = await this.ask<Row>(
      `INSERT INTO bitforbit_log_writer AS w (log, origin, epoch, writer) VALUES ($1, $2, 1, $3)
       ON CONFLICT (log) DO UPDATE SET epoch = w.epoch + 1, writer = excluded.writer, since = now()
       RETURNING epoch, size, root`,
      [this.#log.keyHash, this.#log.origin, `${hostname()} ${process.pid}`],
    );
    if (row === undefined) throw unreachable(this.#place, new Error("it gave no row"));
    this.held = this.#holding(row);
    return this.held;
  }

  #holding({ epoch, size, root }: Row): Held {
    const committed = size === null || root === null ? undefined : { size: Number(size), root: new Uint8Array(root) };
    const held: Held = {
      epoch,
      committed,
      commit: async (next: TreeHead) => {
        await this.#require(
          held,
          `UPDATE bitforbit_log_writer SET size = $4, root = $5 WHERE log = $1 AND epoch = $3
             AND size IS NOT DISTINCT FROM $6 AND root IS NOT DISTINCT FROM $7 AND ${HOLDS} RETURNING 1`,
          [next.size, next.root, held.committed?.size ?? null, held.committed?.root ?? null],
        );
        held.committed = next;
      },
      confirm: async () => {
        await this.#require(held, `SELECT 1 FROM bitforbit_log_writer WHERE log = $1 AND epoch = $3 AND ${HOLDS}`, []);
      },
    };
    return held;
  }

  async #require(held: Held, sql: string, values: readonly unknown[]): Promise<void> {
    if (this.held !== held) throw standingBy(this.#log, this.#place);
    const rows = await this.ask(sql, [this.#log.keyHash, this.key, held.epoch, ...values]);
    if (rows.length === 1) return;
    this.close();
    throw new BitforbitError("outside", `${this.#place} says that another process became the writer of the log`, {
      hint: "the entries were not added: add them again, where the log is written now",
    });
  }

  close(): void {
    if (this.lost) return;
    this.lost = true;
    this.held = undefined;
    // A polite end first: the server ends the session at once. It is not waited for.
    void this.#client.end().catch(() => undefined);
    setTimeout(() => this.#socket.destroy(), 500).unref();
    this.#socket.unref();
  }
}

function standingBy({ origin }: LogName, place: string): BitforbitError {
  return new BitforbitError(
    "outside",
    `another process writes the log ${origin}, by ${place}, and this one stands by`,
    {
      hint: "add the entry there, or again later",
    },
  );
}

/** What PostgreSQL or the network said; a password stands in neither, and its value is taken out all the same. */
function unreachable(place: string, error: unknown): BitforbitError {
  if (error instanceof BitforbitError) return error;
  const causes = error instanceof AggregateError ? error.errors : [error];
  const secret = process.env["PGPASSWORD"] ?? "";
  const said = causes.map(messageOf).join("; ");
  const reason = secret.length > 3 ? said.replaceAll(secret, "…") : said;
  return new BitforbitError("outside", `the lock of the log cannot be had from ${place}: ${reason}`, {
    hint: "start the server, or mend address, user and $PGPASSWORD; nothing is written to the log without its lock",
  });
}
