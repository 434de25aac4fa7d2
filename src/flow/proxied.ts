/** Sandboxes that reach a proxy of ours and nothing else. */
import type { Server } from "node:net";
import { type Authority, makeAuthority } from "../record/authority.ts";
import { type Note, type Recorder, startRecorder } from "../record/recorder.ts";
import type { Recording } from "../record/recording.ts";
import { type Replayer, startReplayer, type Unanswered } from "../record/replayer.ts";
import { clientSettings } from "../record/settings.ts";
import { listenIn, processBehind } from "../sandbox/listen.ts";
import { networkConfiguration } from "../sandbox/network.ts";
import type { SandboxSpec } from "../sandbox/sandbox.ts";

/** Where the proxy listens inside, and where its clients' settings lie. */
const PORT = 3128;
const FOLDER = "/run/proxy";

/** Longer than any world's clock is ahead. */
const DAYS = 3650;

type ProxiedParts = Required<Pick<SandboxSpec, "network" | "environment" | "files" | "beforeStart">>;

export interface RecordOptions {
  cache: string;
  /** HOME inside. */
  home: string;
  /** Seconds since 1970: hides what was published later. */
  asOf?: number;
  onNote: (note: Note) => void;
}

/** What a sandbox needs for its requests to be passed on and recorded; `close` gives the recording. */
export function recorded(options: RecordOptions): { parts: ProxiedParts; close: () => Promise<Recording> } {
  const { cache, home, asOf, onNote } = options;
  const authority = makeAuthority();
  let recorder: Recorder | undefined;
  const listen = (server: Server): void => {
    recorder = startRecorder(server, {
      authority,
      cache,
      ...(asOf === undefined ? {} : { asOf }),
      onNote,
    });
  };
  return {
    parts: partsOf(home, authority, false, listen),
    close: async () => (await recorder?.close()) ?? { version: 1, exchanges: [] },
  };
}

export interface ReplayOptions {
  cache: string;
  home: string;
  recording: Recording;
  /** Seconds since 1970, of the answers' Date. */
  epoch: number;
  onUnanswered: (request: Unanswered) => void;
}

/** What a sandbox needs for its requests to be answered from a recording; `close` gives the purls that were asked for. */
export function replayed(options: ReplayOptions): { parts: ProxiedParts; close: () => Promise<Set<string>> } {
  const { cache, home, recording, epoch, onUnanswered } = options;
  const authority = makeAuthority({ days: DAYS });
  let replayer: Replayer | undefined;
  const listen = (server: Server, pid: number): void => {
    replayer = startReplayer(server, {
      authority,
      cache,
      recording,
      epoch,
      identify: async (port) => await processBehind(pid, port),
      onUnanswered,
    });
  };
  const close = async (): Promise<Set<string>> => {
    await replayer?.close();
    return new Set([...(replayer?.used ?? [])].flatMap(({ purl }) => (purl === undefined ? [] : [purl])));
  };
  return { parts: partsOf(home, authority, true, listen), close };
}

function partsOf(
  home: string,
  authority: Authority,
  replay: boolean,
  listen: (server: Server, pid: number) => void,
): ProxiedParts {
  const { environment, files } = networkConfiguration(home);
  const settings = clientSettings({
    authority,
    proxy: `http://127.0.0.1:${PORT}`,
    folder: FOLDER,
    home,
    base: { environment, files },
    replay,
  });
  return {
    network: "proxied",
    environment: settings.environment,
    files: settings.files,
    beforeStart: async (pid) => listen(await listenIn(pid, PORT), pid),
  };
}
