// A layered layout, from left to right.
//
// Each node stands right of all that lead to it, in columns that hold no more than fits a screen. A link that passes
// columns runs on a track through them. All links to one node share a track where there are many of them, and all from
// one node otherwise, so that what everything needs does not fill the picture with lines.

const COLUMN_GAP = 64;
const TRACK = 8;

/**
 * Place nodes ({id, w, h, inset, outset}) and links ({from, to}). Lines end *inset* before a node, and begin *outset*
 * behind it.
 * Returns {nodes: Map(id -> {x, y, w, h}), segments: [{d, links, ends}], backs: [{d, link}], width, height}.
 */
function layout(nodes, links) {
  const forward = withoutCircles(nodes, links);
  const columns = inColumns(nodes, forward);
  const { cells, joins } = withTracks(nodes, forward, columns);
  const grid = ordered(cells, joins);
  const kept = new Set(forward);
  return placed(grid, cells, joins, links.filter((each) => !kept.has(each)), Math.max(18, 46 - nodes.length / 2));
}

function group(values, key) {
  const found = new Map();
  for (const value of values) {
    const at = key(value);
    if (found.has(at)) found.get(at).push(value);
    else found.set(at, [value]);
  }
  return found;
}

/** The links without those that lead back to a node on the way. */
function withoutCircles(nodes, links) {
  const out = group(links.filter((each) => each.from !== each.to && !each.back), (each) => each.from);
  const state = new Map();
  const kept = [];
  for (const { id } of nodes) {
    if (state.has(id)) continue;
    const stack = [{ id, next: 0 }];
    state.set(id, "open");
    while (stack.length) {
      const top = stack[stack.length - 1];
      const link = (out.get(top.id) || [])[top.next++];
      if (link === undefined) {
        state.set(top.id, "done");
        stack.pop();
      } else if (state.get(link.to) !== "open") {
        kept.push(link);
        if (!state.has(link.to)) {
          state.set(link.to, "open");
          stack.push({ id: link.to, next: 0 });
        }
      }
    }
  }
  return kept;
}

/** The column of each node: right of who leads to it, and where there is room. */
function inColumns(nodes, links) {
  const into = group(links, (each) => each.to);
  const out = group(links, (each) => each.from);
  const left = new Map(nodes.map(({ id }) => [id, (into.get(id) || []).length]));
  const room = Math.max(12, Math.ceil(Math.sqrt(nodes.length * 2.4)));
  const taken = [];
  const columns = new Map();
  let ready = nodes.filter(({ id }) => left.get(id) === 0).map(({ id }) => id);
  while (ready.length) {
    const next = [];
    for (const id of ready) {
      let column = Math.max(-1, ...(into.get(id) || []).map((each) => columns.get(each.from))) + 1;
      while ((taken[column] || 0) >= room) column += 1;
      taken[column] = (taken[column] || 0) + 1;
      columns.set(id, column);
      for (const { to } of out.get(id) || []) {
        left.set(to, left.get(to) - 1);
        if (left.get(to) === 0) next.push(to);
      }
    }
    ready = next;
  }
  return columns;
}

/** Cells (nodes and tracks) with their columns, and joins between cells of neighbouring columns. */
function withTracks(nodes, links, columns) {
  const cells = new Map();
  nodes.forEach((each, index) => {
    cells.set(each.id, { ...each, column: columns.get(each.id), rank: index, joins: [[], []] });
  });
  const joins = new Map();
  const into = group(links, (each) => each.to);
  const out = group(links, (each) => each.from);
  for (const link of links) {
    const [first, last] = [columns.get(link.from), columns.get(link.to)];
    const byTarget = into.get(link.to).length >= out.get(link.from).length;
    let before = cells.get(link.from);
    for (let column = first + 1; column <= last; column += 1) {
      let cell = cells.get(link.to);
      if (column < last) {
        const id = `${byTarget ? "to" : "from"} ${byTarget ? link.to : link.from} ${column}`;
        if (!cells.has(id)) {
          const rank = cells.get(byTarget ? link.to : link.from).rank;
          cells.set(id, { id, track: true, w: 0, h: TRACK, column, rank, joins: [[], []], links: new Set() });
        }
        cell = cells.get(id);
        cell.links.add(link);
      }
      const key = `${before.id}\n${cell.id}`;
      if (!joins.has(key)) {
        const join = { from: before, to: cell, links: new Set() };
        joins.set(key, join);
        before.joins[1].push(join);
        cell.joins[0].push(join);
      }
      joins.get(key).links.add(link);
      before = cell;
    }
  }
  return { cells: [...cells.values()], joins: [...joins.values()] };
}

/** The columns, each with its cells from top to bottom, so that few joins cross. */
function ordered(cells, joins) {
  const grid = [];
  for (const cell of cells) (grid[cell.column] ||= []).push(cell);
  for (let at = 0; at < grid.length; at += 1) grid[at] ||= [];
  for (const column of grid) column.sort((one, other) => one.rank - other.rank);
  const number = () => grid.forEach((column) => column.forEach((cell, index) => { cell.index = index; }));
  const keep = () => grid.map((column) => [...column]);
  number();
  let best = keep();
  let least = crossings(joins);
  for (let sweep = 0; sweep < 14 && least > 0; sweep += 1) {
    const side = sweep % 2; // 0: by what stands left, 1: by what stands right
    const order = side === 0 ? grid : [...grid].reverse();
    for (const column of order) {
      for (const cell of column) {
        const near = cell.joins[side].map((each) => (side === 0 ? each.from : each.to).index);
        cell.weight = near.length ? near.reduce((sum, each) => sum + each, 0) / near.length : cell.index;
      }
      column.sort((one, other) => one.weight - other.weight || one.index - other.index);
      column.forEach((cell, index) => { cell.index = index; });
    }
    const now = crossings(joins);
    if (now < least) [least, best] = [now, keep()];
  }
  best.forEach((column) => column.forEach((cell, index) => { cell.index = index; }));
  return best;
}

function crossings(joins) {
  let number = 0;
  for (const gap of group(joins, (each) => each.from.column).values()) {
    const ends = gap.map((each) => [each.from.index, each.to.index]);
    ends.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
    for (let one = 0; one < ends.length; one += 1) {
      for (let other = one + 1; other < ends.length; other += 1) {
        if (ends[one][0] < ends[other][0] && ends[one][1] > ends[other][1]) number += 1;
      }
    }
  }
  return number;
}

/** Give each cell of a column the height nearest to *wanted* that keeps the order and the distances. */
function settle(column, wanted, gap) {
  const blocks = [];
  let offset = 0;
  column.forEach((cell, index) => {
    if (index) offset += distance(column[index - 1], cell, gap);
    const weight = cell.track ? 3 : 1;
    let block = { sum: (wanted(cell) - offset) * weight, weight, cells: [[cell, offset]] };
    while (blocks.length && blocks[blocks.length - 1].sum / blocks[blocks.length - 1].weight > block.sum / block.weight) {
      const above = blocks.pop();
      block = { sum: above.sum + block.sum, weight: above.weight + block.weight, cells: [...above.cells, ...block.cells] };
    }
    blocks.push(block);
  });
  for (const block of blocks) for (const [cell, at] of block.cells) cell.y = block.sum / block.weight + at;
}

function distance(above, below, gap) {
  return (above.h + below.h) / 2 + (above.track && below.track ? 3 : gap);
}

function placed(grid, cells, joins, backs, gap) {
  for (const column of grid) settle(column, (cell) => cell.index * 10, gap); // y is the middle of a cell
  for (let sweep = 0; sweep < 24; sweep += 1) {
    const sides = sweep >= 20 ? [0, 1] : [sweep % 2];
    for (const column of sweep % 2 ? [...grid].reverse() : grid) {
      settle(column, (cell) => {
        const near = sides.flatMap((side) => cell.joins[side].map((each) => (side === 0 ? each.from : each.to).y));
        return near.length ? near.reduce((sum, each) => sum + each, 0) / near.length : cell.y;
      }, gap);
    }
  }
  let x = 0;
  const edges = grid.map((column) => {
    const wide = Math.max(0, ...column.map((each) => each.w));
    const left = x;
    // many lines need more room to turn
    const turns = column.reduce((sum, each) => sum + each.joins[1].length, 0);
    x += wide + COLUMN_GAP + Math.min(90, turns * 1.5);
    return [left, left + wide];
  });
  const top = Math.min(0, ...cells.map((each) => each.y - each.h / 2));
  for (const cell of cells) {
    cell.y -= top;
    cell.x = edges[cell.column][0];
    if (cell.track) cell.w = edges[cell.column][1] - cell.x;
  }
  const nodes = new Map(cells.filter((each) => !each.track).map((c) => [c.id, { x: c.x, y: c.y - c.h / 2, w: c.w, h: c.h }]));
  return {
    nodes,
    segments: [...joins.map(curve), ...cells.filter((each) => each.track).map(straight)],
    backs: backs.map((link) => ({ d: around(nodes.get(link.from), nodes.get(link.to)), link })),
    width: Math.max(0, ...cells.map((each) => each.x + each.w)),
    height: Math.max(0, ...cells.map((each) => each.y + each.h / 2)),
  };
}

function curve({ from, to, links }) {
  const [x, y] = [from.x + from.w + (from.outset || 0), from.y];
  const end = to.x - (to.inset || 0);
  const bend = (end - x) / 2;
  const d = `M${x} ${y}C${x + bend} ${y} ${end - bend} ${to.y} ${end} ${to.y}`;
  return { d, links, ends: !to.track };
}

function straight({ x, y, w, links }) {
  return { d: `M${x} ${y}H${x + w}`, links, ends: false };
}

/** A path for a link that leads back: below both. */
function around(from, to) {
  const [x1, x2] = [from.x + from.w / 2, to.x + to.w / 2];
  const [y1, y2] = [from.y + from.h, to.y + to.h];
  const low = Math.max(y1, y2) + 30;
  return `M${x1} ${y1}C${x1} ${low + 20} ${x2} ${low + 20} ${x2} ${y2 + 2}`;
}
