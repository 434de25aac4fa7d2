import { join } from "node:path";
import { base64 } from "../../bytes.ts";
import { rfc3339 } from "../../clock.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import type { Home } from "../../flow/home.ts";
import { withLedger } from "../../flow/record.ts";
import { publicKeys } from "../../keys/keys.ts";
import { type LogReader, openLogReader } from "../../log/reader.ts";
import type { Options } from "../program.ts";
import { nearestHome } from "../project.ts";
import { counted, grouped, type Terminal } from "../terminal.ts";

/** Recomputes the log from its entries, and the ledger's chain from its rows. */
async function audit(home: Home, reader: LogReader, terminal: Terminal): Promise<ExitCode> {
  const log = await reader.audit();
  const { ok, events, problems } = await withLedger(home, async (ledger) => ledger.audit());
  const both = log.ok && ok;
  terminal.document({ ...log, ok: both, ledger: { ok, events, problems } });
  for (const problem of [...log.problems, ...problems]) terminal.line(`${terminal.bad("✗")} ${problem}`);
  const entries = log.ok ? terminal.good("every hash agrees") : terminal.bad("the log is damaged");
  terminal.line(`log     ${counted(log.size, "entry", "entries")}: ${entries}`);
  const chain = ok ? terminal.good("the chain agrees") : terminal.bad("the ledger was changed");
  terminal.line(`ledger  ${counted(events, "event")}: ${chain}`);
  return both ? 0 : 1;
}

/** `bitforbit log show | prove INDEX | audit | list`. */
export async function log(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const home = await nearestHome(".", options);
  const [action, argument] = args;
  const { checkpoint: key } = await publicKeys(home.root);
  const reader = await openLogReader(join(home.root, "log"), key.pem);
  switch (action) {
    case "show": {
      const { origin, size, root, note } = await reader.checkpoint();
      terminal.document({ origin, size, root: base64(root), checkpoint: note });
      terminal.line(note.trimEnd());
      return 0;
    }
    case "prove": {
      const index = /^\d{1,15}$/.test(argument ?? "") ? Number(argument) : Number.NaN;
      if (Number.isNaN(index)) throw new BitforbitError("usage", `not an index: ${JSON.stringify(argument ?? "")}`);
      const proof = await reader.prove(index);
      const hashes = proof.hashes.map((hash) => base64(hash));
      terminal.document({
        index,
        treeSize: proof.treeSize,
        root: base64(proof.rootHash),
        hashes,
        checkpoint: proof.checkpoint,
      });
      terminal.line(`entry ${index} is in the tree of ${grouped(proof.treeSize)}, root ${base64(proof.rootHash)}`);
      for (const hash of hashes) terminal.line(`  ${hash}`);
      return 0;
    }
    case "audit": {
      return await audit(home, reader, terminal);
    }
    case "list": {
      const events = await withLedger(home, async (ledger) => ledger.events({ kinds: ["attest", "log"], last: 100 }));
      terminal.document({ events: events.map((event) => ({ ...event, at: rfc3339(event.at) })) });
      for (const event of events)
        terminal.line(
          `${rfc3339(event.at)}  ${event.kind.padEnd(7)} ${event.project ?? ""}  ${JSON.stringify(event.data["predicateType"] ?? event.data["index"] ?? "")}`,
        );
      return 0;
    }
    default:
      throw new BitforbitError("usage", `log has no action ${JSON.stringify(action ?? "")}`, {
        hint: "one of: show, prove, audit, list",
      });
  }
}
