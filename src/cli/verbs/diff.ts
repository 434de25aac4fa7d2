import { matchesGlob } from "node:path";
import { differenceJson } from "../../diff/json.ts";
import { compare } from "../../diff/diff.ts";
import type { Proof } from "../../diff/comparison.ts";
import { systemClock } from "../../clock.ts";
import { renderText } from "../../diff/render.ts";
import type { ExitCode } from "../../errors.ts";
import { BitforbitError } from "../../errors.ts";
import { type Options, texts } from "../program.ts";
import type { Terminal } from "../terminal.ts";

const MAX_SAID = 5;

/** True once the time is over that a person gave. */
function until(seconds: unknown): { expired?: () => boolean; timeLeft?: () => number } {
  if (seconds === undefined) return {};
  const limit = typeof seconds === "string" && /^\d+(\.\d+)?$/.test(seconds) ? Number(seconds) : 0;
  if (!(limit > 0)) {
    throw new BitforbitError("usage", `--timeout ${String(seconds)}: give seconds, more than 0`);
  }
  const end = systemClock.elapsed() + limit * 1000;
  return { expired: () => systemClock.elapsed() > end, timeLeft: () => end - systemClock.elapsed() };
}

function provenLine({ spaces, equal, inLeavesA, inLeavesB }: Proof): string {
  const where = spaces === 1 ? "in 1 file or content" : `in ${spaces} files and contents`;
  return `complete: ${where}, ${equal} bytes are the same and ${inLeavesA}/${inLeavesB} lie in just one leaf each; applied to A it gives B`;
}

/** `bitforbit diff A B`: 0 the same, 1 different, 2 not comparable. */
export async function diff(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [a, b] = args;
  if (a === undefined || b === undefined) throw new BitforbitError("usage", "diff takes two paths");
  const exclude = texts(options, "exclude");
  const excluded = (path: string): boolean => exclude.some((pattern) => matchesGlob(path, pattern));
  const { difference, incomplete, proof } = await compare(a, b, {
    excluded,
    ...until(options["timeout"]),
    prove: options["prove"] === true,
  });
  terminal.document({ ...differenceJson(difference), excluded: exclude });
  if (exclude.length > 0) terminal.say(`not compared: ${exclude.join(", ")}`);
  if (difference === undefined) {
    terminal.line(terminal.good("the same"));
    return 0;
  }
  if (!terminal.json)
    for (const line of renderText(difference, { width: terminal.width, color: terminal.colour })) terminal.line(line);
  for (const { path, why } of incomplete.slice(0, MAX_SAID)) terminal.say(`not compared: ${path.join(" > ")}: ${why}`);
  if (incomplete.length > MAX_SAID) terminal.say(`not compared: ${incomplete.length - MAX_SAID} more places`);
  if (proof !== undefined) terminal.say(provenLine(proof));
  return 1;
}
