// Diagrams: nodes and links as SVG, with a view that is moved and scaled.

const SVG = "http://www.w3.org/2000/svg";
const canvas = document.getElementById("canvas");
const world = document.getElementById("world");

function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "style") element.style.cssText = value || "";
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

const ruler = document.createElement("canvas").getContext("2d");
const FAMILY = 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif';

function widthOf(text, font) {
  ruler.font = `${font} ${FAMILY}`;
  return ruler.measureText(text).width;
}

/** Cut *text* so that it fits; *end*: keep its end. */
function fit(text, font, width, end = false) {
  if (widthOf(text, font) <= width) return text;
  let letters = [...text];
  while (letters.length > 1) {
    letters = end ? letters.slice(1) : letters.slice(0, -1);
    const shown = end ? `…${letters.join("")}` : `${letters.join("")}…`;
    if (widthOf(shown, font) <= width) return shown;
  }
  return "…";
}

const FONTS = { small: "11px", name: "600 13.5px", far: "600 25px" };

/** What a box shows: {above, name, facts}; *item* is whatever it stands for. */
function boxOf(item) {
  if (item.what === "plugin") {
    const [above, name] = cut(item.name);
    const facts = { prepared: took(item.own_seconds), failed: "failed", missing: "not found" }[item.state] || "unfinished";
    return { above, name, facts };
  }
  const facts = { adapter: item.lifetime, component: "component", root: "required", missing: "missing" }[item.what];
  return { above: item.owner === null ? "" : item.owner, name: nameOf(item), facts };
}

function measured(item) {
  const { above, name, facts } = boxOf(item);
  const wide = Math.max(widthOf(name, FONTS.name), widthOf(above, FONTS.small) + widthOf(facts, FONTS.small) + 18);
  // a line ends at walls, or goes through their door
  const walls = item.exports ? { outset: 5, inset: item.exports.length ? 0 : 6 } : {};
  return { id: item.id, w: Math.round(Math.min(236, Math.max(112, wide + (item.what === "component" ? 44 : 26)))), h: 46, ...walls };
}

/** The border of a box with walls: a second line around it, with a gap where it has doors. */
function wall({ w, h }, doors) {
  const [m, r, gap] = [5, 9, doors ? 9 : 0];
  const [left, top, right, low, middle] = [-m, -m, w + m, h + m, h / 2];
  return (
    `M${left} ${middle - gap}V${top + r}Q${left} ${top} ${left + r} ${top}H${right - r}Q${right} ${top} ${right} ${top + r}` +
    `V${low - r}Q${right} ${low} ${right - r} ${low}H${left + r}Q${left} ${low} ${left} ${low - r}V${middle + gap}`
  );
}

function drawBox(item, place) {
  const { above, name, facts } = boxOf(item);
  const room = place.w - 24;
  const bad = item.state === "failed" || item.state === "unfinished" || item.what === "missing" || item.fault;
  const classes = ["node", item.what, bad && "bad", item.state === "missing" && "bad ghost", item.exports && "walled"];
  const colour = colourOf(item.what === "plugin" ? item.name : item.owner);
  const box = svg("g", {
    class: classes.filter(Boolean).join(" "),
    transform: `translate(${place.x} ${place.y})`,
    tabindex: 0,
    role: "button",
    "data-id": item.id,
    "aria-label": `${item.what} ${nameOf(item)}, ${facts}`,
    style: colour,
  });
  if (item.exports) box.append(svg("path", { class: "wall", d: wall(place, item.exports.length > 0) }));
  const round = item.what === "component" ? 23 : item.what === "root" ? 2 : 7;
  box.append(svg("rect", { class: "body", width: place.w, height: place.h, rx: round }));
  if (colour !== null && item.what !== "component") {
    box.append(svg("rect", { class: "strip", x: 0, y: 7, width: 3.5, height: place.h - 14, rx: 1.75 }));
  }
  const factsWide = widthOf(facts, FONTS.small);
  const x = item.what === "component" ? 16 : 12;
  const inner = item.what === "component" ? room - 8 : room;
  box.append(svg("text", { class: "above", x, y: 17 }, fit(above, FONTS.small, inner - factsWide - 6, true)));
  box.append(svg("text", { class: "facts", x: place.w - x, y: 17, "text-anchor": "end" }, facts));
  box.append(svg("text", { class: "name", x, y: 34 }, fit(name, FONTS.name, inner)));
  box.append(svg("text", { class: "from-far", x: place.w / 2, y: 32, "text-anchor": "middle" }, fit(name, FONTS.far, place.w - 8)));
  if (item.what === "plugin" && item.state === "prepared") {
    const wide = (place.w - 24) * Math.sqrt(item.own_seconds / slowest);
    if (wide > 2) box.append(svg("rect", { class: "heat", x: 12, y: 39.5, width: wide, height: 2.5, rx: 1.25 }));
  }
  box.append(svg("title", {}, [nameOf(item), item.about, item.error || item.fault].filter(Boolean).join("\n")));
  return box;
}

/** The diagram that is shown: its boxes by id, its lines, who stands next to whom. */
let shown = { boxes: new Map(), lines: [], next: new Map(), places: new Map(), width: 0, height: 0 };

/** Draw *items* and *links* ({from, to, kind}) and show them all. */
function draw(drawn, links) {
  const found = layout(drawn.map(measured), links);
  const lines = found.segments.map(({ d, links: carried, ends }) => {
    const kinds = new Set([...carried].map((each) => each.kind));
    const kind = ["bad", "first", "again"].find((each) => kinds.has(each)) || "again";
    const path = svg("path", { class: `line ${kind}${ends ? " ends" : ""}`, d });
    return { path, links: carried };
  });
  for (const { d, link } of found.backs) {
    lines.push({ path: svg("path", { class: "line bad back ends", d }), links: new Set([link]) });
  }
  // what is strong lies over what is weak
  const weight = ({ path }) => ["again", "first", "bad"].findIndex((each) => path.classList.contains(each));
  lines.sort((one, other) => weight(one) - weight(other));
  const boxes = new Map(drawn.map((item) => [item.id, drawBox(item, found.nodes.get(item.id))]));
  world.replaceChildren(...lines.map(({ path }) => path), ...boxes.values());
  const next = new Map(drawn.map(({ id }) => [id, { in: [], out: [] }]));
  for (const { from, to } of links) {
    next.get(from).out.push(to);
    next.get(to).in.push(from);
  }
  shown = { boxes, lines, next, places: found.nodes, width: found.width, height: found.height };
  showAll();
}

/** Mark what belongs to the box *id*, or nothing. */
function mark(id) {
  const chosen = shown.next.get(id);
  canvas.classList.toggle("marked", chosen !== undefined);
  const near = chosen === undefined ? new Set() : new Set([id, ...chosen.in, ...chosen.out]);
  for (const [each, box] of shown.boxes) {
    box.classList.toggle("near", near.has(each));
    box.classList.toggle("chosen", each === id);
  }
  for (const { path, links } of shown.lines) {
    const hot = chosen !== undefined && [...links].some(({ from, to }) => from === id || to === id);
    path.classList.toggle("hot", hot);
  }
}

// the view: what is at (x, y) of the world is at the upper left of the canvas, scaled by k

const view = { x: 0, y: 0, k: 1 };

function look() {
  world.setAttribute("transform", `translate(${-view.x * view.k} ${-view.y * view.k}) scale(${view.k})`);
  canvas.classList.toggle("far", view.k < 0.45);
}

function showAll() {
  const { width, height } = canvas.getBoundingClientRect();
  if (!width || !height) return;
  const margin = 36;
  const k = Math.min((width - 2 * margin) / (shown.width || 1), (height - 2 * margin) / (shown.height || 1));
  view.k = Math.min(1.25, Math.max(0.05, k));
  view.x = (shown.width - width / view.k) / 2;
  view.y = (shown.height - height / view.k) / 2;
  look();
}

function zoom(factor, at) {
  const { width, height } = canvas.getBoundingClientRect();
  const [x, y] = at || [width / 2, height / 2];
  const k = Math.min(4, Math.max(0.05, view.k * factor));
  view.x += x / view.k - x / k;
  view.y += y / view.k - y / k;
  view.k = k;
  look();
}

/** Move the view so that the box *id* can be seen and read. */
function reveal(id) {
  const place = shown.places.get(id);
  const { width, height } = canvas.getBoundingClientRect();
  if (place === undefined || !width) return;
  const k = Math.max(view.k, 0.7);
  const [left, top] = [(place.x - view.x) * view.k, (place.y - view.y) * view.k];
  const inside = left > 8 && top > 8 && left + place.w * view.k < width - 8 && top + place.h * view.k < height - 8;
  if (inside && k === view.k) return;
  view.k = k;
  view.x = place.x + place.w / 2 - width / 2 / k;
  view.y = place.y + place.h / 2 - height / 2 / k;
  look();
}

{
  const pointers = new Map();
  let moved = false;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (pointers.size === 1) moved = false;
  });
  canvas.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    const now = [event.clientX, event.clientY];
    const other = [...pointers].find(([id]) => id !== event.pointerId);
    if (!moved && Math.hypot(now[0] - before[0], now[1] - before[1]) < 4) return;
    if (!moved) canvas.setPointerCapture(event.pointerId);
    moved = true;
    canvas.classList.add("moving");
    if (other !== undefined) {
      const { left, top } = canvas.getBoundingClientRect();
      const far = (one) => Math.hypot(one[0] - other[1][0], one[1] - other[1][1]) || 1;
      zoom(far(now) / far(before), [(now[0] + other[1][0]) / 2 - left, (now[1] + other[1][1]) / 2 - top]);
    } else {
      view.x -= (now[0] - before[0]) / view.k;
      view.y -= (now[1] - before[1]) / view.k;
      look();
    }
    pointers.set(event.pointerId, now);
  });
  const end = (event) => {
    pointers.delete(event.pointerId);
    canvas.classList.remove("moving");
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("click", (event) => {
    if (moved) {
      moved = false;
      return;
    }
    const box = event.target.closest("[data-id]");
    choose(box === null ? null : box.dataset.id);
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    const { left, top } = canvas.getBoundingClientRect();
    const step = event.deltaMode === 1 ? event.deltaY * 30 : event.deltaY;
    zoom(Math.exp(-Math.max(-120, Math.min(120, step)) / 300), [event.clientX - left, event.clientY - top]);
  }, { passive: false });
}
