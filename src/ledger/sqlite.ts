/**
 * A kysely dialect over `node:sqlite`. One connection a process and ledger;
 * statements wait their turn. Another process's lock is waited for without
 * blocking the event loop: SQLite itself waits a moment only, then we sleep and
 * try again.
 */
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import {
  CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { systemClock } from "../clock.ts";
import { BitforbitError, systemCode } from "../errors.ts";

/** SQLite's own wait, in milliseconds: short, for it stops the whole process. */
const BUSY_TIMEOUT = 20;
const PATIENCE_MILLISECONDS = 60_000;

const SQLITE_PERM = 3;
const SQLITE_BUSY = 5;
const SQLITE_READONLY = 8;
const SQLITE_IOERR = 10;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** Opens the database file at `path`, making it when there is none. Nothing is read or written yet. */
export function openDatabase(path: string): DatabaseSync {
  try {
    return new DatabaseSync(path, { timeout: BUSY_TIMEOUT, enableForeignKeyConstraints: true });
  } catch (error) {
    throw explained(error, path);
  }
}

export function kyselyOver<T>(database: DatabaseSync, path: string): Kysely<T> {
  const dialect: Dialect = {
    createAdapter: () => new SqliteAdapter(),
    createDriver: () => new NodeSqliteDriver(database, path),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
  return new Kysely<T>({ dialect });
}

class NodeSqliteDriver implements Driver {
  readonly #database: DatabaseSync;
  readonly #connection: NodeSqliteConnection;
  #turn: Promise<void> = Promise.resolve();
  #release: () => void = () => undefined;

  constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.#connection = new NodeSqliteConnection(database, path);
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    this.#release = resolve;
    return this.#connection;
  }

  async releaseConnection(): Promise<void> {
    this.#release();
  }

  /** At once with the right to write: a transaction that reads first and then finds another writer ahead must fail. */
  async beginTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("begin immediate"));
  }

  async commitTransaction(connection: DatabaseConnection): Promise<void> {
    await connection.executeQuery(CompiledQuery.raw("commit"));
  }

  /** SQLite has rolled back by itself after some errors, such as a full disk. */
  async rollbackTransaction(connection: DatabaseConnection): Promise<void> {
    if (this.#database.isTransaction) await connection.executeQuery(CompiledQuery.raw("rollback"));
  }

  async destroy(): Promise<void> {
    if (this.#database.isOpen) this.#database.close();
  }
}

class NodeSqliteConnection implements DatabaseConnection {
  readonly #database: DatabaseSync;
  readonly #path: string;

  constructor(database: DatabaseSync, path: string) {
    this.#database = database;
    this.#path = path;
  }

  async executeQuery<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    return await patiently(this.#path, () => {
      const statement = this.#database.prepare(sql);
      const values = parameters as SQLInputValue[];
      if (statement.columns().length > 0) return { rows: statement.all(...values) as R[] };
      const { changes, lastInsertRowid } = statement.run(...values);
      return { rows: [], numAffectedRows: BigInt(changes), insertId: BigInt(lastInsertRowid) };
    });
  }

  // oxlint-disable-next-line require-yield -- nothing to give
  async *streamQuery(): AsyncGenerator<never> {
    throw new BitforbitError("refused", "the ledger reads page by page, not by streams");
  }
}

/** Does `work` again while another process holds the database; other errors are put into words. */
export async function patiently<T>(path: string, work: () => T): Promise<T> {
  const deadline = systemClock.elapsed() + PATIENCE_MILLISECONDS;
  for (let pause = 1; ; pause = Math.min(pause * 2, 50)) {
    try {
      return work();
    } catch (error) {
      if (sqliteCode(error) !== SQLITE_BUSY || systemClock.elapsed() > deadline) throw explained(error, path);
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

/** The primary result code (https://sqlite.org/rescode.html), or undefined for errors that are not SQLite's. */
function sqliteCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") return undefined;
  return error.errcode & 0xff;
}

/** The error in words that say what to do, for SQLite's errors and the file system's. */
export function explained(error: unknown, path: string): unknown {
  const restore = `move ${path} aside with its -wal and -shm files, and restore it from a copy`;
  const wrap = (code: "input" | "outside" | "conflict", message: string, hint: string): BitforbitError =>
    new BitforbitError(code, message, { cause: error, hint });
  switch (sqliteCode(error)) {
    case SQLITE_BUSY:
      return wrap("conflict", `another process holds ${path}`, "wait for the other bitforbit to end, or end it");
    case SQLITE_CORRUPT:
      return wrap("input", `the ledger ${path} is damaged or cut off`, restore);
    case SQLITE_NOTADB:
      return wrap("input", `${path} is not a ledger: it is no SQLite database`, restore);
    case SQLITE_PERM:
    case SQLITE_READONLY:
      return wrap(
        "outside",
        `no right to write the ledger ${path}`,
        "give yourself the right to write it and its folder",
      );
    case SQLITE_IOERR:
      return wrap(
        "outside",
        `the disk fails under the ledger ${path}`,
        "nothing acknowledged is lost; look at the disk",
      );
    case SQLITE_FULL:
      return wrap("outside", `no space left to record in ${path}`, "free disk space, then run again");
    case SQLITE_CANTOPEN:
      return wrap("outside", `cannot open the ledger ${path}`, "does the folder exist, and may you write there?");
    default:
      break;
  }
  if (["EACCES", "EPERM", "EROFS"].includes(systemCode(error) ?? "")) {
    return wrap("outside", `no right to make the ledger ${path}`, "give yourself the right to write its folder");
  }
  return error;
}
