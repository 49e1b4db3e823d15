// The panel at the side: all there is to know of what is chosen.

const details = document.getElementById("details");

/** What a docstring says, its names as code. */
function prose(text) {
  return text.split(/(``?[^`]+``?)/).map((part) => (part.startsWith("`") ? html("code", {}, part.replaceAll("`", "")) : part));
}

function html(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "onclick") element.addEventListener("click", value);
    else if (key === "style") element.style.cssText = value || ""; // an attribute needs a policy that allows any style
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((each) => each !== null && each !== undefined));
  return element;
}

/** A button that chooses an item. */
function link(item, ...more) {
  const [above, name] = item.what === "plugin" ? cut(item.name) : ["", nameOf(item)];
  const label = [above && html("span", { class: "dim" }, above), name].filter(Boolean);
  const button = html("button", {
    class: `link ${item.what}`,
    style: colourOf(item.what === "plugin" ? item.name : item.owner),
    onclick: () => choose(item.id),
  }, label);
  return [button, ...more];
}

function list(title, entries) {
  if (!entries.length) return null;
  return [html("h3", {}, title, " ", html("span", { class: "number" }, String(entries.length))),
    html("ul", {}, entries.map((each) => html("li", {}, each)))];
}

function tag(text, kind = "") {
  return html("span", { class: `tag ${kind}` }, text);
}

function place({ place: found }) {
  return found === null ? null : html("p", { class: "place" }, `${found.file}:${found.line}`);
}

function head(title, tags, item) {
  const [above, name] = item.what === "plugin" ? cut(item.name) : ["", title];
  return [
    html("button", { class: "close", title: "Close (Esc)", "aria-label": "Close", onclick: () => choose(null) }, "×"),
    html("h2", {}, above && html("span", { class: "dim" }, above), name),
    html("p", { class: "tags" }, tags),
    item.about ? html("p", {}, prose(item.about)) : null,
    place(item),
  ];
}

function ofPlugin(plugin) {
  const tags = [];
  if (plugin.exports) tags.push(tag(plugin.exports.length ? "walls" : "walls without a door", "wall"));
  if (plugin.state !== "prepared") tags.push(tag({ missing: "not found" }[plugin.state] || plugin.state, "bad"));
  const owned = (ids) => ids.map((id) => items.get(id));
  const loads = plugin.loads.map((each) => link(plugins.get(each.plugin), kindOf(each, false)));
  const loadedBy = plugin.loadedBy.map((each) => {
    return each.loader === null ? html("span", { class: "dim" }, "the service") : link(plugins.get(each.loader), kindOf(each, true));
  });
  return [
    head(plugin.name, tags, plugin),
    plugin.failed_with ? html("p", { class: "error" }, "failed with ", link(plugins.get(plugin.failed_with))) : null,
    plugin.error && !plugin.failed_with ? html("pre", { class: "error" }, plugin.error) : null,
    plugin.state === "missing" ? null : html("dl", { class: "numbers" },
      html("div", {}, html("dt", {}, "own time"), html("dd", {}, took(plugin.own_seconds))),
      html("div", {}, html("dt", {}, "in all"), html("dd", {}, took(plugin.seconds))),
      html("div", {}, html("dt", {}, "began at"), html("dd", {}, took(plugin.began)))),
    list("Exports", (plugin.exports || []).map((each) => html("span", { title: each }, short(each)))),
    list("Loads", loads),
    list("Loaded by", loadedBy),
    list("Tasks", plugin.tasks.map((each) => html("code", {}, each))),
    list("Components", owned(plugin.components).map((each) => link(each))),
    list("Adapters", owned(plugin.adapters).map((each) => link(each, tag(each.lifetime, each.lifetime)))),
    list("Requires", owned(plugin.roots).map((each) => link(each))),
    html("p", {}, html("button", { class: "more", onclick: () => go("plugins", plugin.id) }, "Show only this and what it loads")),
    plugin.adapters.length + plugin.components.length + plugin.roots.length
      ? html("p", {}, html("button", { class: "more", onclick: () => go("injection", plugin.id) }, "Show who takes what from whom"))
      : null,
  ];
}

/** What is special about a load. */
function kindOf(load, incoming) {
  const marks = [];
  if (load.kind === "circle") marks.push(tag("circle", "bad"));
  else if (load.kind === "first" && incoming) marks.push(tag("first"));
  if (load.gives.length) marks.push(tag(`gives ${load.gives.map(short).join(", ")}`, "wall"));
  return marks;
}

function ofItem(item) {
  const tags = [tag({ missing: "missing", root: "required" }[item.what] || item.what, item.what === "missing" ? "bad" : "")];
  if (item.lifetime) tags.push(tag(item.lifetime, item.lifetime));
  if (item.kind && item.kind !== "plain") tags.push(tag(item.kind));
  const owner = item.owner === null ? undefined : givers.get(item.owner);
  const full = { adapter: item.description, component: item.key, root: item.target, missing: item.type }[item.what];
  const whys = item.what === "missing" ? [...new Set(item.askers.map(({ why }) => why).filter(Boolean))] : [];
  return [
    head(nameOf(item), tags, item),
    html("dl", { class: "facts" },
      html("dt", {}, item.what === "root" ? "target" : "type"), html("dd", {}, full),
      item.label ? [html("dt", {}, "built by"), html("dd", {}, item.label)] : [],
      item.what === "component" && item.name !== null ? [html("dt", {}, "name"), html("dd", {}, item.name)] : [],
      owner ? [html("dt", {}, "of"), html("dd", {}, link(owner))] : []),
    item.fault ? html("pre", { class: "error" }, item.fault) : null,
    whys.map((why) => html("pre", { class: "error" }, why)),
    list("Takes", item.needs.map((need) => taken(need))),
    list("Taken by", item.askers.map((need) => link(items.get(need.asker), html("code", { class: "dim" }, need.parameter || "")))),
  ];
}

function taken(need) {
  const parameter = need.parameter === null ? null : html("code", { class: "dim" }, `${need.parameter} `);
  const provider = need.provider === null ? null : items.get(need.provider);
  if (provider === null) {
    const how = { default: "its default", override: "an override", collected: "nothing to collect" }[need.how];
    return [parameter, short(need.type), html("span", { class: "dim" }, ` ${how}`)];
  }
  const owner = provider.owner === null || provider.owner === items.get(need.asker).owner ? null : ` ${provider.owner}`;
  return [parameter, ...link(provider), need.how === "missing" ? tag("missing", "bad") : html("span", { class: "dim" }, owner || "")];
}

function ofAll() {
  const bad = [...plugins.values()].filter((each) => each.state !== "prepared");
  bad.sort((one, other) => Boolean(one.failed_with) - Boolean(other.failed_with)); // what is to blame first
  const slow = [...plugins.values()].sort((one, other) => other.own_seconds - one.own_seconds).slice(0, 5);
  const lacking = [...items.values()].filter((each) => each.what === "missing");
  return [
    html("h2", {}, "The service"),
    html("p", { class: "dim" }, "Choose a plugin to see what it loads and what it gives. Drag to move, scroll to zoom, ",
      "arrow keys to walk along the lines, / to search."),
    list("Not prepared", bad.map((each) => link(each, each.failed_with ? [] : tag({ missing: "not found" }[each.state] || each.state, "bad")))),
    list("Missing", lacking.map((each) => link(each))),
    picture.circles.length ? list("Circles", picture.circles.map((path) => path.join(" → "))) : null,
    list("Slowest", slow.map((each) => link(each, html("span", { class: "dim" }, took(each.own_seconds))))),
    list("With walls", [...plugins.values()].filter((each) => each.exports).map((each) => link(each))),
  ];
}

function describe(id) {
  const found = plugins.get(id) || items.get(id);
  const parts = found === undefined ? ofAll() : found.what === "plugin" ? ofPlugin(found) : ofItem(found);
  details.replaceChildren(...parts.flat(3).filter((each) => each !== null && each !== undefined && each !== ""));
  details.classList.toggle("empty", found === undefined);
  details.scrollTop = 0;
}
