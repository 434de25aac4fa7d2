/** The parser of the command line: completion, help, and every call that is not plain. */
import { Command, CommanderError, Option } from "commander";
import { BitforbitError, type ExitCode } from "../errors.ts";
import { VERSION } from "../version.ts";
import type { Options, VerbEntry } from "./program.ts";
import { streamOf } from "./streams.ts";

const EXIT_CODES = `
Exit codes: 0 yes (reproducible, same, allowed, done) · 1 no (differs, denied) · 2 bad input or usage
            3 the build itself failed · 4 the world outside failed (network, registry, key service)

Completion: source <(bitforbit complete bash)   (also zsh, fish, powershell)
`;

type Runner = (entry: VerbEntry, args: readonly string[], options: Options) => Promise<ExitCode>;

/** Parses `words` by `verbs` and has the one that is asked for run. Throws `usage`, and what the verb throws. */
export async function parsed(words: readonly string[], verbs: readonly VerbEntry[], run: Runner): Promise<ExitCode> {
  let code: ExitCode = 0;
  // Help and completion write there by themselves.
  streamOf(1);
  streamOf(2);
  const program = described(verbs, async (entry, args, options) => {
    code = await run(entry, args, options);
    return code;
  });
  if (words[0] === "complete") {
    const { default: tab } = await import("@bomb.sh/tab/commander");
    tab(program);
  }
  if (words.length === 0) {
    program.outputHelp();
    return 2;
  }
  try {
    await program.parseAsync([...words], { from: "user" });
    return code;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    if (error.code === "commander.help") return 2;
    const message = error.message.replace(/^error: /, "").replace(/\.$/, "");
    throw new BitforbitError("usage", message, { hint: "run 'bitforbit --help'", cause: error });
  }
}

/** `--no-vary <names>` is an option of its own, and not the contrary of `--vary <names>`. */
function optionOf(flags: string, description: string): Option {
  const option = new Option(flags, description);
  if (option.required) option.negate = false;
  return option;
}

function described(verbs: readonly VerbEntry[], run: Runner): Command {
  const program = new Command("bitforbit")
    .description(
      "Builds twice in different worlds, compares to the last byte, says why it differs, and proves what was built.",
    )
    .version(VERSION, "-V, --version")
    .exitOverride()
    .configureOutput({ outputError: () => undefined })
    .showSuggestionAfterError(true)
    .addHelpText("after", EXIT_CODES);
  for (const entry of verbs) {
    const command = program.command(entry.usage).summary(entry.summary).description(entry.summary).exitOverride();
    command.configureOutput({ outputError: () => undefined });
    for (const [flags, description] of entry.options) command.addOption(optionOf(flags, description));
    command.addHelpText("after", `\nExamples:\n${entry.examples.map((line) => `  ${line}`).join("\n")}\n`);
    command.action(async () => void (await run(entry, command.args, command.opts())));
  }
  return program;
}
