// Makes smaller copies of a picture with sharp, one for each width, as web pages want them.
// Shows: a package with native code, progress by step, errors that no retry mends, a result that may safely be made twice.
// artel run resize --source cat.jpg --widths 1280 --widths 320 --format webp --watch
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { NonRetryableError, t, task } from "artel";
import sharp, { type Sharp } from "sharp";

/** Pictures are read from here; the copies go into its folder `resized`. */
const IMAGES = process.env["IMAGES"] ?? join(import.meta.dirname, "../images");

export default task({
  description: "Makes smaller copies of a picture",
  input: t.Object({
    // A name and no path: nothing outside of the folder can be named.
    source: t.String({ pattern: "^\\w[\\w.-]*$", description: "A file in the folder of pictures" }),
    widths: t.Array(t.Integer({ minimum: 1, maximum: 8_192 }), { minItems: 1, maxItems: 10, uniqueItems: true }),
    format: t.Optional(t.Union([t.Literal("webp"), t.Literal("avif"), t.Literal("jpeg"), t.Literal("png")], { default: "webp" })),
  }),
  timeout: "2m",

  async run({ source, widths, format = "webp" }, ctx) {
    const picture = await open(join(IMAGES, source));
    await mkdir(join(IMAGES, "resized"), { recursive: true });
    const copies: { file: string; width: number; height: number; bytes: number }[] = [];
    for (const width of widths) {
      ctx.signal.throwIfAborted();
      ctx.progress(copies.length, widths.length, `${width} pixels wide`);
      const file = `resized/${source}.${width}.${format}`;
      // Written beside and renamed: nobody reads half a picture, and a second run puts the same one in its place.
      const unfinished = join(IMAGES, `${file}.${crypto.randomUUID()}`);
      const written = await picture.clone().resize({ width, withoutEnlargement: true }).toFormat(format).toFile(unfinished);
      await rename(unfinished, join(IMAGES, file));
      copies.push({ file, width: written.width, height: written.height, bytes: written.size });
    }
    return { copies };
  },
});

/** The picture, turned the way the camera was held. */
async function open(path: string): Promise<Sharp> {
  if (!(await Bun.file(path).exists())) throw new NonRetryableError("no_such_picture", "the folder has no such picture");
  const picture = sharp(path).autoOrient();
  try {
    await picture.metadata();
  } catch (cause) {
    throw new NonRetryableError("no_picture", "the file is no picture that can be read", { cause });
  }
  return picture;
}
