// Tables: what there is but the diagrams. Each is made anew whenever something changes.

const tables = document.getElementById("tables");

/** A tab with a table: *rows* returns lists of cells, *above* what stands over them, *empty* says that there are none. */
function tableView(name, { heads, rows, empty, above = () => null }) {
  views.set(name, { element: tables, wide: true, show: () => showTable(name, heads, rows(), empty, above) });
}

function showTable(name, heads, rows, empty, above) {
  const words = state.words.toLowerCase().split(/\s+/);
  const all = rows.map((cells) => html("tr", {}, cells.map((cell, at) => html("td", { "data-head": heads[at] }, cell))));
  const found = all.filter((row) => words.every((word) => row.textContent.toLowerCase().includes(word)));
  const filled = heads.map((_, at) => found.some((row) => row.cells[at].textContent)); // a column of nothing is left out
  for (const row of found) [...row.cells].forEach((cell, at) => { cell.hidden = !filled[at]; });
  const label = document.querySelector(`[data-tab="${name}"]`).textContent;
  const table = html("table", { "aria-label": label },
    html("thead", {}, html("tr", {}, heads.map((head, at) => html("th", { scope: "col", hidden: filled[at] ? null : "" }, head)))),
    html("tbody", {}, found));
  const nothing = html("p", { class: "dim" }, rows.length ? "nothing is found" : empty);
  tables.setAttribute("aria-label", label);
  tables.replaceChildren(...[above(), found.length ? table : nothing].flat().filter((each) => each !== null));
  return found.length;
}

// -- cells

/** A file and a line: the end of it, and all where the pointer rests. */
function spot(place) {
  if (place === null || place === undefined) return "";
  const short = place.file.split("/").slice(-3).join("/");
  return html("span", { class: "place", title: `${place.file}:${place.line}` }, `${short}:${place.line}`);
}

/** The name of a plugin, which leads to it. */
function owner(name) {
  if (name === null) return "";
  return givers.has(name) ? link(givers.get(name)) : name;
}

function code(text) {
  return text === null || text === "" ? "" : html("code", {}, text);
}

/** A span of time with its two largest units. */
function span(seconds) {
  let left = Math.max(0, Math.floor(seconds));
  const parts = [];
  for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]]) {
    const number = Math.floor(left / length);
    left %= length;
    if (number) parts.push(`${number} ${unit}`);
    else if (parts.length) break;
  }
  return parts.slice(0, 2).join(" ") || "0 s";
}

function bytes(number) {
  let left = number;
  for (const unit of ["B", "KiB", "MiB", "GiB"]) {
    if (left < 1024) return `${left.toFixed(unit === "B" ? 0 : 1)} ${unit}`;
    left /= 1024;
  }
  return `${left.toFixed(1)} TiB`;
}

function number(value) {
  return html("span", { class: "amount" }, typeof value === "number" ? value.toLocaleString("en") : value);
}

// -- tabs

const byName = (one, other) => nameOf(one).localeCompare(nameOf(other));
const ofKind = (what) => [...items.values()].filter((each) => each.what === what).sort(byName);

tableView("components", {
  heads: ["Type", "Name", "Plugin", "Added at"],
  rows: () => ofKind("component").map((each) => [
    html("span", { title: each.key }, link({ ...each, name: null })), each.name || "", owner(each.owner), spot(each.place),
  ]),
  empty: "there are no components",
});

tableView("adapters", {
  heads: ["Type", "Lifetime", "Built by", "Plugin", "Defined at"],
  rows: () => ofKind("adapter").map((each) => [
    [html("span", { title: each.description }, link(each)), each.fault ? html("p", { class: "error" }, each.fault) : ""],
    tag(each.lifetime, each.lifetime), code(each.label), owner(each.owner), spot(each.place),
  ]),
  empty: "there are no adapters",
});

tableView("routes", {
  heads: ["Method", "Path", "Domain", "Handler", "Defined at"],
  rows: () => facts.routes.map((each) => [
    html("span", { class: `method ${each.method.toLowerCase()}` }, each.method), code(each.path), each.domain || "",
    each.handler, spot(each.place),
  ]),
  empty: "there are no routes",
});

tableView("tasks", {
  heads: ["Task", "Coroutine", "Plugin", "Is at"],
  rows: () => facts.tasks.map((each) => [
    [each.name === null ? code(each.coroutine) : each.name, each.count > 1 ? tag(`× ${each.count}`) : ""],
    each.name === null || each.name === each.coroutine ? "" : code(each.coroutine), owner(each.plugin), spot(each.place),
  ]),
  empty: "no task runs",
});

function verdict(check) {
  if (check.ok === null) return tag("not run yet");
  return check.ok ? tag("ok", "good") : tag("failed", "bad");
}

tableView("health", {
  heads: ["Check", "Result", "Kind", "Plugin", "Took", "Said", "When"],
  rows: () => facts.health.map((each) => [
    each.name, verdict(each), each.kind, owner(each.plugin), each.seconds === null ? "" : number(took(each.seconds)),
    each.error !== null ? html("pre", { class: "error" }, each.error) : each.detail || "",
    each.age === null ? "" : `${span(each.age)} ago`,
  ]),
  above: () => (facts.health.length ? html("p", {}, html("button", { class: "tool", onclick: runChecks }, "Run the checks now")) : null),
  empty: "no plugin declares a health check",
});

function shownValue({ value, secret }) {
  if (value === null) return secret ? tag("secret, not set") : html("span", { class: "dim" }, "none");
  if (secret && value === "***") return tag("secret", "wall"); // of a table or a URL the rest can be shown
  return code(typeof value === "string" ? JSON.stringify(value) : JSON.stringify(value, null, 1).replace(/\n\s*/g, " ").replace(/^([[{]) | ([\]}])$/g, "$1$2"));
}

function origin(found) {
  if (found !== null && typeof found === "object") return spot(found);
  return html("span", { class: found === "default" ? "dim" : "" }, found);
}

tableView("configuration", {
  heads: ["Key", "Value", "From"],
  rows: () => (facts.configuration === null ? [] : facts.configuration.settings.map((each) => [
    code(each.path), shownValue(each), origin(each.origin),
  ])),
  above: () => {
    const problems = facts.configuration === null ? [] : facts.configuration.problems;
    return problems.map((each) => html("pre", { class: "error" }, each));
  },
  empty: "there is no configuration that a plugin reads",
});

tableView("workers", {
  heads: ["Slot", "Process", "State", "Generation", "Age", "Requests", "Connections", "Memory", "Last beat", "Leader"],
  rows: () => facts.workers.map((each) => [
    number(each.slot), [String(each.pid), each.pid === facts.service.pid ? tag("answers this") : ""],
    tag(each.state, each.state === "ready" ? "good" : ""), number(each.generation), span(each.age), number(each.requests),
    number(each.connections), each.memory === null ? "" : number(bytes(each.memory)), number(`${each.beat_age.toFixed(1)} s`),
    each.leader ? "leads" : "",
  ]),
  empty: "there are no workers",
});

// -- what changes

/** Have a button do something that takes a while, once at a time. */
async function busy(button, work) {
  if (button.disabled) return;
  button.disabled = true;
  await work();
  button.disabled = false;
  update();
}

async function refresh() {
  const found = await ask("live.json");
  if (found === null) return;
  facts = { ...facts, ...found };
  tellVersions();
}

async function runChecks(event) {
  await busy(event.target, async () => {
    const found = await ask("health.json");
    if (found !== null) facts = { ...facts, ...found };
  });
}

function tellVersions() {
  const { pid, python, buvar, aiohttp, loop, time } = facts.service;
  const at = new Date(time * 1000).toLocaleTimeString();
  document.getElementById("versions").textContent = `process ${pid} at ${at}, buvar ${buvar}, Python ${python}, aiohttp ${aiohttp} on ${loop}`;
}

{
  const button = document.getElementById("refresh");
  button.addEventListener("click", () => busy(button, refresh));
  document.addEventListener("keydown", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.altKey && event.target.tagName !== "INPUT";
    if (plain && event.key === "r") button.click();
  });
  tellVersions();
}
