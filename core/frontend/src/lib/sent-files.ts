/** The files of runs that were started here, so that a run can be started again with them. They live as long as the page. */
import type { Attachment } from "../api/actions";

const KEPT = 8;
const sent = new Map<string, Attachment[]>();

export function rememberFiles(run: string, files: Attachment[]): void {
  sent.set(run, files);
  const [oldest] = sent.keys();
  if (sent.size > KEPT && oldest !== undefined) sent.delete(oldest);
}

export function filesOf(run: string): Attachment[] | undefined {
  return sent.get(run);
}

/** Content of a file in base64. */
export async function readFile(file: File): Promise<Attachment> {
  const data = new Uint8Array(await file.arrayBuffer());
  let binary = "";
  for (let at = 0; at < data.length; at += 0x8000) binary += String.fromCharCode(...data.subarray(at, at + 0x8000));
  return { name: file.name, content_base64: btoa(binary) };
}
