import { latin1, type Span } from "./json-index.ts";
import { group, type Part } from "./part.ts";

const MAX_ENCODED = 8 << 20;

/**
 * JSON in base64 within a string: a DSSE payload, or a JWS in its compact form
 * (RFC 7515, section 3.1: header, payload and signature in base64url, with full
 * stops between). Undefined for any other string.
 */
export function encodedJson(bytes: Uint8Array, { start, end }: Span): Part | undefined {
  // `{"`, `{ ` or `{\n` in base64.
  const head = latin1(bytes, start + 1, Math.min(start + 4, end));
  if (end - start > MAX_ENCODED || !/^(?:eyJ|eyA|ewo|ew0)$/.test(head)) return undefined;
  const text = latin1(bytes, start + 1, end - 1);
  if (/^[\w-]+\.[\w-]*\.[\w-]*$/.test(text)) {
    return group("", start, end - start, () => tokenParts(text, start + 1));
  }
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(text)) return undefined;
  return encodedContent("", text, start, end - start);
}

/** The three pieces of a compact JWS whose text begins at `offset`. */
export function* tokenParts(text: string, offset: number): Generator<Part> {
  const [header = "", payload = "", signature = ""] = text.split(".");
  yield encodedContent("header", header, offset, header.length);
  const at = offset + header.length + 1;
  yield encodedContent("payload", payload, at, payload.length);
  const shown = signature.length > 80 ? `${signature.slice(0, 80)}…` : signature;
  yield {
    key: "signature",
    kind: "field",
    offset: at + payload.length + 1,
    length: signature.length,
    show: () => shown,
  };
}

function encodedContent(key: string, text: string, offset: number, length: number): Part {
  return {
    key,
    kind: "content",
    offset,
    length,
    decode: {
      name: "base64",
      run: (sink) => {
        sink(new Uint8Array(Buffer.from(text, "base64")));
        return Promise.resolve();
      },
    },
  };
}
