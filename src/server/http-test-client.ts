/** A plain HTTP client for this room's tests: sends paths and headers exactly as given, which `fetch` does not. */
import { type Agent, request } from "node:http";
import { parseJson, type JsonObject } from "../json.ts";

export interface Answer {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  bytes: Uint8Array;
  text: string;
  json(): JsonObject;
}

export async function send(
  url: string,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string; agent?: Agent } = {},
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  const { method = "GET", headers = {}, body, agent = false } = options;
  return await new Promise<Answer>((resolve, reject) => {
    const sent = request({ hostname: hostname.replace(/[[\]]/g, ""), port, path, method, headers, agent });
    sent.on("error", reject);
    sent.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const bytes = Buffer.concat(chunks);
        const text = bytes.toString();
        const json = () => parseJson(text, path) as JsonObject;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes, text, json });
      });
    });
    sent.end(body);
  });
}
