/**
 * Quick looks at the beginning of texts that have no magic number. They may
 * take for theirs what is not: the parser then refuses it.
 */
export function looksLikeJson(start: Uint8Array): boolean {
  // A member or an element begins right after the bracket; or nothing is in it.
  return /^(?:\xef\xbb\xbf)?\s*(?:\{\s*["}]|\[\s*(?:[[\]{"\d-]|true|false|null))/.test(latin1(start));
}

export function looksLikeHtml(start: Uint8Array, name: string): boolean {
  const text = latin1(start);
  return (
    /^(?:\xef\xbb\xbf)?\s*(?:<!--[^]{0,1000}?-->\s*)?<(?:!doctype html|html|head|body)\b/i.test(text) &&
    !/\.xhtml$/i.test(name)
  );
}

export function looksLikeXml(start: Uint8Array): boolean {
  return /^(?:\xef\xbb\xbf)?\s*<(?:\?xml\b|!DOCTYPE\b|!--|[A-Za-z_][\w.-]*(?::[\w.-]+)?(?:\s+[\w:.-]+\s*=|\s*\/?>))/.test(
    latin1(start),
  );
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
