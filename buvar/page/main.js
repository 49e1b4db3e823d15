// What is shown and chosen, and the ways to change it. The address keeps it, so a view can be linked to.

const state = { tab: "plugins", chosen: null, words: "", focus: null };
const LARGE = 600; // more boxes than one looks at all at once

const byId = (id) => document.getElementById(id);
const search = byId("search");

function matches(item) {
  if (!state.words) return true;
  const text = `${item.name || ""} ${item.description || ""} ${item.key || ""} ${item.target || ""} ${item.type || ""}`;
  return state.words.toLowerCase().split(/\s+/).every((word) => text.toLowerCase().includes(word));
}

/** The plugins and their loads: all, or *focus* with what it loads and who loads it. */
function drawPlugins(focus) {
  const found = plugins.get(focus);
  let drawn = [...plugins.values()];
  if (found !== undefined) {
    const near = new Set([focus]);
    for (const id of near) for (const load of plugins.get(id).loads) near.add(load.plugin);
    for (const { loader } of found.loadedBy) if (loader !== null) near.add(loader);
    for (let at = found; at.loader !== null; at = plugins.get(at.loader)) near.add(at.loader); // up to the first
    drawn = drawn.filter(({ id }) => near.has(id));
  }
  const ids = new Set(drawn.map(({ id }) => id));
  const loads = picture.loads.filter((each) => ids.has(each.loader) && ids.has(each.plugin));
  draw(drawn, loads.map((each) => ({
    from: each.loader, to: each.plugin, kind: each.kind === "circle" ? "bad" : each.kind, back: each.kind === "circle",
  })));
  if (found !== undefined) tell(`only ${found.name}, what it loads, and who loads it`, "plugins");
}

/** Who takes what from whom: all, or what belongs to *focus*, a plugin or an item. */
function drawInjection(focus) {
  const used = [...items.values()].filter((each) => each.what !== "component" || each.askers.length);
  const plugin = plugins.get(focus);
  const start = plugin ? [...plugin.adapters, ...plugin.components, ...plugin.roots] : items.has(focus) ? [focus] : null;
  const drawn = start !== null ? neighbourhood(start) : used.length <= LARGE ? used : [];
  const ids = new Set(drawn.map((each) => each.id));
  const links = needs.filter((each) => ids.has(each.asker) && ids.has(each.provider)).map((each) => ({
    from: each.asker, to: each.provider, kind: each.how === "missing" ? "bad" : "first",
  }));
  draw(drawn, links);
  if (plugin) tell(drawn.length ? `what ${plugin.name} gives` : `${plugin.name} gives nothing`, "injection");
  else if (start !== null) tell(`${nameOf(items.get(focus))}, what it takes, and who takes it`, "injection");
  else if (!used.length) tell("nothing is injected");
  else if (!drawn.length) tell(`${used.length} boxes are too many at once: choose a plugin, or search`);
}

/** All that the items *from* take, however far, and who takes them at once. */
function neighbourhood(from) {
  const found = new Set(from);
  for (const id of found) for (const { provider } of items.get(id).needs) if (provider !== null) found.add(provider);
  for (const id of from) for (const { asker } of items.get(id).askers) found.add(asker);
  return [...items.values()].filter((each) => found.has(each.id));
}

/** Say what is drawn, with a way to have all of *tab* again. */
function tell(text, tab = null) {
  const all = tab === null ? [] : [html("button", { onclick: () => go(tab, null) }, "show all")];
  byId("hint").replaceChildren(html("span", {}, text), ...all);
  byId("hint").hidden = false;
}

/** Show a tab; *focus* is what the injection is drawn of. */
function go(tab, focus = state.focus, chosen = state.chosen) {
  Object.assign(state, { tab, focus, chosen });
  for (const each of document.querySelectorAll("[data-tab]")) {
    each.setAttribute("aria-selected", String(each.dataset.tab === tab));
    each.tabIndex = each.dataset.tab === tab ? 0 : -1;
    if (each.dataset.tab === tab) each.scrollIntoView({ block: "nearest", inline: "nearest" }); // where there are many
  }
  const view = views.get(tab);
  byId("diagram").hidden = view !== undefined;
  for (const { element } of views.values()) element.hidden = view === undefined || view.element !== element;
  details.hidden = view !== undefined && view.wide;
  byId("hint").hidden = true;
  if (tab === "plugins") drawPlugins(focus);
  if (tab === "injection") drawInjection(focus);
  update();
}

/** Choose a plugin or an item (null: nothing), and show it where it is drawn. */
function choose(id) {
  state.chosen = id;
  if (items.has(id) && (state.tab !== "injection" || !shown.boxes.has(id))) go("injection", id, id);
  else if (plugins.has(id) && state.tab === "injection") go("injection", id, id);
  else if (plugins.has(id) && isWide()) go("plugins", null, id);
  else if (plugins.has(id) && state.tab === "plugins" && !shown.boxes.has(id)) go("plugins", null, id);
  else update();
  if (id !== null) reveal(id);
}

function isWide() {
  return views.has(state.tab) && views.get(state.tab).wide;
}

function update() {
  describe(state.chosen);
  mark(state.chosen);
  const rows = views.has(state.tab) ? views.get(state.tab).show() : undefined;
  canvas.classList.toggle("searched", Boolean(state.words));
  for (const [id, box] of shown.boxes) box.classList.toggle("found", matches(plugins.get(id) || items.get(id)));
  byId("hits").textContent = state.words ? String(isWide() ? rows : hits().length) : "";
  history.replaceState(null, "", `#${[state.tab, state.chosen].filter(Boolean).join("/")}`);
}

/** All that is searched for. */
function hits() {
  return [...plugins.values(), ...items.values()].filter((each) => each.what !== "missing" && matches(each));
}

/** Choose the next thing that was searched for. */
function nextHit() {
  const found = hits();
  if (!state.words || !found.length || isWide()) return;
  const at = found.findIndex((each) => each.id === state.chosen);
  const next = found[(at + 1) % found.length];
  if (next.what === "plugin" && state.tab === "injection") go("plugins", null, next.id);
  choose(next.id);
}

/** The box that an arrow key leads to from *id*: along a line, or the next one above or below. */
function neighbour(id, key) {
  const here = shown.places.get(id);
  const centre = ({ x, y, h }) => [x, y + h / 2];
  const near = (ids, far) => ids.map((each) => [each, far(centre(shown.places.get(each)))])
    .filter(([, distance]) => distance !== null).sort((one, other) => one[1] - other[1]).map(([each]) => each)[0];
  const [x, y] = centre(here);
  if (key === "ArrowLeft") return near(shown.next.get(id).in, ([, other]) => Math.abs(other - y));
  if (key === "ArrowRight") return near(shown.next.get(id).out, ([, other]) => Math.abs(other - y));
  const sign = key === "ArrowUp" ? -1 : 1;
  return near([...shown.places.keys()], ([ox, oy]) => (Math.abs(ox - x) < 1 && (oy - y) * sign > 0 ? Math.abs(oy - y) : null));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target === search;
  const box = event.target.closest && event.target.closest("#canvas [data-id]");
  if (event.key === "Escape") {
    if (typing && search.value) {
      search.value = state.words = "";
      update();
    } else choose(null);
  } else if (typing) {
    if (event.key === "Enter") nextHit();
    return;
  } else if (event.key === "/") search.focus();
  else if (box && (event.key === "Enter" || event.key === " ")) choose(box.dataset.id);
  else if (box && event.key.startsWith("Arrow")) {
    const next = neighbour(box.dataset.id, event.key);
    if (next !== undefined) {
      choose(next);
      shown.boxes.get(next).focus();
    }
  } else if (event.target.getAttribute && event.target.getAttribute("role") === "tab" && /^Arrow(Left|Right)$/.test(event.key)) {
    const tabs = [...document.querySelectorAll("[data-tab]")];
    const step = event.key === "ArrowLeft" ? -1 : 1;
    const next = tabs[(tabs.indexOf(event.target) + step + tabs.length) % tabs.length];
    next.focus();
    next.click();
  } else if (event.key === "+" || event.key === "=") zoom(1.3);
  else if (event.key === "-") zoom(1 / 1.3);
  else if (event.key === "0") showAll();
  else return;
  event.preventDefault();
});

search.addEventListener("input", () => {
  state.words = search.value.trim();
  update();
});
for (const each of document.querySelectorAll("[data-tab]")) {
  each.addEventListener("click", () => {
    const { tab } = each.dataset;
    go(tab, tab === "injection" ? state.chosen : null, tab === "injection" || plugins.has(state.chosen) ? state.chosen : null);
    if (state.chosen !== null) reveal(state.chosen);
  });
}
for (const each of document.querySelectorAll("[data-zoom]")) {
  each.addEventListener("click", () => ({ in: () => zoom(1.3), out: () => zoom(1 / 1.3), fit: showAll })[each.dataset.zoom]());
}
let resized = 0;
window.addEventListener("resize", () => {
  cancelAnimationFrame(resized);
  resized = requestAnimationFrame(() => {
    showAll();
    if (state.chosen !== null) reveal(state.chosen);
  });
});

{
  const roots = picture.loads.filter((each) => each.loader === null).map((each) => plugins.get(each.plugin).name);
  const title = roots.length && roots.length < 3 ? roots.join(", ") : document.title;
  document.title = title === document.title ? title : `${title} · ${document.title}`;
  byId("title").textContent = title;
  const bad = picture.plugins.filter((each) => each.state !== "prepared").length;
  const walled = picture.plugins.filter((each) => each.exports !== null).length;
  byId("summary").replaceChildren(...[
    `${count(picture.plugins.length, "plugin")}, loaded in ${took(picture.seconds)}`,
    walled ? `, ${walled} with walls` : "",
    bad ? html("strong", {}, `, ${bad} not prepared`) : "",
  ].filter(Boolean));
  const legend = [...hues.keys()].slice(0, HUES.length).map((name) => html("li", { style: colourOf(name) }, name));
  byId("legend").replaceChildren(...(hues.size > 1 ? legend : []));
  byId("app").hidden = false;
  const [tab, id] = location.hash.slice(1).split("/");
  const chosen = plugins.has(id) || items.has(id) ? id : null;
  go(tab === "injection" || views.has(tab) ? tab : "plugins", tab === "injection" ? chosen : null, chosen);
  if (chosen !== null) reveal(chosen);
}
