// Load times as bars: by own time, by time in all, or one after the other as they happened.

const times = document.getElementById("times");
const ORDERS = {
  own: ["own time", (one, other) => other.own_seconds - one.own_seconds],
  all: ["in all", (one, other) => other.seconds - one.seconds],
  start: ["as it happened", (one, other) => one.began - other.began || other.seconds - one.seconds],
};
let order = "own";

// what tabs show beside the diagrams: {element, show: a function, wide: whether it leaves no room for details}
const views = new Map([["times", { element: times, show: showTimes, wide: false }]]);

function showTimes() {
  const rows = [...plugins.values()].filter((each) => each.state !== "missing").sort(ORDERS[order][1]);
  const whole = Math.max(1e-9, order === "own" ? slowest : picture.seconds);
  const buttons = Object.entries(ORDERS).map(([key, [label]]) => html("button", {
    "aria-pressed": String(key === order),
    onclick: () => {
      order = key;
      showTimes();
    },
  }, label));
  const legend = order === "own" ? "The time of a plugin itself: its import and its prepare, without what it loads."
    : "Light: with all that it loads. Dark: how much of that is its own.";
  times.replaceChildren(
    html("div", { class: "orders" }, html("div", { class: "choice", role: "group", "aria-label": "Order" }, buttons),
      html("p", { class: "dim" }, legend)),
    html("div", { class: `bars ${order}` },
      html("div", { class: "row heads", "aria-hidden": "true" }, html("span"), html("span"),
        html("span", { class: "time" }, "own"), html("span", { class: "time dim" }, "in all")),
      html("ol", {}, rows.map((each) => bar(each, whole)))));
}

function bar(plugin, whole) {
  const [above, name] = cut(plugin.name);
  const percent = (seconds) => `${Math.max(0, Math.min(100, (seconds / whole) * 100)).toFixed(2)}%`;
  const start = order === "start" ? percent(plugin.began) : "0";
  const both = order !== "own";
  return html("li", {}, html("button", {
    class: `row${plugin.id === state.chosen ? " chosen" : ""}${matches(plugin) ? "" : " off"}`,
    title: plugin.name,
    onclick: () => choose(plugin.id),
  },
  html("span", { class: "label" }, html("span", { class: "dim" }, above), html("bdi", {}, name)),
  html("span", { class: "lane" },
    both ? html("span", { class: "bar all", style: `left:${start};width:${percent(plugin.seconds)}` }) : null,
    html("span", {
      class: `bar${plugin.state === "prepared" ? "" : " bad"}`, style: `left:${start};width:${percent(plugin.own_seconds)}`,
    })),
  html("span", { class: "time" }, took(plugin.own_seconds)),
  html("span", { class: "time dim" }, took(plugin.seconds))));
}
