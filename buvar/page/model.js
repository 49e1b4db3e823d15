// What the page shows: `picture`, as `buvar graph --format json` writes it, with what belongs together linked.

const plugins = new Map();
const givers = new Map(); // the name of a plugin -> the plugin
for (const each of picture.plugins) {
  plugins.set(each.id, { ...each, what: "plugin", loads: [], loadedBy: [] });
  if (!givers.has(each.name)) givers.set(each.name, plugins.get(each.id));
}
for (const load of picture.loads) {
  if (load.loader !== null) plugins.get(load.loader).loads.push(load);
  plugins.get(load.plugin).loadedBy.push(load);
}

// adapters, components and roots, and a stand-in for each type that is missing somewhere
const items = new Map();
const known = { adapters: "adapter", components: "component", roots: "root" };
for (const [kind, what] of Object.entries(known)) {
  for (const each of picture.injection[kind]) items.set(each.id, { ...each, what, needs: [], askers: [] });
}
const missing = new Map();
const needs = [];
for (const edge of picture.injection.edges) {
  let provider = edge.provider;
  if (edge.how === "missing") {
    if (!missing.has(edge.type)) {
      const id = `m${missing.size + 1}`;
      missing.set(edge.type, id);
      items.set(id, { id, what: "missing", type: edge.type, owner: null, place: null, needs: [], askers: [] });
    }
    provider = missing.get(edge.type);
  }
  const need = { ...edge, provider };
  needs.push(need);
  items.get(edge.asker).needs.push(need);
  if (provider !== null) items.get(provider).askers.push(need);
}

const slowest = Math.max(1e-9, ...picture.plugins.map((each) => each.own_seconds));

/** The name of a type without its modules, as `short` in tree.py does it. */
function short(name) {
  if (/^['"]/.test(name)) return name;
  return name.replace(/(?<![\w.])(?:[^\W\d]\w*\.|<locals>\.)+(?=\w)/gu, "");
}

/** Where a name of a plugin is cut: [package and module, what one looks for]. */
function cut(name) {
  const at = Math.max(name.lastIndexOf("."), name.lastIndexOf(":")) + 1;
  return at < name.length ? [name.slice(0, at), name.slice(at)] : ["", name];
}

function nameOf(item) {
  if (item.what === "plugin") return item.name;
  if (item.what === "root") return short(item.target);
  if (item.what === "component") return item.name === null ? short(item.key) : `${short(item.key)} “${item.name}”`;
  if (item.what === "missing") return short(item.type);
  return item.type;
}

function took(seconds) {
  const milliseconds = seconds * 1000;
  if (milliseconds < 9.95) return `${milliseconds.toFixed(1)} ms`;
  return milliseconds < 999.5 ? `${milliseconds.toFixed(0)} ms` : `${seconds.toFixed(1)} s`;
}

function count(number, what) {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}

// one colour for each package, the most frequent first; red is for what is wrong
const HUES = [212, 152, 268, 190, 320, 95, 238, 55];
const hues = new Map();
{
  const numbers = new Map();
  for (const { name } of picture.plugins) {
    const top = name.split(/[.:]/)[0];
    if (top) numbers.set(top, (numbers.get(top) || 0) + 1);
  }
  const tops = [...numbers].sort((one, other) => other[1] - one[1]);
  tops.forEach(([top], index) => hues.set(top, HUES[index % HUES.length]));
}

/** The style that gives an element the colour of the package that *name* is in; null for none. */
function colourOf(name) {
  const found = name === null ? undefined : hues.get(name.split(/[.:]/)[0]);
  return found === undefined ? null : `--colour:hsl(${found} var(--strip))`;
}
