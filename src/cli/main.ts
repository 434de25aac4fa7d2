/**
 * The command line's entry. What costs nothing is answered here; the rest is
 * loaded when it is asked for, because a tool in every pipeline must start fast.
 */
import { VERSION } from "../version.ts";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const supported = major >= 26 || (major === 24 && minor >= 15) || (major === 22 && minor >= 22);

if (!supported) {
  process.stderr.write(
    `bitforbit: Node ${process.versions.node} is not supported\n  hint: install Node 24.15 or newer, or run bin/bitforbit from a checkout, which brings its own\n`,
  );
  process.exitCode = 2;
} else if (process.argv.length === 3 && (process.argv[2] === "--version" || process.argv[2] === "-V")) {
  process.stdout.write(`${VERSION}\n`);
} else {
  void run();
}

async function run(): Promise<void> {
  // A reader that has seen enough (`| head -1`) ends the answer, not the work: a build goes on to its evidence.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EPIPE" || stream === process.stderr) return;
      process.stderr.write(`bitforbit: the answer cannot be written to stdout: ${error.message}\n`);
      process.exitCode = 4;
    });
  }
  const { main } = await import("./program.ts");
  const code = await main(process.argv.slice(2));
  process.exitCode ??= code;
}
