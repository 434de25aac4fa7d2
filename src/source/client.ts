import { type Ran, run } from "../child.ts";
import { BitforbitError } from "../errors.ts";

const LONGEST = 15 * 60_000;

/** Runs a client; `outside` when it fails, with its last words. */
export async function runClient(
  program: string,
  args: readonly string[],
  options: { cwd: string; env?: Readonly<Record<string, string | undefined>>; about: string },
): Promise<Ran> {
  const { about, ...rest } = options;
  const ran = await run(program, args, { timeoutMilliseconds: LONGEST, ...rest });
  if (ran.exitCode !== 0) {
    const said = `${ran.stderr}\n${Buffer.from(ran.stdout).toString()}`.split("\n").filter((line) => /\S/.test(line));
    const telling =
      said.find((line) => /not found|no matching|\b404\b|unable to|could not/i.test(line)) ??
      said.findLast((line) => /error/i.test(line)) ??
      said.at(-1) ??
      "no reason given";
    throw new BitforbitError(
      "outside",
      `${program} could not fetch ${about}: ${telling
        .trim()
        .replace(/\/\/[^/@\s]*@/g, "//")
        .slice(0, 300)}`,
      {
        hint: `check the name, the version and ${program}'s own configuration`,
      },
    );
  }
  return ran;
}
