import { describe, expect, test } from "bun:test";
import { decodeText } from "../../src/tasks/parse/charset.ts";
import { crawl } from "../../src/tasks/parse/crawl.ts";
import { context, html, site } from "./harness.ts";

/** Encoding labels, a text in their script, and its bytes. */
const SAMPLES: [string, string, number[]][] = [
  ["utf-8", "Žluťoučký 日本 😀", [...new TextEncoder().encode("Žluťoučký 日本 😀")]],
  ["utf-16le", "Aя", [0x41, 0x00, 0x4f, 0x04]],
  ["utf-16be", "Aя", [0x00, 0x41, 0x04, 0x4f]],
  ["windows-1250", "Žš", [0x8e, 0x9a]],
  ["windows-1251", "Привет", [0xcf, 0xf0, 0xe8, 0xe2, 0xe5, 0xf2]],
  ["windows-1252", "“é€”", [0x93, 0xe9, 0x80, 0x94]],
  ["windows-1253", "Γειά", [0xc3, 0xe5, 0xe9, 0xdc]],
  ["windows-1254", "ğış", [0xf0, 0xfd, 0xfe]],
  ["windows-1255", "שלום", [0xf9, 0xec, 0xe5, 0xed]],
  ["windows-1256", "سلام", [0xd3, 0xe1, 0xc7, 0xe3]],
  ["windows-1257", "ąž", [0xe0, 0xfe]],
  ["windows-1258", "đơ", [0xf0, 0xf5]],
  ["windows-874", "กา", [0xa1, 0xd2]],
  ["iso-8859-1", "é€", [0xe9, 0x80]],
  ["iso-8859-2", "Łż", [0xa3, 0xbf]],
  ["iso-8859-5", "Мир", [0xbc, 0xd8, 0xe0]],
  ["iso-8859-7", "Γα", [0xc3, 0xe1]],
  ["iso-8859-8", "שם", [0xf9, 0xed]],
  ["iso-8859-9", "ğ", [0xf0]],
  ["iso-8859-15", "€Š", [0xa4, 0xa6]],
  ["koi8-r", "Привет", [0xf0, 0xd2, 0xc9, 0xd7, 0xc5, 0xd4]],
  ["koi8-u", "її", [0xa7, 0xa7]],
  ["ibm866", "Мир", [0x8c, 0xa8, 0xe0]],
  ["macintosh", "é", [0x8e]],
  ["x-mac-cyrillic", "Я", [0x9f]],
  ["shift_jis", "日本語ｱ", [0x93, 0xfa, 0x96, 0x7b, 0x8c, 0xea, 0xb1]],
  ["euc-jp", "日本語", [0xc6, 0xfc, 0xcb, 0xdc, 0xb8, 0xec]],
  ["iso-2022-jp", "日本", [0x1b, 0x24, 0x42, 0x46, 0x7c, 0x4b, 0x5c, 0x1b, 0x28, 0x42]],
  ["gbk", "中文", [0xd6, 0xd0, 0xce, 0xc4]],
  ["gb2312", "中文", [0xd6, 0xd0, 0xce, 0xc4]],
  ["gb18030", "中𠀀", [0xd6, 0xd0, 0x95, 0x32, 0x82, 0x36]],
  ["big5", "中文", [0xa4, 0xa4, 0xa4, 0xe5]],
  ["euc-kr", "한글", [0xc7, 0xd1, 0xb1, 0xdb]],
];

const ascii = (text: string): number[] => [...Buffer.from(text, "latin1")];
const wide = (charset: string, bytes: number[]): number[] => {
  if (!charset.startsWith("utf-16")) return bytes;
  return bytes.flatMap((byte) => (charset === "utf-16le" ? [byte, 0] : [0, byte]));
};

/** A page in the charset whose title is `title`, given as bytes of that charset. */
function page(charset: string, title: number[], head = ""): Uint8Array<ArrayBuffer> {
  const ascii16 = (text: string): number[] => wide(charset, ascii(text));
  return new Uint8Array([...ascii16(`<!doctype html><html><head>${head}<title>`), ...title, ...ascii16("</title><p>body")]);
}

describe("a charset", () => {
  test.each(SAMPLES)("%s is taken from the header", async (charset, text, bytes) => {
    await using server = site(() =>
      html(page(charset, bytes), { "content-type": `text/html; charset=${charset.toUpperCase()}` }),
    );
    const { pages } = await crawl({ url: server.origin }, context());
    expect(pages[0]?.title).toBe(text.replace(/\s+/g, " "));
  });

  test.each(SAMPLES.filter(([charset]) => !charset.startsWith("utf-16")))(
    "%s is taken from a meta tag",
    async (charset, text, bytes) => {
      const heads = [`<meta charset=${charset}>`, `<META content='text/html;charset=${charset}' http-equiv="Content-Type" />`];
      const pages = heads.map((head) => page(charset, bytes, head));
      await using server = site((_, path) => html(pages[Number(path.slice(1))] ?? "", { "content-type": "text/html" }));
      for (const at of pages.keys()) {
        const result = await crawl({ url: `${server.origin}/${at}` }, context());
        expect(result.pages[0]?.title).toBe(text);
      }
    },
  );

  test.each([
    ["utf-8", [0xef, 0xbb, 0xbf]],
    ["utf-16le", [0xff, 0xfe]],
    ["utf-16be", [0xfe, 0xff]],
  ])("%s is taken from a byte order mark, whatever the header says", async (charset, mark) => {
    const [, text, bytes] = SAMPLES.find(([name]) => name === charset) ?? ["", "", []];
    const body = new Uint8Array([...mark, ...page(charset, bytes, "<meta charset=koi8-r>")]);
    await using server = site(() => html(body, { "content-type": "text/html; charset=windows-1251" }));
    const { pages } = await crawl({ url: server.origin }, context());
    expect(pages[0]?.title).toBe(text);
  });
});

describe("decodeText", () => {
  const decode = (bytes: number[] | string, contentType: string | null = "text/html"): string =>
    decodeText(new Uint8Array(typeof bytes === "string" ? ascii(bytes) : bytes), contentType).charset;
  const cyrillic = "\xcf\xf0\xe8";

  test.each([
    ["the header wins over the meta tag", "<meta charset=koi8-r>", "text/html; charset=windows-1251", "windows-1251"],
    ["quotes and spaces around the header's charset", "", 'text/html;charset = "windows-1251" ; x=1', "windows-1251"],
    ["an unknown charset in the header counts for nothing", "<meta charset=koi8-r>", "text/html; charset=none", "koi8-r"],
    ["an unknown one in the meta tag, too", `<meta charset=nonsense>${cyrillic}`, "text/html", "windows-1252"],
    ["other labels of an encoding", "<meta charset='cp1251'>", "text/html", "windows-1251"],
    ["a meta tag in a comment counts for nothing", `<!-- <meta charset=koi8-r> -->${cyrillic}`, "text/html", "windows-1252"],
    [
      "nor does a charset in a description",
      `<meta name=description content=" charset=koi8-r">${cyrillic}`,
      "text/html",
      "windows-1252",
    ],
    ["a > within an attribute does not end the tag", '<meta data-x="a>b" charset="koi8-r">', "text/html", "koi8-r"],
    ["a meta tag after long scripts", `<script>${"x".repeat(6_000)}</script><meta charset=koi8-r>`, "text/html", "koi8-r"],
    ["UTF-16 in a meta tag cannot be true", "<meta charset=utf-16>", "text/html", "utf-8"],
    ["the XML declaration", '<?xml version="1.0" encoding="windows-1251"?><html>', "application/xhtml+xml", "windows-1251"],
    ["ASCII without any declaration", "<p>plain", "text/html", "utf-8"],
    ["nothing at all", "", null, "utf-8"],
    ["what is no UTF-8", cyrillic, null, "windows-1252"],
  ])("%s", (_, body, contentType, expected) => {
    expect(decode(body, contentType)).toBe(expected);
  });

  test("UTF-16 without mark or header", () => {
    expect(decode(wide("utf-16le", ascii("<html>")))).toBe("utf-16le");
    expect(decode(wide("utf-16be", ascii("<html>")))).toBe("utf-16be");
  });

  test("undeclared UTF-8 is recognised, and malformed bytes never throw", () => {
    expect(decodeText(new TextEncoder().encode("日本"), null)).toEqual({ text: "日本", charset: "utf-8" });
    expect(decodeText(new Uint8Array([0x61, 0xff, 0x62]), "text/html; charset=utf-8").text).toBe("a\ufffdb");
  });

  test("takes time in proportion to what it looks at, however the tags are broken", () => {
    const started = performance.now();
    for (const piece of ["<!--", "<meta ", '<meta "', "<meta content=", "<?xml "]) decode(piece.repeat(2_000));
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});
