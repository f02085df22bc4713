import { describe, expect, test } from "bun:test";
import { parsePage } from "../../src/tasks/parse/page.ts";

const URL = "http://site.example/dir/page.html?q=1";
const parse = (html: string) => parsePage(html, URL);
const headings = (html: string) => parse(html).headings.map(({ level, text }) => `${level} ${text}`);

describe("title, description and language", () => {
  test("are read, with entities decoded and whitespace collapsed", () => {
    const page = parse(`<!doctype html><html lang="de-AT"><head>
      <title>
        Caf&eacute; &amp; B&#xe4;r &#8212; &notin;&nbsp;&CounterClockwiseContourIntegral; </title>
      <meta content="A &quot;quoted&quot;  text" name="Description"><p>x`);
    expect(page).toMatchObject({ title: "Café & Bär — ∉ ∳", description: 'A "quoted" text', lang: "de-AT" });
  });

  test("are null when absent or blank", () => {
    for (const html of [
      "",
      "<p>x",
      "<html lang=''><title> </title><meta name=description content=''>",
      "<meta name=keywords content=x>",
    ]) {
      expect(parse(html)).toMatchObject({ title: null, description: null, lang: null });
    }
  });

  test("are the first ones, and no picture's", () => {
    expect(parse("<svg><title>icon</title></svg><title>one</title><title>two</title>").title).toBe("one");
    expect(parse("<title/>self-closed is not closed</title>").title).toBe("self-closed is not closed");
    expect(parse('<html xml:lang="fr"><meta name=description content=a><meta name=description content=b>')).toMatchObject({
      lang: "fr",
      description: "a",
    });
  });

  test("keep markup that is text", () => {
    expect(parse("<title>the <b> tag &lt;i></title>").title).toBe("the <b> tag <i>");
    expect(parse("<title>never closed").title).toBe("never closed");
  });

  test("are bounded, and not cut through a character", () => {
    expect(parse(`<title>${"a".repeat(499)}😀😀</title>`).title).toBe("a".repeat(499));
    expect(parse(`<meta name=description content="${"é".repeat(5_000)}">`).description).toHaveLength(1_000);
  });
});

describe("headings", () => {
  test("come in order with their levels", () => {
    expect(headings("<h2>b</h2><h1>a</h1><div><h6>c</h6></div><h3>d</h3>")).toEqual(["2 b", "1 a", "6 c", "3 d"]);
  });

  test("are the text of everything in them", () => {
    expect(
      headings("<h1> One <em>t<b>w</b>o</em>\n <!-- no --> &lt;three&gt;<script>x</script><br>four <img alt=no></h1>"),
    ).toEqual(["1 One two <three> four"]);
    expect(headings("<h1><div>first</div><div>second</div></h1>")).toEqual(["1 first second"]);
  });

  test("that are empty are left out", () => {
    expect(headings("<h1></h1><h2> &nbsp; </h2><h3><img src=x></h3><h4>yes</h4>")).toEqual(["4 yes"]);
  });

  test("do not nest, and end although their end tag is missing", () => {
    expect(headings("<h1>one<h2>two</h2>three</h1>")).toEqual(["1 one", "2 two"]);
    expect(headings("<h1>one<h2>two<p>text<h3>three")).toEqual(["1 one", "2 two", "3 three"]);
    expect(headings("<h1>one<ul><li>a list")).toEqual(["1 one"]);
    expect(headings("<div><h1>one</div>text<h2>two</h3>text")).toEqual(["1 one", "2 two"]);
    expect(headings("<h1><div>one<br/></div><p></p>two</h1>")).toEqual(["1 one"]);
  });

  test("that are not shown do not count", () => {
    expect(headings("<template><h1>a</h1></template><noscript><h1>b</h1></noscript><!--<h1>c</h1>--><h1>d</h1>")).toEqual([
      "1 d",
    ]);
  });

  test("are bounded in length and number", () => {
    expect(headings(`<h1>${"long ".repeat(10_000)}</h1>`)[0]).toBe(`1 ${"long ".repeat(100).trim()}`);
    expect(headings("<h1>x</h1>".repeat(1_000))).toHaveLength(500);
  });
});

describe("links", () => {
  const links = (html: string) => parse(html).links;

  test("are absolute, without fragment, each once, in document order", () => {
    const html = `<a href="b">b</a> <a href="/a#x">a</a><map><area href="../c?d=1&amp;e=2"></map><a href="b#other">b</a>
      <A HREF=//other.example:80/>o</A><a href=" ?only\n=query ">q</a><a href="https://other.example:443/x">x</a><a href="/a">a`;
    expect(links(html)).toEqual([
      "http://site.example/dir/b",
      "http://site.example/a",
      "http://site.example/c?d=1&e=2",
      "http://other.example/",
      "http://site.example/dir/page.html?only=query",
      "https://other.example/x",
    ]);
  });

  test("lead to pages only", () => {
    const html = `<a href="mailto:a@b.c">m</a><a href="javascript:void(0)">j</a><a href="tel:1">t</a><a href="data:,x">d</a><a href="ftp://a.b/">f</a>
      <a href="http://">none</a><a name="anchor">n</a><a href="http://[bad/">b</a><link href="/style.css"><template><a href="/t">t</a></template>
      <script>"<a href='/s'>"</script><!-- <a href="/c"> --><a href="http://a.b/${"x".repeat(3_000)}">long</a>`;
    expect(links(html)).toEqual([]);
  });

  test("lose user name and password", () => {
    expect(links("<a href='http://user:secret@other.example/'>x</a>")).toEqual(["http://other.example/"]);
  });

  test.each([
    ['<base href="/other/">', "http://site.example/other/x"],
    ['<base href="http://cdn.example/a/b?c">', "http://cdn.example/a/x"],
    ['<base target=_top><base href="sub/"><base href="/no/">', "http://site.example/dir/sub/x"],
    ['<base href="/a&amp;b/">', "http://site.example/a&b/x"],
    ['<base href="data:text/html,x">', "http://site.example/dir/x"],
    ['<base href="http://[bad">', "http://site.example/dir/x"],
  ])("start from %s", (base, expected) => {
    expect(links(`${base}<a href=x>x</a>`)).toEqual([expected]);
    // Even where the base comes later.
    expect(links(`<a href=x>x</a>${base}`)).toEqual([expected]);
  });

  test("have their entities decoded by the rules of attributes", () => {
    expect(links('<a href="?a=1&copy=2&amp;lt=3&#x26;d=4">x</a>')).toEqual([
      "http://site.example/dir/page.html?a=1&copy=2&lt=3&d=4",
    ]);
  });

  test("are at most 2,000", () => {
    expect(links(Array.from({ length: 5_000 }, (_, at) => `<a href=${at}>x</a>`).join(""))).toHaveLength(2_000);
  });
});

describe("words", () => {
  test.each([
    ["<p>Hello, brave new world!</p>", 4],
    ["<title>not counted</title><p>one", 1],
    ["b<b>o</b>ld is <i>one</i>", 3],
    ["<p>one<p>two<div>three</div>four<br>five", 5],
    ["<td>a<td>b<li>c<li>d", 4],
    ["don't count well-known — – … & words twice 3.14", 6],
    ["caf&eacute; na&iuml;ve&nbsp;x", 3],
    ["<script>var a b</script><style>p {}</style><noscript>on</noscript><template>t <p>u</template><iframe>i</iframe>seen", 1],
    ["<!-- a comment -->", 0],
    ["Привет, мир! Γειά σου. שלום עולם", 6],
    ["한국어 문장 입니다", 3],
    ["日本語の文章", 3],
    ["中文分词", 2],
    ["ภาษาไทย", 2],
    ["Version 2 の日本語 text", 5],
    ["", 0],
  ])("%p has %d", (html, expected) => {
    expect(parse(html).words).toBe(expected);
  });

  test("are counted as well when the text is long, and fast", () => {
    const started = performance.now();
    expect(parse(`<p>${"word ".repeat(200_000)}`).words).toBe(200_000);
    expect(parse(`<p>${"-".repeat(1_000_000)}x ${"a".repeat(1_000_000)}`).words).toBe(2);
    expect(parse(`<p>${"日本語の".repeat(100_000)}`).words).toBeGreaterThan(150_000);
    expect(performance.now() - started).toBeLessThan(10_000);
  });
});

describe("SVG, MathML and XHTML", () => {
  test("have elements that end themselves", () => {
    const body = "<svg><script/><style/><title/><text>drawn</text></svg><p>two words<math><mi>x</mi></math>";
    expect(parse(body)).toMatchObject({ words: 4, title: null });
    expect(parse("<svg/><title>yes</title>").title).toBe("yes");
    const xhtml = '<html><head><title>t</title><script src="x"/></head><body><p/>seen <![CDATA[as <b> text]]></body></html>';
    expect(parsePage(xhtml, URL, true)).toMatchObject({ title: "t", words: 4 });
    // In HTML a script never does.
    expect(parse(xhtml).words).toBe(0);
  });

  test("end where HTML begins", () => {
    expect(parse("<svg><path><div>one</div><script>if (a<b) two</script><title>t</title>")).toMatchObject({
      words: 1,
      title: "t",
    });
  });
});

test("hidden elements may hold their like, and stay hidden when never closed", () => {
  expect(parse("<template>a<template>b</template>c</template>seen").words).toBe(1);
  expect(parse("seen<script>hidden</p></div> words").words).toBe(1);
  expect(parse("seen<noscript><a href=x>hidden</a><h1>x</h1>")).toMatchObject({ words: 1, links: [], headings: [] });
});

test.each([
  ["open elements and end tags that match none", `${"<div>".repeat(100_000)}${"</p>".repeat(125_000)}`],
  ["open elements", "<b>".repeat(300_000)],
  ["open comments", "<!--".repeat(250_000)],
  ["angle brackets", "<".repeat(1_000_000)],
  ["ampersands", "&".repeat(1_000_000)],
  ["attributes", `<a ${"b=c ".repeat(250_000)}`],
  ["headings", "<h1>x".repeat(160_000)],
  ["a title", `<title>${"x &amp; ".repeat(125_000)}`],
])("1 MB of %s take time in proportion to their length", (_, html) => {
  const started = performance.now();
  parse(html);
  // A tenth of a second on an idle machine; the first takes a minute with a stack of open elements.
  expect(performance.now() - started).toBeLessThan(10_000);
});

test("broken markup never throws", () => {
  const pieces = [
    "<",
    ">",
    "<a",
    "<a href=",
    "'",
    '"',
    "<h1",
    "</h2>",
    "<svg>",
    "</svg",
    "<title>",
    "<!--",
    "-->",
    "<![CDATA[",
    "&",
    "&#",
    "&#x110000;",
    "\0",
    "\ud800",
  ];
  let seed = 1;
  for (let round = 0; round < 500; round++) {
    let html = "";
    for (let at = 0; at < 20; at++) {
      seed = (seed * 48_271) % 2_147_483_647;
      html += pieces[seed % pieces.length];
    }
    expect(() => parse(html)).not.toThrow();
  }
});
