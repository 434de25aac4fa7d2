import { resolve } from "node:path";
import { writeDurable } from "../../durable.ts";
import type { ExitCode } from "../../errors.ts";
import { prepare } from "../../flow/prepare.ts";
import { sbomOf } from "../../flow/release.ts";
import { withScratch } from "../../flow/scratch.ts";
import { probeHost } from "../../sandbox/host.ts";
import { sbomBytes } from "../../sbom/cyclonedx.ts";
import type { Options } from "../program.ts";
import { homeFor, projectFolder, text } from "../project.ts";
import type { Terminal } from "../terminal.ts";

/** `bitforbit sbom [DIR]`: the CycloneDX document of what the lock pins. */
export async function sbom(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const folder = await projectFolder(args[0]);
  const home = homeFor(folder, options);
  const prepared = await withScratch(home, {}, async (scratch) =>
    prepare(folder, home, {
      host: await probeHost(),
      scratch,
      onProgress: (line) => terminal.progress(`fetch · ${line}`),
    }),
  );
  terminal.progress(undefined);
  const document = sbomOf(prepared, []);
  const output = text(options, "output");
  if (output === undefined) {
    process.stdout.write(sbomBytes(document));
    return 0;
  }
  await writeDurable(resolve(output), sbomBytes(document));
  terminal.line(`wrote ${output}: ${prepared.lock.materials.length} components`);
  terminal.document({ written: resolve(output), components: prepared.lock.materials.length });
  return 0;
}
