/** Where a lock in PostgreSQL is: `postgresql://[USER@]HOST[:PORT]/DATABASE`, without a password. */
import { readFile } from "node:fs/promises";
import { BitforbitError, messageOf } from "../errors.ts";

export interface PostgresPlace {
  /** An absolute path is the folder of a socket. */
  host: string;
  port: number;
  database: string;
  user?: string;
  /** Verified always, where there is TLS at all. */
  tls?: { rootCertificates?: string };
  /** Without user: for messages. */
  shown: string;
  /** The one text for this place. */
  text: string;
}

const FORM = "postgresql://USER@HOST:PORT/DATABASE, or postgresql://USER@localhost/DATABASE?host=/FOLDER/OF/THE/SOCKET";

/** Parses the place of a lock. Throws `usage`, and never repeats a password. */
export function parsePostgresPlace(text: string): PostgresPlace {
  const url = /^postgres(?:ql)?:\/\//.test(text) && URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || url.hash !== "") throw unfit("it is no such address");
  const query = url.searchParams;
  if (url.password !== "" || query.has("password")) {
    throw new BitforbitError("usage", "the address of the lock has a password in it, which others can see", {
      hint: "leave it out: it is taken from $PGPASSWORD or the file $PGPASSFILE (default ~/.pgpass)",
    });
  }
  const known = new Set(["host", "port", "sslmode", "sslrootcert"]);
  const names = [...query.keys()];
  const unknown = names.find((name, at) => !known.has(name) || names.indexOf(name) !== at);
  if (unknown !== undefined) throw unfit(`${JSON.stringify(unknown.slice(0, 40))} is not known, or given twice`);
  const host = query.get("host") ?? (decoded(url.hostname).replace(/^\[|\]$/g, "") || "localhost");
  const port = url.port || query.get("port") || "5432";
  const database = decoded(url.pathname.slice(1));
  if (!/^\d{1,5}$/.test(port) || Number(port) > 65_535 || Number(port) === 0) throw unfit(`the port is ${port}`);
  if (database === "" || /[\p{Cc}/]/u.test(database)) throw unfit("it names no database");
  if (/[\p{Cc}]/u.test(host)) throw unfit("its host has control characters");
  const user = decoded(url.username);
  const tls = tlsOf(host, query.get("sslmode") ?? undefined, query.get("sslrootcert") ?? undefined);
  const shown = `PostgreSQL at ${host}:${port}, database ${JSON.stringify(database)}`;
  const place = { host, port: Number(port), database, shown, text: textOf(url, host, port, database) };
  return { ...place, ...(user === "" ? {} : { user }), ...(tls === undefined ? {} : { tls }) };
}

function textOf(url: URL, host: string, port: string, database: string): string {
  const query = new URLSearchParams(host.startsWith("/") ? { host } : {});
  for (const name of ["sslmode", "sslrootcert"]) {
    const value = url.searchParams.get(name);
    if (value !== null) query.set(name, value);
  }
  const user = url.username === "" ? "" : `${url.username}@`;
  const name = host.startsWith("/") ? "localhost" : host.includes(":") ? `[${host}]` : host;
  const more = query.size === 0 ? "" : `?${query.toString()}`;
  return `postgresql://${user}${name}:${port}/${encodeURIComponent(database)}${more}`;
}

/** Over a network TLS with a verified certificate, unless it is said otherwise; a half-way (`require`, `prefer`) there is not. */
function tlsOf(host: string, mode: string | undefined, root: string | undefined): PostgresPlace["tls"] {
  const near = host.startsWith("/") || ["localhost", "127.0.0.1", "::1"].includes(host);
  const chosen = mode ?? (near ? "disable" : "verify-full");
  if (chosen !== "disable" && chosen !== "verify-full") {
    throw unfit(`sslmode is ${JSON.stringify(chosen.slice(0, 40))}, neither "verify-full" nor "disable"`);
  }
  if (chosen === "disable") {
    if (root !== undefined) throw unfit("sslrootcert is given, and sslmode is disable");
    return undefined;
  }
  return root === undefined ? {} : { rootCertificates: root };
}

/** What node:tls is to be given. Throws `input` for a file of certificates that cannot be read. */
export async function tlsOptions({ host, tls }: PostgresPlace): Promise<{ ca?: string; servername?: string } | false> {
  if (tls === undefined) return false;
  if (tls.rootCertificates === undefined) return { servername: host };
  try {
    return { servername: host, ca: await readFile(tls.rootCertificates, "utf8") };
  } catch (error) {
    throw new BitforbitError("input", `cannot read sslrootcert: ${messageOf(error)}`, { cause: error });
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw unfit("it is not percent-encoded as it should be");
  }
}

function unfit(why: string): BitforbitError {
  return new BitforbitError("usage", `not the address of a lock in PostgreSQL: ${why}`, { hint: FORM });
}
