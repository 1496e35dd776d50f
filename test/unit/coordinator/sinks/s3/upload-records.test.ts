import { expect, test } from "vitest";
import {
  applyUploadRecord,
  type FileRecord,
  formatUploadRecord,
  parseUploadRecords,
  recordsOf,
  type UploadRecord,
} from "../../../../../coordinator/sinks/s3/upload-records.js";

const records: readonly UploadRecord[] = [
  { type: "uploads", version: 1, url: "s3://bucket/merged", plan: "abc" },
  { type: "creating", file: "a", at: "2026-01-31T12:00:00.000Z" },
  { type: "created", file: "a", upload: "one", partBytes: 10, crc32: 7 },
  { type: "part", file: "a", part: 2, bytes: 10, crc32: 5, etag: '"x"' },
  { type: "creating", file: "b", at: "2026-01-31T12:00:01.000Z" },
  { type: "creating", file: "c", at: "2026-01-31T12:00:02.000Z" },
  { type: "created", file: "c", upload: "two", partBytes: 10, crc32: 0 },
  { type: "completed", file: "c" },
  { type: "creating", file: "d", at: "2026-01-31T12:00:03.000Z" },
  { type: "ended", file: "d" },
];

function filesOf(list: readonly UploadRecord[]): Map<string, FileRecord> {
  const files = new Map<string, FileRecord>();
  for (const record of list) applyUploadRecord(files, record);
  return files;
}

test("records say what is known of each file, and the shortest list of them says the same", () => {
  const files = filesOf(records);
  const part = { part: 2, bytes: 10, crc32: 5, etag: '"x"' };
  expect(files).toEqual(
    new Map<string, FileRecord>([
      ["a", { state: "sending", upload: "one", partBytes: 10, crc32: 7, parts: new Map([[2, part]]) }],
      ["b", { state: "creating", at: "2026-01-31T12:00:01.000Z" }],
      ["c", { state: "completed" }],
    ]),
  );
  expect(filesOf(recordsOf(files))).toEqual(files);
});

test("a journal that is cut anywhere is believed up to its last whole line", () => {
  const text = records.map(formatUploadRecord).join("");
  expect(parseUploadRecords(text)).toEqual(records);
  const second = formatUploadRecord(records[0] as UploadRecord).length;
  for (let end = second; end < text.length; end += 7) {
    const whole = text.slice(0, end).split("\n").length - 1;
    const found = parseUploadRecords(text.slice(0, end));
    expect(found.length - whole).toBeGreaterThanOrEqual(0);
    expect(records.slice(0, found.length)).toEqual(found);
  }
});

test("nothing is believed behind a line that was changed", () => {
  const lines = records.map(formatUploadRecord);
  lines[2] = lines[2]?.replace("one", "two") ?? "";
  expect(parseUploadRecords(lines.join(""))).toEqual(records.slice(0, 2));
});
