// Draws the flame graphs of the page: the wider, the more time, callers above those that they call. A click or Enter makes
// a function as wide as the page, Escape goes back; the search marks functions and sums their time. What is drawn of a node,
// and in which colour, is said by its kind (flame_kinds.js).
"use strict";
for (const figure of document.querySelectorAll("figure[data-flame]")) {
  const payload = JSON.parse(figure.querySelector("script.tree").textContent);
  const kind = flameKinds[figure.dataset.flame](payload, figure), { frames } = kind, { share } = flameKinds;
  const ROW = 19, LEAST = 0.4, WIDE_ENOUGH = 26;
  const holder = figure.querySelector(".flame"), search = figure.querySelector("input"), found = figure.querySelector("output.found");
  const said = figure.querySelector("output.said"), back = figure.querySelector("button.back");
  const ruler = document.createElement("canvas").getContext("2d");

  // Nodes with their parents.
  function nodeOf(row, parent) {
    const [fields, below] = kind.node(row), node = { ...fields, parent, depth: parent ? parent.depth + 1 : 0 };
    node.children = below.map((child) => nodeOf(child, node));
    return node;
  }
  const root = nodeOf(payload.tree, null);
  const state = { focus: root, at: root, needle: "", boxes: [], width: 0 };

  const name = (node) => (node.frame < 0 ? "all" : frames[node.frame].slice(frames[node.frame].indexOf(":") + 1));
  const module = (node) => (node.frame < 0 ? "" : frames[node.frame].split(":")[0]);
  // The time in the function and in none that it called.
  const own = (node, which) => Math.max(0, node.time[which] - node.children.reduce((sum, child) => sum + child.time[which], 0));
  const matches = (node) => state.needle !== "" && node.frame >= 0 && frames[node.frame].toLowerCase().includes(state.needle);

  function words(node) {
    const title = module(node) ? `${name(node)} in ${module(node)}` : name(node);
    return kind.words(node, { title, root, own: own(node, kind.side()) });
  }

  function line(node) {
    const found = [];
    for (let each = node; each; each = each.parent) found.unshift(each);
    return found;
  }

  // Rectangles: the way from the root to the focus over the whole width, then what the focus called, side by side.
  function laid(width) {
    const boxes = line(state.focus).slice(0, -1).map((node) => ({ node, x: 0, width, above: true }));
    const place = (node, x, across) => {
      if (across < LEAST) return;
      boxes.push({ node, x, width: across });
      const which = kind.side(), each = node.time[which] > 0 ? across / node.time[which] : 0;
      let from = x;
      for (const child of [...node.children].sort((a, b) => b.time[which] - a.time[which])) {
        place(child, from, child.time[which] * each);
        from += child.time[which] * each;
      }
    };
    place(state.focus, 0, width);
    return boxes;
  }

  function fitted(text, room) {
    if (ruler.measureText(text).width <= room) return text;
    let kept = Math.floor(text.length * room / ruler.measureText(text).width);
    while (kept > 1 && ruler.measureText(`${text.slice(0, kept)}…`).width > room) kept--;
    return kept > 1 ? `${text.slice(0, kept)}…` : "";
  }

  function draw() {
    const width = state.width = Math.max(240, holder.getBoundingClientRect().width);
    ruler.font = `11.5px ${getComputedStyle(document.body).fontFamily}`;
    state.boxes = laid(width);
    const deepest = Math.max(...state.boxes.map(({ node }) => node.depth));
    const svg = exporting.node("svg", { width, height: (deepest + 1) * ROW, viewBox: `0 0 ${width} ${(deepest + 1) * ROW}`, role: "img", tabindex: 0, "aria-label": `${figure.getAttribute("aria-label")}; arrow keys move, Enter zooms, Escape goes back` });
    for (const { node, x, width: across, above } of state.boxes) {
      const dim = above || (state.needle && !matches(node)), label = `${kind.mark(node)}${name(node)}`;
      const group = exporting.node("g", { class: `frame${dim ? " dim" : ""}${node === state.at ? " at" : ""}` }, svg);
      group.dataset.tip = words(node);
      group.addEventListener("click", () => focus(node));
      exporting.node("rect", { x: x.toFixed(2), y: node.depth * ROW, width: Math.max(0.3, across - 0.6).toFixed(2), height: ROW - 1.5, rx: 1.5, style: `fill:${kind.fill(node)}` }, group);
      if (across > WIDE_ENOUGH) exporting.node("text", { x: (x + 4).toFixed(2), y: node.depth * ROW + 13 }, group, fitted(label, across - 8));
    }
    svg.addEventListener("keydown", move);
    const focused = holder.contains(document.activeElement);
    holder.replaceChildren(svg);
    if (focused) svg.focus({ preventScroll: true });
    back.hidden = state.focus === root;
    tell();
  }

  function tell() {
    const which = kind.side();
    const sum = (node) => (matches(node) ? node.time[which] : node.children.reduce((total, child) => total + sum(child), 0));
    found.textContent = state.needle ? `${share(sum(root), root.time[which])} of the ${kind.word(which)} in what matches` : "";
    said.textContent = words(state.at);
  }

  function focus(node) {
    state.focus = state.at = node;
    draw();
  }

  function move(event) {
    const { at } = state, drawn = new Set(state.boxes.map(({ node }) => node));
    const beside = (step) => {
      const row = state.boxes.filter(({ node }) => node.depth === at.depth).sort((a, b) => a.x - b.x).map(({ node }) => node);
      return row[row.indexOf(at) + step];
    };
    const inside = state.boxes.filter(({ node }) => node.parent === at).sort((a, b) => a.x - b.x)[0];
    const next = { ArrowUp: at.parent, ArrowDown: inside && inside.node, ArrowLeft: beside(-1), ArrowRight: beside(1) }[event.key];
    if (event.key === "Enter") focus(at);
    else if (event.key === "Escape") focus(root);
    else if (next && drawn.has(next)) {
      state.at = next;
      draw();
    } else return;
    event.preventDefault();
  }

  // Folded stacks, as other tools read them, with the time of each in itself.
  function rows() {
    const found = [["stack", ...kind.heads]];
    const walk = (node) => {
      const spent = kind.sides.map((which) => +own(node, which).toPrecision(5));
      if (node !== root && spent.some((each) => each > 0)) found.push([line(node).slice(1).map((each) => frames[each.frame]).join(";"), ...spent]);
      node.children.forEach(walk);
    };
    walk(root);
    return found;
  }

  search.addEventListener("input", () => { state.needle = search.value.trim().toLowerCase(); draw(); });
  back.addEventListener("click", () => focus(root));
  kind.redrawn(draw);
  new ResizeObserver(([entry]) => {
    if (entry.contentRect.width && Math.floor(entry.contentRect.width) !== Math.floor(state.width)) draw();
  }).observe(holder);
  exporting.offer(figure, {
    title: figure.getAttribute("aria-label"), legend: () => figure.querySelectorAll(".legend > *"),
    draw: () => exporting.styled(holder.querySelector("svg")), rows,
  });
  draw();
}
