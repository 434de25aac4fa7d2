/** `bitforbit keys propose | sign | collect`: the key-ring of several people. */
import { resolve } from "node:path";
import { writeDurable } from "../durable.ts";
import { BitforbitError, type ExitCode } from "../errors.ts";
import { collect, type DraftState, type Proposal, propose, publish, signProposal } from "../flow/key-drafts.ts";
import type { KeyHolder } from "../flow/key-lifecycle.ts";
import { draftText } from "../keys/ring-draft.ts";
import { parsePublicKey } from "../keys/verifier.ts";
import { readSmall } from "./log-place.ts";
import { type Options, texts } from "./program.ts";
import { text } from "./project.ts";
import type { Terminal } from "./terminal.ts";

const MAX_DRAFT = 4 << 20;

export interface DraftCall {
  holder: KeyHolder;
  files: readonly string[];
  options: Options;
  terminal: Terminal;
}

export interface Revoked {
  key: string;
  since: number;
  reason: string;
}

/** Writes a draft of the next version, with the signatures that this home can give. */
export async function proposeChange(
  { holder, options, terminal }: DraftCall,
  { days, revoke, rotate }: { days?: number; revoke?: Revoked; rotate?: Proposal["rotate"] },
): Promise<ExitCode> {
  const output = text(options, "output");
  if (output === undefined) throw new BitforbitError("usage", "propose writes a draft: where? give --output");
  const addRoots = [];
  for (const file of texts(options, "addRoot")) addRoots.push(parsePublicKey(await readSmall(file), file));
  const threshold = text(options, "threshold");
  if (threshold !== undefined && !/^\d{1,3}$/.test(threshold)) {
    throw new BitforbitError("usage", `--threshold takes a whole number, not ${JSON.stringify(threshold)}`);
  }
  const state = await propose(holder, {
    addRoots,
    removeRoots: texts(options, "removeRoot"),
    retire: texts(options, "retire"),
    ...(threshold === undefined ? {} : { threshold: Number(threshold) }),
    ...(revoke === undefined ? {} : { revoke }),
    ...(rotate === undefined ? {} : { rotate }),
    ...(days === undefined ? {} : { days }),
  });
  await writeDurable(resolve(output), draftText(state.draft));
  tell(terminal, state, { written: resolve(output) });
  return 0;
}

/** Signs a draft, in its place or, with --output, in another file. */
export async function signChange({ holder, files, options, terminal }: DraftCall): Promise<ExitCode> {
  const [file, ...others] = files;
  if (file === undefined || others.length > 0) throw new BitforbitError("usage", "sign takes one draft");
  const state = await signProposal(holder, await readSmall(file, MAX_DRAFT), file);
  const output = resolve(text(options, "output") ?? file);
  await writeDurable(output, draftText(state.draft));
  tell(terminal, state, { written: output });
  return 0;
}

/** Joins drafts, and publishes when everybody signed who must; exit 1 and who is missing otherwise. */
export async function collectChange({ holder, files, options, terminal }: DraftCall): Promise<ExitCode> {
  if (files.length === 0) throw new BitforbitError("usage", "collect takes the drafts that were signed");
  const given: { text: string; what: string }[] = [];
  for (const what of files) given.push({ text: await readSmall(what, MAX_DRAFT), what });
  const state = await collect(holder, given);
  const output = text(options, "output");
  if (output !== undefined) await writeDurable(resolve(output), draftText(state.draft));
  const complete = state.needs.every(({ met }) => met);
  if (complete) await publish(holder, state);
  tell(terminal, state, { published: complete, ...(output === undefined ? {} : { written: resolve(output) }) });
  return complete ? 0 : 1;
}

function tell(terminal: Terminal, state: DraftState, more: { written?: string; published?: boolean }): void {
  const { draft, needs, changes, signedNow } = state;
  const { ring, version, expires, root } = draft.ring;
  const complete = needs.every(({ met }) => met);
  terminal.document({
    draft: { ring, version, digest: draft.digest, expiresAt: expires, root, changes, needs, signedNow, complete },
    ...more,
  });
  terminal.line(`key-ring ${ring.slice(0, 8)}, version ${version}: ${draft.digest}`);
  for (const change of changes) terminal.line(`  ${change}`);
  for (const need of needs) {
    const whose = need.root === "present" ? "the present root" : "the root that it brings";
    const said = need.met ? terminal.good("signed") : terminal.bad("not yet");
    terminal.line(`${said}: ${need.signed.length} of the ${need.threshold} that ${whose} needs`);
    for (const id of need.signed)
      terminal.line(`  ${terminal.good("✓")} ${id}${signedNow.includes(id) ? ", just now" : ""}`);
    for (const id of need.missing) terminal.line(terminal.dim(`  · ${id}`));
  }
  if (more.published === true) terminal.line("published: hand it on with 'bitforbit keys export --ring'");
  else if (complete) terminal.line("everybody signed who must: 'bitforbit keys collect' publishes it");
  if (more.written !== undefined) terminal.line(`wrote ${more.written}`);
}
