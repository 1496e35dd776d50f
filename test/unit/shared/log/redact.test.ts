import fc from "fast-check";
import { expect, test } from "vitest";
import { redact } from "../../../../shared/log/redact.js";

const secret = "S3cr3tS3cr3tS3cr3t";

test.each([
  [`Cannot connect to nats://user:${secret}@host:4222`, "Cannot connect to nats://[redacted]@host:4222"],
  [`tls://${secret}@host:4222,tls://${secret}@b:1`, "tls://[redacted]@host:4222,tls://[redacted]@b:1"],
  [`"https://cdn.example/f?X-Amz-Signature=${secret}&b=c"`, '"https://cdn.example/f?[redacted]"'],
  [`Authorization: Bearer ${secret}`, "Authorization: [redacted]"],
  [`{"password":"${secret}"}`, '{"password":"[redacted]"}'],
  [`--token=${secret}`, "--token=[redacted]"],
  [`Bearer ${secret}`, "Bearer [redacted]"],
  [`api_key = ${secret}`, "api_key = [redacted]"],
  [`the token hf_${secret} does not do`, "the token [redacted] does not do"],
  [`nats://me:${secret}@${secret}@host:4222`, "nats://[redacted]@host:4222"],
  [`AWS_SECRET_ACCESS_KEY=${secret}`, "AWS_SECRET_ACCESS_KEY=[redacted]"],
  [`{"SecretAccessKey": "${secret}"}`, '{"SecretAccessKey": "[redacted]"}'],
  [`{\\"sessionToken\\":\\"${secret}\\"}`, '{\\"sessionToken\\":\\"[redacted]\\"}'],
  [`access_token=${secret}&a=b`, "access_token=[redacted]&a=b"],
  [`x-amz-security-token: ${secret}`, "x-amz-security-token: [redacted]"],
  [`authorization: Token ${secret}`, "authorization: [redacted]"],
  [`"authorization":"AWS4-HMAC-SHA256 Credential=a/b, Signature=${secret}"`, '"authorization":"[redacted]"'],
  [`Cookie: a=1; amalgam=${secret}`, "Cookie: [redacted]"],
  [`-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`, "[redacted]"],
  [`the seed SU${"A2B3".repeat(14)} is wrong`, "the seed [redacted] is wrong"],
  ["AKIAABCDEFGHIJKLMNOP is not known", "[redacted] is not known"],
])("%s is written as %s", (text, expected) => {
  expect(redact(text)).toBe(expected);
});

test.each([
  "Planned: 12 tensors of hf://owner/name@main/model.safetensors",
  'Cannot read "s3://bucket/prefix/model-00001-of-00002.safetensors": 404',
  "Agent a1 listens on 127.0.0.1:40123",
  "a token of 12 characters is too short",
  "https://host:8443/models/file",
  "5 tokens differ, key by key",
  "max_tokens: 100000, tokensPerSecond=123456, vocabulary=151936",
  'Authorization "Basic" is asked for',
])("%s has no secret and stays as it is", (text) => {
  expect(redact(text)).toBe(text);
});

test("no password of a URL and no query is left, wherever they stand", () => {
  const words = fc.string({ maxLength: 30 });
  fc.assert(
    fc.property(words, words, fc.constantFrom("https", "nats", "s3"), (before, after, scheme) => {
      const text = `${before} ${scheme}://me:${secret}@host/path?signature=${secret} ${after}`;
      expect(redact(text)).not.toContain(secret);
    }),
  );
});

test.each(["a://", "-eyJ", "token=", "a_", "Authorization: ", "-----BEGIN PRIVATE KEY-----"])(
  "text that is full of %j takes no time",
  (part) => {
    // Minutes, if one of the patterns went back over the text from each of its places.
    const text = part.repeat(16_000 / part.length);
    expect(redact(text).length).toBeLessThanOrEqual(text.length + 16_000);
  },
);
