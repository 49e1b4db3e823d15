// Trying an operation: a form for what it takes, the request that this makes, and what was answered.

import { el } from "./schema.js";

const LONGEST = 1_000_000;

export function trial(schemas, operation, context) {
  const fields = [];
  const form = el("form", { class: "trial", autocomplete: "off", "aria-label": `Try ${operation.method} ${operation.path}` });
  for (const parameter of operation.parameters) {
    const made = field(schemas, parameter.name, parameter.schema, parameter.required, parameter.in);
    if (parameter.in === "cookie") {
      made.input.disabled = true;
      made.input.placeholder = "the browser sends its own";
    } else fields.push({ ...made, parameter });
    form.append(made.line);
  }
  const body = bodyPart(schemas, operation);
  if (body) form.append(body.part);
  const stop = el("button", { type: "button", class: "plain", hidden: true }, "Stop");
  const command = el("button", { type: "button", class: "plain" }, "Copy as curl");
  const said = el("span", { role: "status", class: "dim" });
  const answer = el("div", { class: "answer", "aria-live": "polite" });
  form.append(el("div", { class: "actions" }, el("button", { type: "submit", class: "send" }, "Send"), stop, command, said), answer);

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const abort = new AbortController();
    stop.hidden = false;
    stop.onclick = () => abort.abort();
    try {
      await send(request(operation, fields, body, context), abort.signal, answer);
    } finally {
      stop.hidden = true;
    }
  });
  command.addEventListener("click", async () => {
    const text = curl(request(operation, fields, body, context));
    try {
      await navigator.clipboard.writeText(text);
      said.textContent = "copied";
    } catch {  // pages that are not served by TLS have no clipboard
      answer.replaceChildren(el("pre", {}, text));
    }
  });
  return form;
}

let number = 0;

function field(schemas, name, schema, required, source) {
  const id = `field-${++number}`;
  const found = schemas.follow(schema ?? {});
  const many = found.type === "array";
  const choices = schemas.choices(found);
  let input;
  if (found.format === "binary" || (many && schemas.follow(found.items).format === "binary"))
    input = el("input", { id, type: "file", multiple: many, required });
  else if (!many && (choices.length || found.type === "boolean")) {
    const options = choices.length ? choices : [true, false];
    input = el("select", { id, required }, el("option", { value: "" }, ""), options.map((each) => el("option", {}, String(each))));
  } else if (many) input = el("textarea", { id, rows: 2, required, placeholder: choices.length ? `one in each line: ${choices.join(", ")}` : "one in each line" });
  else input = el("input", { id, type: "text", required, placeholder: found.default != null ? String(found.default) : found.format ?? "", spellcheck: "false" });
  if (required && source !== "cookie" && input.type !== "file" && !many) {
    const example = schemas.example(found);
    if (typeof example !== "object") input.value = String(example);
  }
  // a text may be empty; a part of the path may not
  if (source !== "path" && found.type === "string" && !found.minLength && input.type !== "file") input.required = false;
  const label = el("label", { for: id }, name, el("small", {}, ` ${source}`), required ? el("b", { title: "required" }, "*") : null);
  return { name, line: el("div", { class: "field" }, label, input), input, many, required };
}

// What a field says: no, one or several texts or files.
function values({ input, many, required }) {
  if (input.type === "file") return [...input.files];
  if (many) return input.value.split("\n").filter((line) => line !== "");
  return input.value === "" && !required ? [] : [input.value];
}

function bodyPart(schemas, operation) {
  const content = operation.body?.content;
  if (!content) return null;
  const kinds = Object.keys(content);
  const part = el("div", { class: "body" });
  const made = { part };
  const show = (kind) => {
    const schema = schemas.follow(content[kind].schema ?? {});
    made.kind = kind;
    made.fields = made.input = null;
    if (/form/.test(kind)) {
      made.fields = Object.entries(schema.properties ?? {}).map(([name, each]) =>
        field(schemas, name, each, schema.required?.includes(name) ?? false, "form"));
      return made.fields.map((each) => each.line);
    }
    const id = `field-${++number}`;
    if (kind === "application/octet-stream") made.input = el("input", { id, type: "file" });
    else made.input = el("textarea", { id, rows: 6, spellcheck: "false" });
    if (/json/.test(kind)) {
      made.input.value = JSON.stringify(schemas.example(schema), null, 2);
      made.input.rows = Math.min(16, made.input.value.split("\n").length + 1);
    }
    return [el("div", { class: "field wide" }, el("label", { for: id }, "body ", el("small", {}, kind)), made.input)];
  };
  const inside = el("div", {});
  if (kinds.length > 1) {
    const select = el("select", { "aria-label": "Content type", onchange: () => inside.replaceChildren(...show(select.value)) },
      kinds.map((kind) => el("option", {}, kind)));
    part.append(el("div", { class: "field" }, el("label", {}, "body ", el("small", {}, "sent as")), select));
  }
  inside.replaceChildren(...show(kinds[0]));
  part.append(inside);
  return made;
}

function request(operation, fields, body, context) {
  let path = operation.path;
  const query = new URLSearchParams();
  const headers = new Headers();
  for (const each of fields) {
    const found = values(each);
    const { name, in: source } = each.parameter;
    if (source === "path") path = path.replaceAll(`{${name}}`, encodeURIComponent(found[0] ?? ""));
    else if (source === "query") found.forEach((value) => query.append(name, value));
    else if (found.length) headers.set(name, found.join(", "));
  }
  if (context.authorization() && !headers.has("Authorization")) headers.set("Authorization", context.authorization());
  const url = new URL(`${context.server().replace(/\/$/, "")}${path}`);
  url.search = query.toString();
  const made = { method: operation.method, url: url.href, headers, parts: null, body: undefined };
  if (body?.fields) {
    made.parts = body.fields.flatMap((each) => values(each).map((value) => [each.name, value]));
    made.body = body.kind === "multipart/form-data" ? new FormData() : new URLSearchParams();
    made.parts.forEach(([name, value]) => made.body.append(name, value));
  } else if (body) {
    made.body = body.input.type === "file" ? body.input.files[0] : body.input.value;
    if (made.body) headers.set("Content-Type", body.kind);
    else made.body = undefined;
  }
  return made;
}

function curl({ method, url, headers, parts, body }) {
  const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
  const words = ["curl", "-i", "-X", method, quoted(url)];
  headers.forEach((value, name) => words.push("-H", quoted(`${name}: ${value}`)));
  if (parts) {
    const option = body instanceof FormData ? "-F" : "--data-urlencode";
    parts.forEach(([name, value]) => words.push(option, quoted(`${name}=${value instanceof File ? `@${value.name}` : value}`)));
  } else if (body instanceof File) words.push("--data-binary", quoted(`@${body.name}`));
  else if (body !== undefined) words.push("--data-raw", quoted(body));
  return words.join(" ");
}

async function send({ method, url, headers, body }, signal, answer) {
  answer.replaceChildren(el("p", { class: "dim" }, `${method} ${url} …`));
  const began = performance.now();
  try {
    const response = await fetch(url, { method, headers, body, signal, redirect: "manual" });
    const took = `${Math.round(performance.now() - began)} ms`;
    if (response.type === "opaqueredirect") {
      answer.replaceChildren(el("p", {}, el("strong", {}, "A redirect."), " A browser does not tell where to; curl does."));
      return;
    }
    const status = el("strong", { class: `status s${Math.floor(response.status / 100)}` }, `${response.status} ${response.statusText}`);
    const told = [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n");
    const text = el("pre", { tabindex: 0, "aria-label": "Body of the response" });
    answer.replaceChildren(el("p", {}, status, el("span", { class: "dim" }, ` ${took}`)),
      el("details", {}, el("summary", {}, "Headers"), el("pre", {}, told)), text);
    await read(response, text);
    if (!text.textContent) text.replaceWith(el("p", { class: "dim" }, "without a body"));
  } catch (error) {
    const stopped = signal.aborted;
    const why = stopped ? "Stopped." : `No answer: ${error.message}. Is the service there, and may this page ask it?`;
    answer.append(el("p", { class: stopped ? "dim" : "bad" }, why));
  }
}

async function read(response, text) {
  const type = response.headers.get("Content-Type") ?? "";
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let all = "";
  while (reader && all.length < LONGEST) {
    const { done, value } = await reader.read();
    if (done) break;
    all += decoder.decode(value, { stream: true });
    text.textContent = all;
  }
  if (/^application\/([\w.-]+\+)?json\b/.test(type)) {
    try {
      text.textContent = JSON.stringify(JSON.parse(all), null, 2);
    } catch { /* it is shown as it came */ }
  }
  if (all.length >= LONGEST) {
    reader.cancel();
    text.after(el("p", { class: "dim" }, "There is more, which is not shown."));
  }
}
