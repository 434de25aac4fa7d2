/** A PostgreSQL server of the test's own, on a socket in a folder of its own, run by an ordinary user. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, existsSync, globSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

export interface Postgres {
  /** For `--lock`. */
  url: string;
  /** Runs SQL and gives what it printed, unadorned. */
  sql(text: string): string;
  stop(): void;
  start(): void;
}

const NOBODY = 65_534;

/** Makes and starts a server; `skip` says why there is none. */
export function postgres(t: TestContext): Postgres | { skip: string } {
  const bin = globSync("/usr/lib/postgresql/*/bin").sort().at(-1);
  if (bin === undefined || !existsSync(join(bin, "initdb"))) return { skip: "postgresql is not installed" };
  const root = process.geteuid?.() === 0;
  const folder = mkdtempSync(join(tmpdir(), "postgres-"));
  const data = join(folder, "data");
  const sockets = join(folder, "s");
  mkdirSync(sockets);
  chmodSync(folder, 0o755);
  if (root) for (const path of [folder, sockets]) chownSync(path, NOBODY, NOBODY);
  // The server refuses to run as root.
  const leave = root ? ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"] : [];
  const run = (...words: string[]): string => {
    const [program = "", ...args] = [...leave, ...words];
    const ran = spawnSync(program, args, {
      cwd: folder,
      encoding: "utf8",
      timeout: 60_000,
      // A server that goes on in the background must not keep a pipe of ours open.
      stdio: words[0]?.endsWith("pg_ctl") === true ? "ignore" : "pipe",
      env: { PATH: process.env["PATH"], LC_ALL: "C", HOME: folder },
    });
    if (ran.status !== 0) throw new Error(`${words.join(" ")}: ${ran.stderr}`);
    return ran.stdout;
  };
  const control = (...words: string[]): void => {
    run(join(bin, "pg_ctl"), "-D", data, "-w", "-l", join(folder, "server.log"), ...words);
  };
  run(join(bin, "initdb"), "-D", data, "-U", "log", "-A", "trust", "-E", "UTF8", "--no-sync");
  const start = (): void => control("start", "-o", `-c listen_addresses='' -k ${sockets}`);
  const stop = (): void => control("stop", "-m", "immediate");
  start();
  t.after(() => {
    if (existsSync(join(data, "postmaster.pid"))) stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return {
    url: `postgresql://log@localhost/postgres?host=${sockets}`,
    sql: (text) => run(join(bin, "psql"), "-h", sockets, "-U", "log", "-d", "postgres", "-XAtqc", text).trim(),
    stop,
    start,
  };
}
