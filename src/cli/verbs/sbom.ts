import { resolve } from "node:path";
import { digestOf } from "../../digest.ts";
import { writeDurable } from "../../durable.ts";
import type { ExitCode } from "../../errors.ts";
import { prepare } from "../../flow/prepare.ts";
import { sbomOf } from "../../flow/release.ts";
import { withScratch } from "../../flow/scratch.ts";
import { probeHost } from "../../sandbox/host.ts";
import { sbomBytes } from "../../sbom/cyclonedx.ts";
import type { Options } from "../program.ts";
import { homeFor, projectFolder, text } from "../project.ts";
import { stdout } from "../streams.ts";
import { grouped, type Terminal } from "../terminal.ts";

/** `bitforbit sbom [DIR]`: the CycloneDX document of what the lock pins. */
export async function sbom(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const folder = await projectFolder(args[0]);
  const home = homeFor(folder, options);
  const prepared = await withScratch(home, {}, async (scratch) =>
    prepare(folder, home, {
      host: await probeHost(),
      scratch,
      onProgress: (line) => terminal.progress(`fetch · ${line}`),
      onWarning: (line) => terminal.warn(line),
    }),
  );
  terminal.progress(undefined);
  const bytes = sbomBytes(sbomOf(prepared, []));
  const output = text(options, "output");
  if (output === undefined) {
    stdout.write(bytes);
    return 0;
  }
  await writeDurable(resolve(output), bytes);
  const components = prepared.lock.materials.length;
  terminal.line(`wrote ${output}: ${grouped(components)} components`);
  terminal.document({ written: resolve(output), digest: digestOf(bytes), size: bytes.length, components });
  return 0;
}
