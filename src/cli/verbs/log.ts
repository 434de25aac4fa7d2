import { base64 } from "../../bytes.ts";
import { rfc3339 } from "../../clock.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { withLedger } from "../../flow/record.ts";
import { ED25519, verifierKeyText } from "../../format/note.ts";
import { parseSpki } from "../../format/spki.ts";
import { checkLog } from "../../log/fsck.ts";
import { mirrorLog } from "../../log/mirror.ts";
import type { LogReader } from "../../log/reader.ts";
import { TILE_WIDTH } from "../../log/tile.ts";
import { namedLog } from "../log-place.ts";
import type { Options } from "../program.ts";
import { nearestHome } from "../project.ts";
import { counted, grouped, type Terminal } from "../terminal.ts";

interface Call {
  args: readonly string[];
  options: Options;
  terminal: Terminal;
}

/** What each action does with its arguments. */
const ACTIONS: Readonly<Record<string, (call: Call) => Promise<ExitCode>>> = {
  show,
  prove,
  audit,
  list,
  key,
  fsck,
  mirror,
  export: exported,
  monitor: async ({ options, terminal }) => await (await import("../log-monitor.ts")).monitor(options, terminal),
  judge: async ({ args, options, terminal }) =>
    await (await import("../log-monitor.ts")).judged(args, options, terminal),
  search: async ({ options, terminal }) => await (await import("../log-search.ts")).search(options, terminal),
  serve: async ({ options, terminal }) => await (await import("../log-serve.ts")).serveLog(options, terminal),
};

/** `bitforbit log ACTION`: see docs/reference/commands.md. */
export async function log(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [action = "", ...rest] = args;
  const run = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (run === undefined) {
    throw new BitforbitError("usage", `log has no action ${JSON.stringify(action)}`, {
      hint: `one of: ${Object.keys(ACTIONS).join(", ")}`,
    });
  }
  return await run({ args: rest, options, terminal });
}

async function show({ options, terminal }: Call): Promise<ExitCode> {
  const { origin, size, root, note } = await (await namedLog(options)).checkpoint();
  terminal.document({ origin, size, root: base64(root), checkpoint: note });
  terminal.line(note.trimEnd());
  return 0;
}

async function prove({ args, options, terminal }: Call): Promise<ExitCode> {
  const index = indexOf(args[0]);
  const proof = await (await namedLog(options)).prove(index);
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

function indexOf(argument: string | undefined): number {
  if (/^\d{1,15}$/.test(argument ?? "")) return Number(argument);
  throw new BitforbitError("usage", `not an index: ${JSON.stringify(argument ?? "")}`);
}

/** Recomputes the log from its entries, and the ledger's chain from its rows. */
async function audit({ options, terminal }: Call): Promise<ExitCode> {
  const home = await nearestHome(".", options);
  const log = await (await namedLog(options)).audit();
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

async function list({ options, terminal }: Call): Promise<ExitCode> {
  const home = await nearestHome(".", options);
  const events = await withLedger(home, async (ledger) => ledger.events({ kinds: ["attest", "log"], last: 100 }));
  terminal.document({ events: events.map((event) => ({ ...event, at: rfc3339(event.at) })) });
  for (const event of events)
    terminal.line(
      `${rfc3339(event.at)}  ${event.kind.padEnd(7)} ${event.project ?? ""}  ${JSON.stringify(event.data["predicateType"] ?? event.data["index"] ?? "")}`,
    );
  return 0;
}

/** The log's key in the one line that witnesses and other tools take. */
async function key({ options, terminal }: Call): Promise<ExitCode> {
  const { identity } = await namedLog(options);
  const publicKey = parseSpki(identity.publicKeyPem, "the log's key").der.subarray(-32);
  const line = verifierKeyText({ name: identity.origin, type: ED25519, publicKey });
  terminal.document({ origin: identity.origin, key: line, keyId: base64(identity.keyHash) });
  terminal.line(line);
  return 0;
}

/** Reads every entry and tile, and says which files a copy must give back. */
async function fsck({ args, options, terminal }: Call): Promise<ExitCode> {
  const reader = await namedLog(options, args[0]);
  const checked = await checkLog(reader.source, reader.verifier);
  const { ok, size, entries, tiles, problems, restore, damaged } = checked;
  terminal.document({ ok, origin: reader.identity.origin, size, entries, tiles, damaged, problems, restore });
  for (const { path, what } of problems) terminal.line(`${terminal.bad("✗")} ${path} ${what}`);
  if (damaged > problems.length) terminal.line(`  … and ${counted(damaged - problems.length, "more file")}`);
  const said = ok ? terminal.good("every hash agrees") : terminal.bad("the log is damaged");
  terminal.line(`${counted(entries, "entry", "entries")} in ${counted(tiles, "file")}: ${said}`);
  if (!ok) terminal.line(`restore from a copy: ${restore.join(" ")}`);
  return ok ? 0 : 1;
}

/** A verified copy of another log: `log mirror URL DIR`. */
async function mirror({ args, options, terminal }: Call): Promise<ExitCode> {
  const [from, to] = args;
  if (from === undefined || to === undefined)
    throw new BitforbitError("usage", "log mirror takes an address and a folder");
  return await copied(await namedLog(options, from), to, terminal);
}

/** What a web server or bucket has to serve, or with `--entries` every entry, a line each. */
async function exported({ args, options, terminal }: Call): Promise<ExitCode> {
  const reader = await namedLog(options);
  if (options["entries"] !== true) {
    if (args[0] === undefined) throw new BitforbitError("usage", "log export takes a folder, or --entries");
    return await copied(reader, args[0], terminal);
  }
  const { tree } = await reader.newest();
  terminal.pieces([`{"version":1,"origin":${JSON.stringify(reader.identity.origin)},"size":${tree.size},"entries":[`]);
  for (let tile = 0; tile * TILE_WIDTH < tree.size; tile++) {
    const { content } = await tree.entries(tile);
    for (const [at, entry] of content.entries()) {
      const index = tile * TILE_WIDTH + at;
      terminal.pieces([`${index === 0 ? "" : ","}${JSON.stringify({ index, entry: base64(entry) })}`]);
      if (options["json"] !== true) terminal.line(`${index}\t${base64(entry)}`);
    }
  }
  terminal.pieces(["]}\n"]);
  return 0;
}

async function copied(reader: LogReader, folder: string, terminal: Terminal): Promise<ExitCode> {
  const done = await mirrorLog(reader.source, reader.verifier, folder);
  terminal.document({ ...done, folder });
  const fresh = done.size - done.before;
  terminal.line(`${folder}: ${counted(done.size, "entry", "entries")}, ${grouped(fresh)} new, every hash checked`);
  terminal.line(`  ${counted(done.written, "file")} written, ${grouped(done.bytes)} bytes`);
  return 0;
}
