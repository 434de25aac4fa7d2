/** A registry on loopback under a name of its own, and a client that goes through the proxy: for tests. */
import { createServer as createHttp, type IncomingMessage, type RequestListener } from "node:http";
import { Agent, createServer as createHttps, request as httpsRequest } from "node:https";
import { type AddressInfo, createServer as createNet, type LookupFunction, type Server } from "node:net";
import { once } from "node:events";
import { type Authority, makeAuthority } from "./authority.ts";

/** Every name is this machine. */
export const loopback: LookupFunction = (_, options, done) => {
  if (options.all === true) done(null, [{ address: "127.0.0.1", family: 4 }]);
  else done(null, "127.0.0.1", 4);
};

export interface UpstreamForTests {
  /** `https://registry.test:port` and `http://registry.test:port`. */
  https: string;
  http: string;
  authority: Authority;
  close(): void;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

export async function startUpstream(listener: RequestListener): Promise<UpstreamForTests> {
  const authority = makeAuthority();
  const secure = createHttps({ SNICallback: (name, done) => done(null, authority.contextFor(name)) }, listener);
  const plain = createHttp(listener);
  for (const server of [secure, plain]) {
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
  }
  return {
    https: `https://registry.test:${portOf(secure)}`,
    http: `http://registry.test:${portOf(plain)}`,
    authority,
    close: () => {
      for (const server of [secure, plain]) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

export async function listening(): Promise<{ server: Server; proxy: string }> {
  const server = createNet().listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, proxy: `http://127.0.0.1:${portOf(server)}` };
}

export interface Got {
  status: number;
  reason: string;
  headers: IncomingMessage["headers"];
  body: Buffer;
}

/** One request through the proxy. Rejects when the answer breaks off. */
export async function get(
  url: string,
  proxy: string,
  authority: Pick<Authority, "pem">,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Got> {
  const agent = new Agent({ proxyEnv: { HTTPS_PROXY: proxy }, ca: authority.pem });
  try {
    return await new Promise<Got>((resolve, reject) => {
      const { method = "GET", headers = {}, body } = options;
      const length: Record<string, string> =
        body === undefined ? {} : { "content-length": `${Buffer.byteLength(body)}` };
      const request = httpsRequest(url, { agent, method, headers: { ...headers, ...length } }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", () => {
          const { statusCode = 0, statusMessage = "" } = answer;
          resolve({ status: statusCode, reason: statusMessage, headers: answer.headers, body: Buffer.concat(chunks) });
        });
      });
      request.on("error", reject);
      request.end(body);
    });
  } finally {
    agent.destroy();
  }
}
