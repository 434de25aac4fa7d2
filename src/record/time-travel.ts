import type { IncomingMessage } from "node:http";
import type { Asked } from "./proxy.ts";
import type { Exchange } from "./recording.ts";
/** Hides from registries' answers what was published later. */
export interface TimeTravel {
  requestHeaders(url: string, headers: [string, string][]): [string, string][] | undefined;
  rewrite(
    asked: Asked,
    answer: IncomingMessage,
  ): Promise<{ headers?: Exchange["headers"]; body?: Uint8Array; cannot?: string } | undefined>;
}
