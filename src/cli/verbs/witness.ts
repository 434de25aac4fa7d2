import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { systemClock } from "../../clock.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { makeHome } from "../../flow/home.ts";
import { COSIGNATURE } from "../../format/cosignature.ts";
import { type NoteVerifier, type VerifierKey, noteVerifier, verifierKeyText } from "../../format/note.ts";
import { parseSpki } from "../../format/spki.ts";
import { openKeys } from "../../keys/keys.ts";
import { Witness, requireMemory } from "../../log/witness.ts";
import { createWitnessServer } from "../../server/witness-server.ts";
import { parseLogKey, readSmall } from "../log-place.ts";
import { untilAsked, wholeNumber } from "../log-serve.ts";
import type { Options } from "../program.ts";
import { nearestHome, passphrase, text } from "../project.ts";
import { counted, type Terminal } from "../terminal.ts";

const DEFAULT_PORT = 8490;
const DEFAULT_RATE = 50;
const MAX_LOGS_BYTES = 1 << 20;

/** `bitforbit witness key | serve`. */
export async function witness(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [action = ""] = args;
  if (action !== "key" && action !== "serve") {
    throw new BitforbitError("usage", `witness has no action ${JSON.stringify(action)}`, {
      hint: "one of: key, serve",
    });
  }
  const name = text(options, "name");
  if (name === undefined) {
    throw new BitforbitError("usage", "--name is missing: what is the witness called?", {
      hint: "a name that is like an address without https://, such as witness.example/w1; it is part of the key",
    });
  }
  const home = await nearestHome(".", options);
  await makeHome(home);
  const folder = join(home.root, "witness");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // A key of its own: what it signs must never be taken for a log's checkpoint.
  const words = passphrase();
  const { checkpoint: signer } = await openKeys(folder, words === undefined ? {} : { passphrase: words });
  const publicKey = parseSpki(signer.publicKeyPem, "the witness's key").der.subarray(-32);
  const key: VerifierKey = { name, type: COSIGNATURE, publicKey };
  if (action === "key") {
    terminal.document({ name, key: verifierKeyText(key) });
    terminal.line(verifierKeyText(key));
    return 0;
  }
  return await serve({ folder, key, sign: (bytes) => signer.sign(bytes) }, options, terminal);
}

interface Self {
  folder: string;
  key: VerifierKey;
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

async function serve(self: Self, options: Options, terminal: Terminal): Promise<ExitCode> {
  const port = wholeNumber(options, "port", DEFAULT_PORT, 65_535);
  const ratePerSecond = wholeNumber(options, "rate", DEFAULT_RATE, 1_000_000);
  const file = text(options, "logs");
  if (file === undefined)
    throw new BitforbitError("usage", "--logs is missing: which logs are witnessed?", {
      hint: "a file with a log's key a line, as 'bitforbit log key' prints it",
    });
  const logs = logsIn(await readSmall(file, MAX_LOGS_BYTES), file);
  await requireMemory(self.folder, self.key, logs);
  const asked = untilAsked();
  const alarm = (message: string): void => terminal.warn(message);
  const server = await createWitnessServer(new Witness({ ...self, logs, clock: systemClock, alarm }), {
    host: text(options, "host") ?? "127.0.0.1",
    port,
    ratePerSecond,
    report: (error) => terminal.warn(error instanceof Error ? error.message : String(error)),
  });
  const key = verifierKeyText(self.key);
  terminal.document({ url: server.url, name: self.key.name, key, logs: logs.map(({ name }) => name) });
  terminal.line(`${self.key.name} witnesses ${counted(logs.length, "log")}`);
  terminal.line(`  ${key} ${server.url}   (Ctrl-C ends it)`);
  await asked;
  await server.close();
  return 0;
}

/** A verifier key a line; `#` begins a comment. Throws `input`, naming the line. */
function logsIn(content: string, file: string): NoteVerifier[] {
  const logs: NoteVerifier[] = [];
  for (const [at, line] of content.split("\n").entries()) {
    if (/^\s*(?:#.*)?$/.test(line)) continue;
    const { origin = "", pem } = parseLogKey(line, `${file}, line ${at + 1}`);
    logs.push(noteVerifier(origin, pem));
  }
  if (logs.length === 0) throw new BitforbitError("input", `${file} names no log`);
  return logs;
}
