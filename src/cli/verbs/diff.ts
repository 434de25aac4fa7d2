import { matchesGlob } from "node:path";
import { differenceJson } from "../../diff/json.ts";
import { diff as compare } from "../../diff/diff.ts";
import { renderText } from "../../diff/render.ts";
import type { ExitCode } from "../../errors.ts";
import { BitforbitError } from "../../errors.ts";
import { type Options } from "../program.ts";
import { texts } from "../project.ts";
import type { Terminal } from "../terminal.ts";

/** `bitforbit diff A B`: 0 the same, 1 different, 2 not comparable. */
export async function diff(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const [a, b] = args;
  if (a === undefined || b === undefined) throw new BitforbitError("usage", "diff takes two paths");
  const exclude = texts(options, "exclude");
  const excluded = (path: string): boolean => exclude.some((pattern) => matchesGlob(path, pattern));
  const difference = await compare(a, b, { excluded });
  terminal.document({ ...differenceJson(difference), excluded: exclude });
  if (exclude.length > 0) terminal.say(`not compared: ${exclude.join(", ")}`);
  if (difference === undefined) {
    terminal.line(terminal.good("the same"));
    return 0;
  }
  if (!terminal.json)
    for (const line of renderText(difference, { width: terminal.width, color: terminal.colour })) terminal.line(line);
  return 1;
}
