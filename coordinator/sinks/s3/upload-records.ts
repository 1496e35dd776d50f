import { z } from "zod";
import { formatChecked, parseChecked } from "../../assemble/checked-line.js";

/** Version of the format. Records of another version are refused, never guessed at. */
export const uploadsVersion = 1;

const count = z.int().nonnegative();
const crc32 = count.max(0xffff_ffff);
const name = z.string().max(1_100);

/** The first record: which output is sent where. */
const begun = z.object({ type: z.literal("uploads"), version: z.literal(uploadsVersion), url: name, plan: z.string() });
/** An upload is asked for. Without the record that follows, nobody knows whether the server began one. */
const creating = z.object({ type: z.literal("creating"), file: name, at: z.iso.datetime() });
const created = z.object({
  type: z.literal("created"),
  file: name,
  upload: z.string().min(1).max(4_096),
  partBytes: count.positive(),
  /** Of the whole file, told from its receipts. */
  crc32,
});
const part = z.object({
  type: z.literal("part"),
  file: name,
  part: count.positive(),
  bytes: count,
  crc32,
  etag: z.string().max(1_024),
});
const completed = z.object({ type: z.literal("completed"), file: name });
const ended = z.object({ type: z.literal("ended"), file: name });

const uploadRecord = z.discriminatedUnion("type", [begun, creating, created, part, completed, ended]);
export type UploadRecord = z.infer<typeof uploadRecord>;
export type SentPart = Omit<z.infer<typeof part>, "type" | "file">;

/** A record as one line, line break included. */
export function formatUploadRecord(record: UploadRecord): string {
  return `${formatChecked(JSON.stringify(record))}\n`;
}

/** The records of a journal's text up to the first line that is not what was once written. */
export function parseUploadRecords(text: string): readonly UploadRecord[] {
  const records: UploadRecord[] = [];
  for (const line of text.split("\n")) {
    const json = parseChecked(line);
    const parsed = json === undefined ? undefined : uploadRecord.safeParse(JSON.parse(json));
    if (parsed?.success !== true) return records;
    records.push(parsed.data);
  }
  return records;
}

/** What is on record of one file. */
export type FileRecord =
  /** Perhaps there is an upload, begun about then. */
  | { readonly state: "creating"; readonly at: string }
  | {
      readonly state: "sending";
      readonly upload: string;
      readonly partBytes: number;
      readonly crc32: number;
      /** By number, from 1 on. */
      readonly parts: ReadonlyMap<number, SentPart>;
    }
  | { readonly state: "completed" };

/** Adds a record to what is known of each file, by name. */
export function applyUploadRecord(files: Map<string, FileRecord>, record: UploadRecord): void {
  if (record.type === "uploads") return;
  const { file } = record;
  if (record.type === "creating") files.set(file, { state: "creating", at: record.at });
  else if (record.type === "created") {
    const { upload, partBytes, crc32 } = record;
    files.set(file, { state: "sending", upload, partBytes, crc32, parts: new Map() });
  } else if (record.type === "completed") files.set(file, { state: "completed" });
  else if (record.type === "ended") files.delete(file);
  else addPart(files, record);
}

function addPart(files: Map<string, FileRecord>, record: Extract<UploadRecord, { type: "part" }>): void {
  const { file, part, bytes, crc32, etag } = record;
  const known = files.get(file);
  if (known?.state !== "sending") return;
  (known.parts as Map<number, SentPart>).set(part, { part, bytes, crc32, etag });
}

/** The shortest list of records that says the same. */
export function recordsOf(files: ReadonlyMap<string, FileRecord>): readonly UploadRecord[] {
  return [...files].flatMap(([file, record]): readonly UploadRecord[] => {
    if (record.state === "creating") return [{ type: "creating", file, at: record.at }];
    if (record.state === "completed") return [{ type: "completed", file }];
    const { upload, partBytes, crc32, parts } = record;
    const sent = [...parts.values()].map((one): UploadRecord => ({ type: "part", file, ...one }));
    return [{ type: "created", file, upload, partBytes, crc32 }, ...sent];
  });
}
