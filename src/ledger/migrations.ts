/**
 * The ledger's schema, as numbered steps. A step that was released never
 * changes; what comes after is a new step. All pending steps are applied in one
 * transaction, with `user_version` as the number of the last one.
 */
import type { DatabaseSync } from "node:sqlite";
import { BitforbitError } from "../errors.ts";

/** "bfb1" in ASCII: marks the file as ours (https://sqlite.org/fileformat.html, section 1.3.13). */
const APPLICATION_ID = 0x62666231;

const MIGRATIONS: readonly { version: number; what: string; statements: readonly string[] }[] = [
  {
    version: 1,
    what: "events, append-only and chained; the artifacts that they speak of",
    statements: [
      `create table events (
        id integer primary key,
        kind text not null,
        at integer not null,
        build text,
        artifact text,
        environment text,
        project text,
        ok integer not null check (ok in (0, 1)),
        milliseconds real,
        data text not null,
        previous text not null,
        hash text not null
      ) strict`,
      `create table subjects (
        artifact text not null,
        event integer not null references events (id),
        primary key (artifact, event)
      ) strict, without rowid`,
      "create index events_by_build on events (build, id) where build is not null",
      "create index events_by_kind on events (kind, at)",
      "create index events_by_environment on events (environment, kind, id) where environment is not null",
      ...["events", "subjects"].flatMap((table) =>
        ["update", "delete"].map(
          (verb) =>
            `create trigger ${table}_refuse_${verb} before ${verb} on ${table}
              begin select raise(abort, 'the ledger is append-only'); end`,
        ),
      ),
    ],
  },
];

export const SCHEMA_VERSION: number = MIGRATIONS.at(-1)?.version ?? 0;

/** Names of the triggers that hold the ledger append-only: whoever drops one is found by the audit. */
export const GUARDS: readonly string[] = [
  "events_refuse_delete",
  "events_refuse_update",
  "subjects_refuse_delete",
  "subjects_refuse_update",
];

/**
 * Brings the database to the present schema; synchronous, so that nothing comes
 * between. Throws `input` for a database that is not ours, before anything is
 * written to it, and for one that a newer bitforbit made.
 */
export function migrate(database: DatabaseSync, path: string): void {
  if (versionOf(database, path) < SCHEMA_VERSION) {
    database.exec("begin immediate");
    try {
      const version = versionOf(database, path); // another process may have been first
      for (const step of MIGRATIONS.filter((one) => one.version > version)) {
        for (const statement of step.statements) database.exec(statement);
      }
      database.exec(`pragma application_id = ${APPLICATION_ID}`);
      database.exec(`pragma user_version = ${SCHEMA_VERSION}`);
      database.exec("commit");
    } catch (error) {
      if (database.isTransaction) database.exec("rollback");
      throw error;
    }
  }
}

function versionOf(database: DatabaseSync, path: string): number {
  const version = pragma(database, "user_version");
  const tables = Number(database.prepare("select count(*) as n from sqlite_schema").get()?.["n"]);
  if (pragma(database, "application_id") !== APPLICATION_ID) {
    if (version === 0 && tables === 0) return 0;
    throw new BitforbitError("input", `${path} is a database of another program, not a ledger`, {
      hint: "nothing was written to it; point BITFORBIT_HOME to another folder",
    });
  }
  if (version > SCHEMA_VERSION) {
    throw new BitforbitError("input", `${path} has schema ${version}; this bitforbit knows up to ${SCHEMA_VERSION}`, {
      hint: "a newer bitforbit made it: use that one, nothing was changed",
    });
  }
  return version;
}

function pragma(database: DatabaseSync, name: string): number {
  return Number(database.prepare(`pragma ${name}`).get()?.[name]);
}
