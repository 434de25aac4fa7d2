import { join, resolve } from "node:path";
import { trustedRoot } from "../../attest/trusted-root.ts";
import { writeDurable } from "../../durable.ts";
import { BitforbitError, type ExitCode } from "../../errors.ts";
import { keysOf } from "../../flow/keys.ts";
import type { Home } from "../../flow/home.ts";
import { exportPublic, publicKeys } from "../../keys/keys.ts";
import { openLogReader } from "../../log/reader.ts";
import type { Options } from "../program.ts";
import { nearestHome, passphrase, text } from "../project.ts";
import { stdout } from "../streams.ts";
import type { Terminal } from "../terminal.ts";

/** `bitforbit keys list | create | export | trusted-root`. Private keys are never shown. */
export async function keys(args: readonly string[], options: Options, terminal: Terminal): Promise<ExitCode> {
  const home = await nearestHome(".", options);
  const [action] = args;
  switch (action) {
    case "create":
      await keysOf(home, passphrase());
      return await list(home, terminal);
    case "list":
      return await list(home, terminal);
    case "export": {
      const role = text(options, "role") ?? "artifact";
      if (role !== "artifact" && role !== "checkpoint") {
        throw new BitforbitError("usage", `no key has the role ${JSON.stringify(role)}`, {
          hint: "artifact or checkpoint",
        });
      }
      if (terminal.json && text(options, "output") === undefined) return await list(home, terminal);
      return await give(await exportPublic(home.root, role), options, terminal);
    }
    case "trusted-root": {
      const { checkpoint } = await publicKeys(home.root);
      const reader = await openLogReader(join(home.root, "log"), checkpoint.pem);
      return await give(`${trustedRoot([reader.identity])}\n`, options, terminal);
    }
    default:
      throw new BitforbitError("usage", `keys has no action ${JSON.stringify(action ?? "")}`, {
        hint: "one of: list, create, export, trusted-root",
      });
  }
}

async function list(home: Home, terminal: Terminal): Promise<ExitCode> {
  const known = await publicKeys(home.root);
  const rows = Object.entries(known).map(([role, key]) => ({
    role,
    algorithm: key.algorithm,
    keyId: key.keyId,
    publicKey: key.pem,
  }));
  terminal.document({ keys: rows });
  for (const { role, algorithm, keyId } of rows) terminal.line(`${role.padEnd(11)} ${algorithm.padEnd(12)} ${keyId}`);
  return 0;
}

async function give(content: string, options: Options, terminal: Terminal): Promise<ExitCode> {
  const output = text(options, "output");
  if (output === undefined) {
    stdout.write(content.endsWith("\n") ? content : `${content}\n`);
    return 0;
  }
  await writeDurable(resolve(output), content);
  terminal.line(`wrote ${output}`);
  terminal.document({ written: resolve(output) });
  return 0;
}
