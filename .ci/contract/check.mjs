// What programs of others make of the bank's contract: the official AsyncAPI parser, and TypeScript
// that a generator makes of the schemas, on real events from the feed.
//
// usage: node check.mjs DOCUMENTS FEED [ELSEWHERE...]
//   DOCUMENTS  a folder that `schema export` wrote
//   FEED       where the accounts are served, http://127.0.0.1:8080
//   ELSEWHERE  streams that another service of the bank serves

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Parser } from "@asyncapi/parser";
import { compile } from "json-schema-to-typescript";
import ts from "typescript";

const [documents, feed, ...elsewhere] = process.argv.slice(2);
const json = async (path) => JSON.parse(await readFile(join(documents, path), "utf8"));

function must(holds, message) {
  if (!holds) {
    console.error(message);
    process.exit(1);
  }
}

// The official parser finds nothing, and finds what is wrong where something is.
const asyncapi = await json("asyncapi.json");
const parse = async (document) => {
  const { document: parsed, diagnostics } = await new Parser().parse(JSON.stringify(document));
  return { parsed, errors: diagnostics.filter((found) => found.severity === 0) };
};
const { parsed, errors } = await parse(asyncapi);
must(errors.length === 0, `asyncapi.json: ${JSON.stringify(errors, null, 2)}`);
const broken = structuredClone(asyncapi);
Object.values(broken.operations)[0].channel.$ref = "#/channels/nowhere";
must((await parse(broken)).errors.length > 0, "the parser does not see a reference to nowhere");
console.log(`the parser takes asyncapi.json: ${parsed.allMessages().length} messages`);

// Some events of every type, read from the beginning until all `types` were seen.
async function some(path, types) {
  const events = new Map();
  for (let after = 0; ; ) {
    const answer = await fetch(`${feed}${path}?after=${after}&limit=500`);
    must(answer.ok, `${answer.url} answers ${answer.status}`);
    const page = await answer.json();
    for (const event of page) {
      const alike = events.get(event.type) ?? [];
      events.set(event.type, alike.length < 20 ? [...alike, event] : alike);
    }
    if (page.length === 0 || events.size === types) return [...events.values()].flat();
    after = Number(page.at(-1).sequence);
  }
}

// A reader of server-sent events, until it has so many.
async function sent(path, after, count) {
  const headers = { accept: "text/event-stream", "last-event-id": after };
  const stop = new AbortController();
  const answer = await fetch(`${feed}${path}`, { headers, signal: stop.signal });
  must(answer.ok, `${answer.url} answers ${answer.status}`);
  const events = [];
  let text = "";
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const data = block.split("\n").find((line) => line.startsWith("data: "));
      if (data) events.push(JSON.parse(data.slice(6)));
    }
    if (events.length >= count) break;
  }
  stop.abort();
  return events.slice(0, count);
}

// What the feed says of itself is what was exported.
const told = await (await fetch(`${feed}/asyncapi.json`)).json();
must(JSON.stringify(told) === JSON.stringify(asyncapi), "the feed serves another asyncapi.json");
const catalogue = await (await fetch(`${feed}/streams`)).json();

// Each version of a stream becomes TypeScript, in which its real events are written down.
for (const [key, channel] of Object.entries(asyncapi.channels)) {
  const folder = `${channel["x-es-stream"]}/v${channel["x-es-version"]}`;
  const exported = await json(`${folder}/stream.json`);
  const entry = catalogue.find((entry) => entry.events === channel["x-es-feed"]);
  const isElsewhere = elsewhere.includes(channel["x-es-stream"]);
  must(Boolean(entry) !== isElsewhere, `${key} is ${entry ? "" : "not "}served here`);
  if (isElsewhere) continue;
  const served = await fetch(`${feed}${entry.schema}`);
  must(served.headers.get("cache-control").includes("immutable"), `${entry.schema} may change`);
  const schema = await served.json();
  must(JSON.stringify(schema) === JSON.stringify(exported), `${entry.schema} is not ${folder}/stream.json`);
  const events = await some(channel["x-es-feed"], Object.keys(channel.messages).length);
  const seen = new Set(events.map((event) => event.type));
  must(seen.size === Object.keys(channel.messages).length, `${key}: the feed told of ${[...seen]} alone`);

  // As they are sent, from the fifth on, they are the same.
  const page = await (await fetch(`${feed}${channel["x-es-feed"]}?after=5&limit=20`)).json();
  const streamed = await sent(channel["x-es-feed"], page[0].id.replace(/\d+$/, "5"), page.length);
  must(JSON.stringify(streamed) === JSON.stringify(page), `${key}: sent events are not those of the page`);
  events.push(...streamed);

  const generated = await compile(schema, schema.title, { unreachableDefinitions: true });
  const known = events.map((event) => `  ${JSON.stringify(event)},`).join("\n");
  // A wrong payload, a wrong type and a narrowed one: what the types are for.
  const wrong = { ...events[0], data: { nothing: true } };
  const program = `${generated}
export const events: ${schema.title}[] = [
${known}
];
// @ts-expect-error the payload is another one
export const wrong: ${schema.title} = ${JSON.stringify(wrong)};
// @ts-expect-error there is no such event
export const unknown: ${schema.title} = ${JSON.stringify({ ...events[0], type: "nothing" })};
export function data(event: ${schema.title}): unknown {
  switch (event.type) {
${[...seen].map((type) => `    case ${JSON.stringify(type)}: return event.data;`).join("\n")}
  }
}
`;
  const file = join(documents, `${key}.ts`);
  await writeFile(file, program);
  const options = { strict: true, noEmit: true, noImplicitReturns: true, types: [], target: ts.ScriptTarget.ES2022 };
  const found = ts.getPreEmitDiagnostics(ts.createProgram([file], options));
  const text = ts.formatDiagnostics(found, {
    getCanonicalFileName: (name) => name,
    getCurrentDirectory: () => documents,
    getNewLine: () => "\n",
  });
  must(found.length === 0, text);
  console.log(`TypeScript describes ${events.length} events of ${key}`);
}
