import { expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync } from "node:fs";
import sharp, { type Sharp } from "sharp";
import { View } from "../support/e2e-view.ts";
import { LIMIT_MS } from "../support/waiting.ts";
import { placeWithExamples, runHeader, serveExamples } from "./examples.ts";

setDefaultTimeout(LIMIT_MS);

const [RED, BLUE] = ["#ff0000", "#0000ff"];

/** Red on the left, blue on the right, 1,600 by 800. */
async function picture(): Promise<Sharp> {
  const half = (background: string) =>
    sharp({ create: { width: 800, height: 800, channels: 3, background } })
      .png()
      .toBuffer();
  const [left, right] = [await half(RED), await half(BLUE)];
  const base = sharp({ create: { width: 1_600, height: 800, channels: 3, background: RED } });
  return base.composite([
    { input: left, left: 0, top: 0 },
    { input: right, left: 800, top: 0 },
  ]);
}

/** The colour at a point, in whole hundreds, so that what a format loses makes no difference. */
async function colour(file: string, left: number, top: number): Promise<readonly number[]> {
  const pixel = await sharp(file).removeAlpha().extract({ left, top, width: 1, height: 1 }).raw().toBuffer();
  return [...pixel].map((value) => Math.round(value / 100) * 100);
}

test("resize: real pixels, in each width and format, by worker threads of the executable", async () => {
  await using place = await placeWithExamples();
  const source = await picture();
  place.write({ "images/cat.jpg": await source.clone().jpeg().toBuffer(), "images/notes.txt": "no picture" });
  // As a camera that was held upright stores it: to be turned by a quarter, clockwise.
  place.write({ "images/upright.png": await source.clone().withMetadata({ orientation: 6 }).png().toBuffer() });
  const { ada } = await serveExamples(place, ["--threads", "2"]);
  const view = await View.open(ada);

  const { code, stdout } = await runHeader(place, "resize", ada);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    status: "done",
    progress: 1,
    result: {
      copies: [
        { file: "resized/cat.jpg.1280.webp", width: 1_280, height: 640 },
        { file: "resized/cat.jpg.320.webp", width: 320, height: 160 },
      ],
    },
  });

  const formats = ["webp", "avif", "jpeg", "png"] as const;
  const ids = await ada.submitAll("resize", [
    ...formats.map((format) => ({ source: "cat.jpg", widths: [100], format })),
    { source: "upright.png", widths: [200, 8_192] },
    { source: "notes.txt", widths: [100] },
    { source: "dog.jpg", widths: [100] },
  ]);
  await view.ended(ids);
  for (const [index, format] of formats.entries()) {
    const file = `resized/cat.jpg.100.${format}`;
    const path = place.path("images", file);
    const copies = [{ file, width: 100, height: 50, bytes: Bun.file(path).size }];
    expect(view.tasks.get(ids[index] ?? "")?.result).toEqual({ copies });
    const { width, height } = await sharp(path).metadata();
    expect([width, height]).toEqual([100, 50]);
    const sides = [await colour(path, 10, 25), await colour(path, 90, 25)];
    expect(sides).toEqual([
      [300, 0, 0],
      [0, 0, 300],
    ]);
  }
  const turned = place.path("images/resized/upright.png.200.webp");
  expect([await colour(turned, 100, 40), await colour(turned, 100, 360)]).toEqual([
    [300, 0, 0],
    [0, 0, 300],
  ]);
  // Never larger than it was.
  expect(view.tasks.get(ids[4] ?? "")?.result).toMatchObject({ copies: [{ height: 400 }, { width: 800, height: 1_600 }] });

  expect(view.tasks.get(ids[5] ?? "")).toMatchObject({ status: "failed", attempt: 1, error: { code: "no_picture" } });
  expect(view.tasks.get(ids[6] ?? "")).toMatchObject({ status: "failed", attempt: 1, error: { code: "no_such_picture" } });
  for (const name of ["../cat.jpg", "/etc/hosts", "a/b.jpg", "..", ""])
    expect(await ada.call("POST", "/tasks/resize", { source: name, widths: [100] })).toMatchObject({ status: 422 });
  // Nothing unfinished is left.
  expect(readdirSync(place.path("images/resized")).filter((name) => !/\.\d+\.(webp|avif|jpeg|png)$/.test(name))).toEqual([]);
  view.close();
});
