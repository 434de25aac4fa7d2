/** The replaying proxy: answers from a recording, and never asks anyone. */
import { createHash } from "node:crypto";
import type { Server } from "node:net";
import { type Digest, digestOf } from "../digest.ts";
import { BitforbitError } from "../errors.ts";
import type { Authority } from "./authority.ts";
import { type Asked, refuse, serveProxy } from "./proxy.ts";
import type { Exchange, Recording } from "./recording.ts";
import { askedForm, sendStored } from "./stored.ts";

/** A request that could not be answered from the recording. */
export interface Unanswered {
  kind: "unrecorded" | "poisoned" | "refused-handshake";
  method: string;
  url: string;
  /** Command line of the process that asked, when it could be found. */
  process?: string;
  message: string;
}

export interface ReplayerOptions {
  authority: Authority;
  cache: string;
  recording: Recording;
  /** Of the Date header: seconds since 1970. */
  epoch: number;
  /** The process behind a connection from this port. */
  identify?(port: number): Promise<string | undefined>;
  onUnanswered?(request: Unanswered): void;
}

export interface Replayer {
  close(): Promise<void>;
  /** Exchanges that were asked for, so far. */
  readonly used: ReadonlySet<Exchange>;
}

/**
 * Not 404, which clients take for "there is no such thing", and not 5xx, which
 * they ask again for: it fails at once, and its reason is printed.
 */
const UNRECORDED = { status: 403, reason: "Not In The Recording" };

/** Answers on `server`, which listens already. */
export function startReplayer(server: Server, options: ReplayerOptions): Replayer {
  const byUrl = Map.groupBy(options.recording.exchanges, ({ url }) => url);
  const used = new Set<Exchange>();
  const date = new Date(options.epoch * 1000).toUTCString();
  const report = async (
    asked: Pick<Asked, "method" | "url" | "port">,
    kind: Unanswered["kind"],
    message: string,
  ): Promise<void> => {
    const process = await options.identify?.(asked.port).catch(() => undefined);
    const { method, url } = asked;
    options.onUnanswered?.({ kind, method, url, message, ...(process === undefined ? {} : { process }) });
  };
  const answer = async (asked: Asked): Promise<void> => {
    const { method, url, request, response } = asked;
    response.sendDate = false;
    response.setHeader("date", date);
    const exchange = chosen(byUrl.get(url) ?? [], method, request.headers.accept, await digestOfBody(asked));
    if (exchange === undefined) {
      const message = `${method} ${url} is not in the recording`;
      await report(asked, "unrecorded", message);
      const remedy =
        "the lock's fetch did not ask for it: 'bitforbit lock' records anew; what the build itself asks for, its fetch must ask for, too";
      return await refuse(response, UNRECORDED.status, `${message}\n${remedy}\n`, UNRECORDED.reason);
    }
    used.add(exchange);
    try {
      await sendStored(exchange, options.cache, response, askedForm(request));
    } catch (error) {
      if (!(error instanceof BitforbitError) || error.code !== "conflict") throw error;
      await report(asked, "poisoned", error.message);
      await refuse(response, UNRECORDED.status, `${error.message}\n${error.hint ?? ""}\n`, "Recorded Body Damaged");
    }
  };
  const proxy = serveProxy(server, {
    authority: options.authority,
    answer,
    onRefusedHandshake: (host, reason, port) => {
      const url = `https://${host}/`;
      void report({ method: "CONNECT", url, port }, "refused-handshake", `a client refused ${host}: ${reason}`);
    },
  });
  return { close: async () => await proxy.close(true), used };
}

/** HEAD is answered from a GET; an Accept that was not seen, by what the others got. */
function chosen(
  candidates: readonly Exchange[],
  method: string,
  accept: string | undefined,
  request: Digest | undefined,
): Exchange | undefined {
  const of = (wanted: string): Exchange[] =>
    candidates.filter((item) => item.method === wanted && item.request === request);
  const own = of(method);
  const all = own.length === 0 && method === "HEAD" ? of("GET") : own;
  return all.find((item) => item.accept === accept) ?? all.find((item) => item.accept === undefined) ?? all[0];
}

async function digestOfBody({ request }: Asked): Promise<Digest | undefined> {
  const { "content-length": length, "transfer-encoding": coding } = request.headers;
  if ((length === undefined || length === "0") && coding === undefined) return undefined;
  const hasher = createHash("sha256");
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    hasher.update(chunk);
    size += chunk.length;
  }
  return size === 0 ? digestOf("") : `sha256:${hasher.digest("hex")}`;
}
