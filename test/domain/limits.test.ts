import { expect, test } from "bun:test";
import fc from "fast-check";
import { type Bucket, nextTokenMs, rateOf, refill } from "../../src/domain/limits.ts";

test("a rate is given as so many in a time; what a tenth of a second brings may begin at once", () => {
  expect(rateOf(10, 1_000)).toEqual({ tokenMs: 100, burst: 1 });
  expect(rateOf(1_000, 1_000)).toEqual({ tokenMs: 1, burst: 100 });
  expect(rateOf(5_000, 3_600_000)).toEqual({ tokenMs: 720, burst: 1 });
  expect(rateOf(10, 1_000, 10)).toEqual({ tokenMs: 100, burst: 10 });
});

test("in no time do more begin than it brings and the bucket holds, however often and when it is asked", () => {
  const moments = fc.array(fc.integer({ min: 0, max: 500 }), { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 10 }), moments, (limit, burst, waits) => {
      const rate = rateOf(limit, 1_000, burst);
      let [now, begun] = [0, 0];
      let bucket: Bucket | undefined;
      for (const wait of waits) {
        now += wait;
        bucket = refill(rate, bucket, now);
        while (bucket.tokens >= 1) {
          bucket = { ...bucket, tokens: bucket.tokens - 1 };
          begun += 1;
        }
        expect(begun).toBeLessThanOrEqual(burst + now / rate.tokenMs + 1e-6);
      }
    }),
  );
});

test("whoever waits as long as it says finds a token", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (limit, tokens) => {
      const rate = rateOf(limit, 60_000);
      const bucket = { tokens, at: 1_000 };
      expect(refill(rate, bucket, 1_000 + nextTokenMs(rate, bucket)).tokens).toBeGreaterThanOrEqual(1 - 1e-9);
    }),
  );
});

test("a clock that goes back brings nothing, and takes nothing", () => {
  const rate = rateOf(1, 1_000);
  const empty = { tokens: 0.5, at: 10_000 };
  expect(refill(rate, empty, 4_000)).toEqual({ tokens: 0.5, at: 4_000 });
});
