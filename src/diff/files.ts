import { type ByteSource, openSource } from "../bytesource.ts";

/** Opens two files for some work; what was written to meanwhile is an error, whatever came out. */
export async function betweenFiles<T>(
  a: string | Buffer,
  b: string | Buffer,
  shown: string | undefined,
  work: (a: ByteSource, b: ByteSource) => Promise<T>,
): Promise<T> {
  const left = openSource(a, shown ?? a.toString());
  try {
    const right = openSource(b, shown ?? b.toString());
    try {
      return await work(left, right);
    } finally {
      left.assertUnchanged();
      right.assertUnchanged();
      right.close();
    }
  } finally {
    left.close();
  }
}
