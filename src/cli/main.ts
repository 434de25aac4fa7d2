/**
 * The command line's entry. What costs nothing is answered here; the rest is
 * loaded when it is asked for, because a tool in every pipeline must start fast.
 */
import { loadCompiled } from "./compiled-code.ts";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
const supported = major >= 26 || (major === 24 && minor >= 15) || (major === 22 && minor >= 22);

if (!supported) {
  process.stderr.write(
    `bitforbit: Node ${process.versions.node} is not supported\n  hint: install Node 24.15 or newer, or run bin/bitforbit from a checkout, which brings its own\n`,
  );
  process.exitCode = 2;
} else if (process.argv.length === 3 && (process.argv[2] === "--version" || process.argv[2] === "-V")) {
  void version();
} else {
  void run();
}

async function version(): Promise<void> {
  const { VERSION } = await import("../version.ts");
  process.stdout.write(`${VERSION}\n`);
}

async function run(): Promise<void> {
  // Gates run these for every artifact, and they are over sooner than their code is compiled.
  const gate = ["verify", "evidence"].includes(process.argv[2] ?? "");
  const bundle = import.meta.filename;
  const keep = gate && bundle.endsWith(".cjs") ? loadCompiled(bundle, process.env) : undefined;
  const { main } = await import("./program.ts");
  const code = await main(process.argv.slice(2));
  process.exitCode ??= code;
  await keep?.();
}
