/** A witness on a port: C2SP tlog-witness. */
import { MAX_WITNESS_REQUEST, type Witness } from "../log/witness.ts";
import { type PlainAnswer, createPlainServer } from "./plain-http.ts";
import type { RunningServer } from "./server.ts";

export interface WitnessServerOptions {
  host: string;
  port: number;
  /** POSTs a second of one address. */
  ratePerSecond: number;
  report(error: unknown): void;
}

const MAX_UNDER_WAY = 256;

export async function createWitnessServer(witness: Witness, options: WitnessServerOptions): Promise<RunningServer> {
  return await createPlainServer({
    ...options,
    maxBody: MAX_WITNESS_REQUEST,
    maxUnderWay: MAX_UNDER_WAY,
    refusal,
    answer: async ({ method, path, body }) => {
      if (!path.endsWith("/add-checkpoint")) return refusal(404, "POST /add-checkpoint is all there is");
      if (method !== "POST") return refusal(405, `${method} is not allowed here`);
      return await witness.addCheckpoint(body);
    },
  });
}

function refusal(status: number, reason: string): PlainAnswer {
  return { status, type: "text/plain; charset=utf-8", body: `${reason}\n` };
}
