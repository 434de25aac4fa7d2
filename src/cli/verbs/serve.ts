import { systemClock } from "../../clock.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { enterSpooled } from "../../ledger/spool.ts";
import { openLedger } from "../../ledger/ledger.ts";
import { createServer } from "../../server/server.ts";
import { evidenceOf } from "../evidence.ts";
import type { Options } from "../program.ts";
import { nearestHome, text } from "../project.ts";
import type { Terminal } from "../terminal.ts";

const DEFAULT_PORT = 8470;

/** `bitforbit serve`: pages, API and metrics, read-only, until Ctrl-C. */
export async function serve(_args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const words = text(options, "port") ?? String(DEFAULT_PORT);
  const port = /^\d{1,5}$/.test(words) ? Number(words) : -1;
  if (port < 0 || port > 65_535) throw new BitforbitError("usage", `not a port: ${JSON.stringify(words)}`);
  const home = await nearestHome(".", options);
  const ledger = await openLedger(home.ledger);
  try {
    await enterSpooled(ledger);
    // Heard from before it is said where we answer: whoever reads that may end us at once.
    const asked = new Promise<void>((resolve) => {
      for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(name, () => resolve());
    });
    const report = (error: unknown): void => terminal.warn(error instanceof Error ? error.message : String(error));
    const server = await createServer(evidenceOf(home, ledger, systemClock, report), {
      host: text(options, "host") ?? "127.0.0.1",
      port,
    });
    terminal.document({ url: server.url, home: home.root });
    terminal.line(`serving ${home.root}`);
    terminal.line(`  ${server.url}   (Ctrl-C ends it)`);
    await asked;
    await server.close();
    return 0;
  } finally {
    await ledger.close();
  }
}
