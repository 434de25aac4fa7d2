import { link, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { createWriteStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import { parseDigest } from "../../digest.ts";
import { systemEntropy, uniqueName } from "../../entropy.ts";
import { BitforbitError, type ExitCode, systemCode } from "../../errors.ts";
import { openStore, type Store } from "../../store/store.ts";
import type { Options } from "../program.ts";
import { nearestHome, text } from "../project.ts";
import { counted, grouped, type Terminal } from "../terminal.ts";

/** `bitforbit store list | show DIGEST | get DIGEST -o FILE | check | retention`. */
export async function store(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const home = await nearestHome(".", options);
  const [action, digest] = args;
  if (action === "retention") return await (await import("../store-retention.ts")).retention(home, options, terminal);
  const opened = await openStore(home.store);
  switch (action) {
    case "list":
      return await list(opened, terminal);
    case "show":
      return await show(opened, digest, terminal);
    case "get":
      return await get(opened, digest, text(options, "output"), terminal);
    case "check":
      return await fsck(opened, terminal);
    default:
      throw new BitforbitError("usage", `store has no action ${JSON.stringify(action ?? "")}`, {
        hint: "one of: list, show, get, check, retention",
      });
  }
}

async function list(opened: Store, terminal: Terminal): Promise<ExitCode> {
  const artifacts = await opened.artifacts();
  terminal.document({ artifacts });
  if (artifacts.length === 0) terminal.line("the store is empty; 'bitforbit build' fills it");
  for (const { digest, size, name } of artifacts) terminal.line(`${digest}  ${grouped(size).padStart(14)} B  ${name}`);
  return 0;
}

async function show(opened: Store, digest: string | undefined, terminal: Terminal): Promise<ExitCode> {
  const artifact = await stored(opened, digest);
  const referrers = await opened.referrers(artifact.digest);
  terminal.document({
    artifact,
    attestations: referrers.map((item) => ({ digest: item.digest, predicateType: item.predicateType })),
  });
  terminal.line(terminal.strong(artifact.name));
  terminal.step("digest", artifact.digest);
  terminal.step("size", `${grouped(artifact.size)} bytes`);
  terminal.step("manifest", artifact.manifest);
  for (const item of referrers) terminal.step("attested", `${item.predicateType}\n${terminal.dim(item.digest)}`);
  return 0;
}

async function stored(opened: Store, digest: string | undefined): ReturnType<typeof known> {
  if (digest === undefined) throw new BitforbitError("usage", "which artifact? give its digest");
  return await known(opened, digest);
}

async function known(opened: Store, digest: string) {
  const artifact = await opened.artifact(parseDigest(digest));
  if (artifact !== undefined) return artifact;
  throw new BitforbitError("input", `${digest} is not in the store`, { hint: "'bitforbit store list' shows what is" });
}

/** Writes the artifact beside its name, checks its digest, then gives it the name; never replaces a file. */
async function get(
  opened: Store,
  digest: string | undefined,
  output: string | undefined,
  terminal: Terminal,
): Promise<ExitCode> {
  const artifact = await stored(opened, digest);
  const to = resolve(output ?? artifact.name);
  const temporary = join(dirname(to), `.tmp-${uniqueName(systemEntropy)}`);
  try {
    await pipeline(opened.streamBlob(artifact.digest), createWriteStream(temporary, { flags: "wx" }));
    await link(temporary, to);
  } catch (error) {
    if (systemCode(error) === "EEXIST")
      throw new BitforbitError("conflict", `${to} is there already`, {
        cause: error,
        hint: "give another name with --output",
      });
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
  terminal.line(`wrote ${to}`);
  terminal.document({ written: to, digest: artifact.digest, size: artifact.size });
  return 0;
}

async function fsck(opened: Store, terminal: Terminal): Promise<ExitCode> {
  const report = await opened.fsck();
  terminal.document(report);
  for (const { message, remedy } of report.problems) {
    terminal.line(`${terminal.bad("✗")} ${message}`);
    terminal.line(terminal.dim(`  hint: ${remedy}`));
  }
  terminal.line(
    report.problems.length === 0
      ? terminal.good("every blob is what its digest says")
      : terminal.bad(counted(report.problems.length, "problem")),
  );
  return report.problems.length === 0 ? 0 : 1;
}
