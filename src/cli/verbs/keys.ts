import { join, resolve } from "node:path";
import { trustedRoot, withLog } from "../../attest/trusted-root.ts";
import { utf8 } from "../../bytes.ts";
import { systemClock } from "../../clock.ts";
import { writeDurable } from "../../durable.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { addKey, type KeyHolder, refreshRing, retireKey, revokeKey } from "../../flow/key-lifecycle.ts";
import { keysOf } from "../../flow/keys.ts";
import type { Home } from "../../flow/home.ts";
import { resign } from "../../flow/resign.ts";
import { readText } from "../../flow/trust.ts";
import { homeRingFile, readHomeRing, trustRing } from "../../keys/home-ring.ts";
import { type KeyRing, rotationCompliance, type RingKey, type Role } from "../../keys/key-ring.ts";
import { exportPublic, publicKeys } from "../../keys/keys.ts";
import { FILE_SCHEME, placeOf, readPlaces } from "../../keys/places.ts";
import { openLogReader } from "../../log/reader.ts";
import type { Options } from "../program.ts";
import { nearestHome, passphrase, text } from "../project.ts";
import { stdout } from "../streams.ts";
import type { Terminal } from "../terminal.ts";

type Action = (context: Context) => Promise<ExitCode>;

interface Context {
  home: Home;
  /** What follows the action: a key id or a file. */
  named: string | undefined;
  /** All that follows it. */
  files: readonly string[];
  options: Options;
  terminal: Terminal;
}

const ACTIONS: Readonly<Record<string, Action>> = {
  list: async ({ home, terminal }) => await list(home, terminal),
  create,
  rotate,
  retire: async (context) => {
    await retireKey(holder(context), needed(context, "retire takes the id of a key"));
    return await list(context.home, context.terminal);
  },
  revoke,
  refresh: async (context) => {
    await refreshRing(holder(context), days(context.options));
    return await list(context.home, context.terminal);
  },
  resign: signAnew,
  trust,
  propose: async (context) => {
    const { proposeChange } = await import("../key-drafts.ts");
    const { options } = context;
    const [key, lifetime] = [text(options, "revoke"), days(options)];
    const { role, ...where } = newKey(options);
    if (options["rotate"] === true && role !== "artifact") {
      throw new BitforbitError("usage", `propose --rotate makes an artifact key, not one for ${role}`, {
        hint: "root keys come in with --add-root; the log's key is its name",
      });
    }
    return await proposeChange(
      { ...context, holder: holder(context) },
      {
        ...(lifetime === undefined ? {} : { days: lifetime }),
        ...(key === undefined ? {} : { revoke: { key, ...revocation(options) } }),
        ...(options["rotate"] === true ? { rotate: where } : {}),
      },
    );
  },
  sign: async (context) => await (await import("../key-drafts.ts")).signChange({ ...context, holder: holder(context) }),
  collect: async (context) =>
    await (await import("../key-drafts.ts")).collectChange({ ...context, holder: holder(context) }),
  export: exportKeys,
  "trusted-root": async ({ home, options, terminal }) => {
    const { checkpoint } = await publicKeys(home.root);
    const reader = await openLogReader(join(home.root, "log"), checkpoint.pem);
    const file = text(options, "trustedRoot");
    const root =
      file === undefined
        ? `${trustedRoot([reader.identity])}\n`
        : withLog(utf8(await readText(file, 4 << 20)), file, reader.identity);
    return await give(root, options, terminal);
  },
};

/** `bitforbit keys list | create | rotate | retire | …`. Private keys are never shown. */
export async function keys(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const home = await nearestHome(".", options);
  const [name = "", ...files] = args;
  const [named] = files;
  const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
  if (action !== undefined) return await action({ home, named, files, options, terminal });
  throw new BitforbitError("usage", `keys has no action ${JSON.stringify(name)}`, {
    hint: `one of: ${Object.keys(ACTIONS).join(", ")}`,
  });
}

function holder({ home }: Context): KeyHolder {
  const secret = passphrase();
  return { home, ...(secret === undefined ? {} : { passphrase: secret }) };
}

/** `create`: the usual keys, when there are none; with --kms or --algorithm one more key for a role. */
async function create(context: Context): Promise<ExitCode> {
  const { home, options, terminal } = context;
  const [place, algorithm] = [text(options, "kms"), chosenAlgorithm(options)];
  await keysOf(home, passphrase());
  if (place === undefined && algorithm === undefined) return await list(home, terminal);
  // A key elsewhere takes the place of the file; another algorithm stands beside it.
  await addKey(holder(context), newKey(options), place !== undefined && algorithm === undefined);
  return await list(home, terminal);
}

async function rotate(context: Context): Promise<ExitCode> {
  const { home, options, terminal } = context;
  const { made, retired } = await addKey(holder(context), newKey(options), true);
  const code = await list(home, terminal);
  for (const { keyId } of retired) terminal.line(`${keyId} is retired: ${made.keyId} signs from now on`);
  return code;
}

function newKey(options: Options): Parameters<typeof addKey>[1] {
  const [place, algorithm] = [text(options, "kms"), chosenAlgorithm(options)];
  return {
    role: chosenRole(options),
    ...(place === undefined ? {} : { place }),
    ...(algorithm === undefined ? {} : { algorithm }),
  };
}

async function revoke(context: Context): Promise<ExitCode> {
  const { options, home, terminal } = context;
  const named = needed(context, "revoke takes the id of a key");
  const logSize = wholeNumber(options, "logSize", "--log-size");
  await revokeKey(holder(context), named, { ...revocation(options), ...(logSize === undefined ? {} : { logSize }) });
  return await list(home, terminal);
}

function revocation(options: Options): { since: number; reason: string } {
  const [since, reason] = [text(options, "since"), text(options, "reason")];
  if (since !== undefined && reason !== undefined) return { since: instant(since), reason };
  throw new BitforbitError(
    "usage",
    "revoke needs --since, from when the key may have been in other hands, and --reason",
  );
}

/** `resign`: what keys that were ended provably signed is signed by the present one; exit 1 when something cannot be saved. */
async function signAnew(context: Context): Promise<ExitCode> {
  const { named, terminal } = context;
  const result = await resign(holder(context), {
    ...(named === undefined ? {} : { key: named }),
    onStep: (step, at, all) => {
      if (step === "done") terminal.progress(`${at} of ${all} artifacts`);
    },
  });
  terminal.progress(undefined);
  terminal.document({ resigned: result });
  for (const { artifact, name, predicateType, reason } of result.lost) {
    terminal.line(`${terminal.bad("✗")} ${name} ${artifact}`);
    terminal.line(`    ${predicateType}: ${reason}`);
  }
  terminal.line(`${result.resigned} statements about ${result.artifacts} artifacts signed anew by ${result.keyId}`);
  if (result.lost.length === 0) return 0;
  terminal.line(`${result.lost.length} cannot be saved: build what is still in use again`);
  return 1;
}

/** `trust FILE`: another's key-ring, of which later versions are taken only as the trusted one vouches for them. */
async function trust(context: Context): Promise<ExitCode> {
  const { home, terminal } = context;
  const file = needed(context, "trust takes a key-ring file");
  const { opened, first } = await trustRing(home.root, await readText(file), file);
  const { ring } = opened;
  const roots = ring.root.keys;
  terminal.line(`key-ring ${ring.ring.slice(0, 8)} version ${ring.version}, until ${ring.expires}`);
  for (const keyId of roots) terminal.line(`  root ${keyId}`);
  if (first) terminal.line("  taken at its own word: compare the root with what its owner tells you by another way");
  terminal.document({
    trusted: { ring: ring.ring, version: ring.version, expiresAt: ring.expires, root: roots, first },
  });
  return 0;
}

async function exportKeys({ home, options, terminal }: Context): Promise<ExitCode> {
  if (options["ring"] === true) {
    const secret = passphrase();
    await keysOf(home, secret); // the ring is made, or told of the log
    return await give((await homeRingFile(home.root)) ?? "", options, terminal);
  }
  const role = text(options, "role") ?? "artifact";
  if (role === "root") return await exportRoot(home, options, terminal);
  if (role !== "artifact" && role !== "checkpoint") throw noRole(role, "artifact, checkpoint or root");
  if (terminal.json && text(options, "output") === undefined) return await list(home, terminal);
  return await give(await exportPublic(home.root, role), options, terminal);
}

/** The root key that is this home's own: what another's key-ring takes in. */
async function exportRoot(home: Home, options: Options, terminal: Terminal): Promise<ExitCode> {
  const { ring } = (await readHomeRing(home.root)) ?? {};
  if (ring === undefined) throw new BitforbitError("input", `${home.root} has no key-ring`);
  if (terminal.json && text(options, "output") === undefined) return await list(home, terminal);
  const places = await readPlaces(home.root);
  for (const key of ring.keys.filter(({ role, status }) => role === "root" && status === "active")) {
    // Those of other people are in the ring, too, and their private halves elsewhere.
    const place = await placeOf(home.root, key, places).catch(() => undefined);
    if (place !== undefined) return await give(key.publicKey, options, terminal);
  }
  throw new BitforbitError("refused", `${home.root} has no root key of its own`);
}

interface Row {
  role: Role;
  algorithm: string;
  keyId: string;
  publicKey: string;
  status?: string;
  createdAt?: string;
  due?: boolean;
  retiredAt?: string;
  revokedSince?: string;
  reason?: string;
  place?: string;
}

async function list(home: Home, terminal: Terminal): Promise<ExitCode> {
  const opened = await readHomeRing(home.root);
  if (opened === undefined) {
    const known = Object.entries(await publicKeys(home.root));
    show(
      terminal,
      known.map(([role, { algorithm, keyId, pem }]) => ({ role: role as Role, algorithm, keyId, publicKey: pem })),
      undefined,
    );
    return 0;
  }
  const { ring } = opened;
  const places = await readPlaces(home.root);
  const { due } = rotationCompliance(ring, systemClock.now());
  const rows = await Promise.all(
    ring.keys.map(async (key) =>
      row(key, due.includes(key), await placeOf(home.root, key, places).catch(() => undefined)),
    ),
  );
  show(terminal, rows, ring);
  return 0;
}

function row(key: RingKey, due: boolean, place: string | undefined): Row {
  const { role, algorithm, keyId, publicKey, status, created, retired, revoked } = key;
  return {
    role,
    algorithm,
    keyId,
    publicKey,
    status,
    createdAt: created,
    due,
    ...(retired === undefined ? {} : { retiredAt: retired.at }),
    ...(revoked === undefined ? {} : { revokedSince: revoked.since, reason: revoked.reason }),
    ...(place === undefined ? {} : { place }),
  };
}

function show(terminal: Terminal, rows: readonly Row[], ring: KeyRing | undefined): void {
  const { ring: id, version, expires: expiresAt } = ring ?? {};
  const about = ring === undefined ? {} : { keyRing: { id, version, expiresAt } };
  terminal.document({ keys: rows, ...about });
  for (const one of rows) {
    const words = [`${one.role.padEnd(11)} ${one.algorithm.padEnd(12)} ${one.keyId}`];
    if (one.status !== undefined && one.status !== "active") words.push(one.status);
    if (one.revokedSince !== undefined) words.push(`since ${one.revokedSince}: ${one.reason}`);
    if (one.place !== undefined && !one.place.startsWith(FILE_SCHEME)) words.push(`at ${one.place}`);
    if (one.due === true) words.push("due to be rotated");
    terminal.line(words.join("  "));
  }
  if (ring !== undefined) terminal.line(terminal.dim(`key-ring version ${ring.version}, until ${ring.expires}`));
}

async function give(content: string, options: Options, terminal: Terminal): Promise<ExitCode> {
  const output = text(options, "output");
  if (output === undefined) {
    stdout.write(content.endsWith("\n") ? content : `${content}\n`);
    return 0;
  }
  await writeDurable(resolve(output), content);
  terminal.line(`wrote ${output}`);
  terminal.document({ written: resolve(output) });
  return 0;
}

function needed({ named }: Context, message: string): string {
  if (named === undefined || named === "") throw new BitforbitError("usage", message);
  return named;
}

function noRole(role: string, known: string): BitforbitError {
  return new BitforbitError("usage", `no key has the role ${JSON.stringify(role)}`, { hint: known });
}

function chosenRole(options: Options): Role {
  const role = text(options, "role") ?? "artifact";
  if (role === "artifact" || role === "checkpoint" || role === "root") return role;
  throw noRole(role, "artifact, checkpoint or root");
}

function chosenAlgorithm(options: Options): RingKey["algorithm"] | undefined {
  const algorithm = text(options, "algorithm");
  if (algorithm === undefined || algorithm === "ecdsa-p256" || algorithm === "ed25519" || algorithm === "ml-dsa-44") {
    return algorithm;
  }
  throw new BitforbitError("usage", `no key has the algorithm ${JSON.stringify(algorithm)}`, {
    hint: "ecdsa-p256, ed25519 or ml-dsa-44",
  });
}

function days(options: Options): number | undefined {
  const number = wholeNumber(options, "days", "--days");
  if (number === undefined || (number >= 1 && number <= 3650)) return number;
  throw new BitforbitError("usage", `--days takes 1 to 3650, not ${number}`);
}

function wholeNumber(options: Options, name: string, flag: string): number | undefined {
  const words = text(options, name);
  if (words === undefined) return undefined;
  if (/^(?:0|[1-9]\d{0,14})$/.test(words)) return Number(words);
  throw new BitforbitError("usage", `${flag} takes a whole number, not ${JSON.stringify(words)}`);
}

/** A day, or an instant in UTC. */
function instant(words: string): number {
  const full = /^\d{4}-\d\d-\d\d$/.test(words) ? `${words}T00:00:00Z` : words;
  const at = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(full) ? Date.parse(full) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new BitforbitError("usage", `--since takes a time in UTC, not ${JSON.stringify(words)}`, {
    hint: 'write it as "2026-11-23" or "2026-11-23T10:00:00Z"',
  });
}
