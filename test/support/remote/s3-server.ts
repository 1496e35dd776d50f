import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import * as s3 from "@aws-sdk/client-s3";
import { createS3Client } from "../../../shared/remote/s3/client.js";
import { s3ServerPath } from "./s3-binary.js";

/** What a client is told to reach a server. */
export type S3Env = Readonly<Record<string, string>>;

export interface S3Server extends AsyncDisposable {
  readonly port: number;
  /** Of the server, or of something between it and the client. */
  env(endpoint?: string): S3Env;
  /** For a test's own looks: never through a proxy. */
  readonly client: s3.S3Client;
  /** A new bucket that keeps every version of an object. */
  bucket(): Promise<TestBucket>;
}

/** A bucket as a test sees it. */
export interface TestBucket {
  readonly name: string;
  /** `s3://bucket/…`. */
  url(...path: readonly string[]): string;
  put(key: string, body: Uint8Array | string): Promise<void>;
  get(key: string): Promise<Buffer>;
  keys(): Promise<readonly string[]>;
  /** How many versions there are of each object, deletions included. */
  versions(): Promise<Readonly<Record<string, number>>>;
  /** Keys of uploads that were begun and neither completed nor aborted. */
  uploads(): Promise<readonly string[]>;
}

const access = "tester";
const secret = "secret-of-the-tester";

/** A real versitygw on a free port of loopback, which does not outlive the test process. */
export async function startS3Server(): Promise<S3Server> {
  const path = s3ServerPath();
  const base = await mkdtemp(join(tmpdir(), "amalgam-s3-"));
  const port = await freePort();
  const [data, versions] = [join(base, "data"), join(base, "versions")];
  await mkdir(data);
  await mkdir(versions);
  const words = ["--port", `127.0.0.1:${port}`, "--access", access, "--secret", secret, "--quiet", "--keep-alive"];
  // What is not an object's bytes goes into extended attributes. Its "--sidecar", for file systems without any, takes an
  // object that was deleted and written again for deleted.
  const posix = ["posix", "--versioning-dir", versions, data];
  const server = launch(path, [...words, ...posix]);
  const env = (endpoint = `http://127.0.0.1:${port}`): S3Env => ({
    AWS_ENDPOINT_URL_S3: endpoint,
    AWS_REGION: "us-east-1",
    AWS_ACCESS_KEY_ID: access,
    AWS_SECRET_ACCESS_KEY: secret,
  });
  const client = createS3Client({ env: env() });
  const dispose = async (): Promise<void> => {
    client.destroy();
    if (server.exitCode === null && server.signalCode === null) {
      const exit = once(server, "exit");
      server.kill("SIGKILL");
      await exit;
    }
    await rm(base, { recursive: true, force: true });
  };
  try {
    await untilAnswers(client, server);
  } catch (error) {
    await dispose();
    throw error;
  }
  let buckets = 0;
  return {
    port,
    env,
    client,
    bucket: async () => {
      buckets += 1;
      const Bucket = `bucket-${buckets}`;
      await client.send(new s3.CreateBucketCommand({ Bucket }));
      const VersioningConfiguration = { Status: "Enabled" } as const;
      await client.send(new s3.PutBucketVersioningCommand({ Bucket, VersioningConfiguration }));
      return bucketOf(client, Bucket);
    },
    [Symbol.asyncDispose]: dispose,
  };
}

function bucketOf(client: s3.S3Client, Bucket: string): TestBucket {
  return {
    name: Bucket,
    url: (...path) => [`s3://${Bucket}`, ...path].join("/"),
    put: async (Key, Body) => {
      await client.send(new s3.PutObjectCommand({ Bucket, Key, Body, ContentLength: Buffer.byteLength(Body) }));
    },
    get: async (Key) => {
      const { Body } = await client.send(new s3.GetObjectCommand({ Bucket, Key }));
      return Buffer.from((await Body?.transformToByteArray()) ?? []);
    },
    keys: async () => {
      const { Contents = [] } = await client.send(new s3.ListObjectsV2Command({ Bucket }));
      return Contents.map(({ Key = "" }) => Key).sort();
    },
    versions: async () => {
      const { Versions = [], DeleteMarkers = [] } = await client.send(new s3.ListObjectVersionsCommand({ Bucket }));
      const counts: Record<string, number> = {};
      for (const { Key = "" } of [...Versions, ...DeleteMarkers]) counts[Key] = (counts[Key] ?? 0) + 1;
      return counts;
    },
    uploads: async () => {
      const { Uploads = [] } = await client.send(new s3.ListMultipartUploadsCommand({ Bucket }));
      return Uploads.map(({ Key = "" }) => Key).sort();
    },
  };
}

function launch(path: string, words: readonly string[]): ChildProcess {
  // The kernel ends it with us even when we are killed; where that tool is missing, the exit handler has to do.
  const dieWithParent = existsSync("/usr/bin/setpriv") ? ["/usr/bin/setpriv", "--pdeathsig", "KILL"] : [];
  const [command = path, ...args] = [...dieWithParent, path, ...words];
  const child = spawn(command, args, { stdio: "ignore" });
  const end = (): void => void child.kill("SIGKILL");
  process.once("exit", end);
  child.once("exit", () => process.off("exit", end));
  return child;
}

async function untilAnswers(client: s3.S3Client, server: ChildProcess): Promise<void> {
  for (;;) {
    try {
      await client.send(new s3.ListBucketsCommand({}));
      return;
    } catch (error) {
      if (server.exitCode !== null || server.signalCode !== null) throw error;
      await sleep(50);
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("A TCP server has a port");
  return address.port;
}
