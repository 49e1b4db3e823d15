// The page: the operations of the document, by tag, to find, to read and to try.

import { el, prose, Schemas } from "./schema.js";
import { trial } from "./trial.js";

const METHODS = ["get", "head", "options", "post", "put", "patch", "delete", "trace"];
const find = (id) => document.getElementById(id);

async function main() {
  const { document: place, root } = document.body.dataset;
  const address = new URL(place, location.href);
  try {
    const response = await fetch(address, { headers: { Accept: "application/json" } });
    if (!response.ok) throw new Error(`it is answered with ${response.status} ${response.statusText}`);
    show(await response.json(), address, new URL(root, location.href));
    find("state").remove();
  } catch (error) {
    find("state").replaceChildren("There is no document to show: ", error.message);
    find("state").classList.add("bad");
    console.error(error);
  }
}

function show(api, address, root) {
  const schemas = new Schemas(api);
  const context = head(api, address, root);
  const groups = grouped(operationsOf(api, schemas), api.tags ?? []);
  const shown = [];
  for (const [tag, operations] of groups) {
    const items = [];
    const section = el("section", { "aria-label": tag });
    if (groups.size > 1 || tag !== OTHERS) section.append(el("h2", {}, tag));
    for (const operation of operations) {
      const card = cardOf(schemas, operation, context);
      const entry = entryOf(operation, card);
      section.append(card);
      items.push(entry);
      shown.push({ operation, card, entry });
    }
    const list = el("ul", {}, items);
    find("entries").append(...(groups.size > 1 || tag !== OTHERS ? [el("h2", {}, tag), list] : [list]));
    find("operations").append(section);
  }
  if (!shown.length) find("operations").append(el("p", { class: "dim" }, "The service has no typed routes."));
  models(api, schemas);
  searching(shown);
  addEventListener("hashchange", openTarget);
  openTarget();
}

function head(api, address, root) {
  const { title, version, description } = api.info;
  document.title = title;
  const urls = (api.servers ?? []).map((each) => new URL(each.url, address).href);
  const servers = urls.length ? urls : [root.href];
  const select = el("select", { id: "server" }, servers.map((url) => el("option", {}, url)));
  const authorization = el("input", { id: "authorization", type: "password", placeholder: "Bearer …", autocomplete: "off" });
  const options = el("details", { class: "options" }, el("summary", {}, "Where and as whom to try"),
    el("form", { onsubmit: (event) => event.preventDefault() },
      el("div", { class: "field" }, el("label", { for: "server" }, "Server"), select),
      el("div", { class: "field" }, el("label", { for: "authorization" }, "Authorization"), authorization)));
  find("head").replaceChildren(el("h1", {}, title, " ", el("span", { class: "version" }, version)),
    description ? prose(description) : "", el("p", {}, el("a", { href: address.href }, "OpenAPI document")), options);
  return { server: () => select.value, authorization: () => authorization.value };
}

function operationsOf(api, schemas) {
  const found = [];
  for (const [path, item] of Object.entries(api.paths ?? {}))
    for (const method of METHODS.filter((each) => item[each])) {
      const told = item[method];
      found.push({
        path, method: method.toUpperCase(), told, id: told.operationId ?? `${method} ${path}`,
        parameters: [...(item.parameters ?? []), ...(told.parameters ?? [])].map((each) => schemas.follow(each)),
        body: told.requestBody && schemas.follow(told.requestBody),
      });
    }
  return found;
}

const OTHERS = "others";

function grouped(operations, tags) {
  const groups = new Map(tags.map(({ name }) => [name, []]));
  groups.set(OTHERS, []);
  for (const each of operations)
    for (const tag of each.told.tags?.length ? each.told.tags : [OTHERS]) {
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(each);
    }
  for (const [tag, each] of groups) if (!each.length) groups.delete(tag);
  return groups;
}

const badge = (method) => el("span", { class: `method ${method.toLowerCase()}` }, method);

// A path may break after each slash.
const pathOf = (path) => path.split(/(?<=\/)/).flatMap((part) => [part, el("wbr")]);

function entryOf({ method, path, told }, card) {
  return el("li", {}, el("a", { href: `#${card.id}`, class: told.deprecated ? "deprecated" : null, title: `${method} ${path}` },
    badge(method), el("span", {}, told.summary || path)));
}

function cardOf(schemas, operation, context) {
  const { method, path, told } = operation;
  const card = el("details", { class: "operation", id: `op-${encodeURIComponent(operation.id)}` },
    el("summary", {}, badge(method), el("code", { class: told.deprecated ? "path deprecated" : "path" }, pathOf(path)),
      el("span", { class: "what" }, told.summary ?? "")));
  card.addEventListener("toggle", () => card.append(inside(schemas, operation, context)), { once: true });
  return card;
}

function inside(schemas, operation, context) {
  const { told, parameters, body } = operation;
  const read = el("div", { class: "read" });
  if (told.deprecated) read.append(el("p", { class: "bad" }, "Deprecated: do not use it for anything new."));
  if (told.description) read.append(prose(told.description));
  for (const source of ["path", "query", "header", "cookie"]) {
    const found = parameters.filter((each) => each.in === source);
    if (found.length) read.append(el("h3", {}, TITLES[source]), el("ul", { class: "rows" },
      found.map((each) => el("li", {}, schemas.row(each.name, { ...each.schema, description: each.description }, each.required)))));
  }
  if (body) read.append(el("h3", {}, "Body", body.required ? el("span", { class: "required" }, "required") : null), contents(schemas, body.content));
  read.append(el("h3", {}, "Responses"), el("ul", { class: "rows responses" },
    Object.entries(told.responses).map(([status, each]) => el("li", {}, response(schemas, status, schemas.follow(each))))));
  return el("div", { class: "inside" }, read, el("div", { class: "try" }, el("h3", {}, "Try it"), trial(schemas, operation, context)));
}

const TITLES = { path: "In the path", query: "In the query", header: "Headers", cookie: "Cookies" };

function response(schemas, status, told) {
  const line = [el("strong", { class: `status s${status[0]}` }, status), el("span", {}, ...prose(told.description).querySelector("p")?.childNodes ?? [])];
  if (!told.content) return el("div", { class: "facts" }, line);
  const opened = el("details", {}, el("summary", { class: "facts" }, line));
  opened.addEventListener("toggle", () => opened.append(contents(schemas, told.content)), { once: true });
  return opened;
}

// Media types that share a schema are told together.
function contents(schemas, content) {
  const kinds = new Map();
  for (const [kind, { schema }] of Object.entries(content)) {
    const key = JSON.stringify(schema ?? null);
    kinds.set(key, [...(kinds.get(key) ?? []), kind]);
  }
  return el("div", {}, [...kinds].map(([key, names]) => el("div", { class: "content" },
    el("div", { class: "dim kind" }, names.join(", ")), key === "null" ? null : schemas.view(JSON.parse(key)))));
}

function models(api, schemas) {
  const names = Object.keys(api.components?.schemas ?? {});
  if (!names.length) return;
  const rows = names.map((name) => {
    const opened = el("details", { id: `schema-${encodeURIComponent(name)}` }, el("summary", {}, el("code", {}, name)));
    opened.addEventListener("toggle", () => opened.append(schemas.view(api.components.schemas[name])), { once: true });
    return el("li", {}, opened);
  });
  find("operations").append(el("section", { class: "schemas" }, el("h2", {}, "Schemas"), el("ul", { class: "rows" }, rows)));
}

function searching(shown) {
  const search = find("search");
  const none = el("p", { class: "dim", hidden: true, role: "status" }, "Nothing is called so.");
  find("entries").append(none);
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/);
    for (const { operation: { method, path, told, id }, card, entry } of shown) {
      const text = [method, path, told.summary, id, ...(told.tags ?? [])].join(" ").toLowerCase();
      card.hidden = entry.hidden = !words.every((word) => text.includes(word));
    }
    none.hidden = shown.some(({ card }) => !card.hidden);
    for (const each of document.querySelectorAll("#operations section, #entries h2")) {
      const list = each.matches("h2") ? each.nextElementSibling : each;
      each.hidden = !list.querySelector("li:not([hidden]), .operation:not([hidden])");
    }
  });
  search.addEventListener("keydown", (event) => {
    if (event.key === "Enter") document.querySelector("#entries li:not([hidden]) a")?.click();
    if (event.key === "Escape") {
      search.value = "";
      search.dispatchEvent(new Event("input"));
    }
  });
  addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest?.("input, textarea, select")) return;
    event.preventDefault();
    search.focus();
  });
}

function openTarget() {
  const target = find(location.hash.slice(1));
  if (target?.tagName !== "DETAILS") return;
  target.open = true;
  target.scrollIntoView();
  target.querySelector("summary").focus({ preventScroll: true });
}

main();
