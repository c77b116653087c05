// Saves a chart as SVG, PNG and CSV, from a page that lies anywhere. The picture carries its own colours, fonts, title
// and legend, so that it is legible wherever it goes; the CSV holds the values behind it.
//
//   exporting.offer(figure, { title, draw, rows, legend })   buttons below a figure
//     draw() -> an <svg> as `plot`, `styled`, `boxes` and `raster` return; rows() -> rows of cells, the header first;
//     legend() -> the elements that are its entries, each with its sign (an <i> or an <svg>) and words; none
//   exporting.plot(u, drawing)   a chart of uPlot, whose rows are exporting.values(chart, ...)
//   exporting.styled(svg)   an <svg> of the page
//   exporting.boxes(element)     bars and labels of HTML    exporting.raster(canvas)   any canvas, as an image
//
// A figure that carries its rows, <script type="application/json" class="rows">, gets its buttons without a call: its
// picture is its <svg>, or what stands in its element of class "bars"; `data-legend` selects the entries of its legend.
"use strict";
const exporting = (() => {
  const SVG = "http://www.w3.org/2000/svg", MARGIN = 16, LINE = 20, SCALE = 2;
  const ruler = document.createElement("canvas").getContext("2d");
  const probe = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
  const font = () => getComputedStyle(document.body).fontFamily;

  function node(name, attributes, parent, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }

  // A colour of the page in the words that every reader of SVG knows: "#rrggbb" and an opacity.
  function ink(colour) {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = "#000";
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = probe.getImageData(0, 0, 1, 1).data;
    return { colour: "#" + [r, g, b].map((v) => v.toString(16).padStart(2, "0")).join(""), opacity: +(a / 255).toFixed(3) };
  }

  function painted(kind, colour) {
    const { colour: plain, opacity } = ink(colour);
    return opacity === 0 ? { [kind]: "none" } : { [kind]: plain, [`${kind}-opacity`]: opacity === 1 ? null : opacity };
  }

  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  function across(text, size, weight = "400") {
    ruler.font = `${weight} ${size}px ${font()}`;
    return ruler.measureText(text).width;
  }

  function blank(width, height) {
    return node("svg", { xmlns: SVG, width, height, viewBox: `0 0 ${width} ${height}`, "font-family": font(), "font-size": 12 });
  }

  // ---- pictures ----------------------------------------------------------------------------------------------------

  const KEPT = ["stroke-width", "stroke-dasharray", "fill-opacity", "stroke-opacity", "opacity", "font-size", "font-weight", "text-anchor"];

  function copied(from, parent) {
    if (from.nodeType === Node.TEXT_NODE) { parent.append(from.data); return; }
    if (from.nodeType !== Node.ELEMENT_NODE) return;
    const seen = getComputedStyle(from), name = from.localName;
    if (seen.display === "none" || seen.visibility === "hidden" && name !== "title") return;
    const made = node(name === "a" ? "g" : name, {}, parent);
    for (const { name: key, value } of from.attributes) if (!["style", "class", "href", "tabindex"].includes(key)) made.setAttribute(key, value);
    if (["title", "clipPath", "svg"].includes(name)) made.removeAttribute("xmlns");
    else if (name === "g" || name === "a") {
      if (seen.opacity !== "1") made.setAttribute("opacity", seen.opacity);
    } else {
      const faded = { fill: +seen.fillOpacity, stroke: +seen.strokeOpacity };
      for (const key of KEPT) made.setAttribute(key, seen.getPropertyValue(key));
      for (const kind of ["fill", "stroke"]) {
        if (seen[kind] === "none") { made.setAttribute(kind, "none"); continue; }
        const { colour, opacity } = ink(seen[kind]);
        made.setAttribute(kind, colour);
        made.setAttribute(`${kind}-opacity`, +(opacity * faded[kind]).toFixed(3));
      }
    }
    for (const child of from.childNodes) copied(child, made);
  }

  // An <svg> of the page with what its style sheets say of it.
  function styled(svg) {
    const { width, height } = svg.getBoundingClientRect();
    const made = blank(Math.ceil(width), Math.ceil(height));
    made.setAttribute("viewBox", svg.getAttribute("viewBox") || `0 0 ${width} ${height}`);
    for (const child of svg.childNodes) copied(child, made);
    return made;
  }

  function raster(canvas) {
    const { width, height } = canvas.getBoundingClientRect(), made = blank(Math.ceil(width), Math.ceil(height));
    node("image", { width, height, href: canvas.toDataURL() }, made);
    return made;
  }

  // Backgrounds, borders and words of an element and all in it, where they stand on the page.
  function boxes(root) {
    const frame = root.getBoundingClientRect(), made = blank(Math.ceil(root.scrollWidth), Math.ceil(frame.height));
    const put = (box) => ({ x: +(box.left - frame.left).toFixed(2), y: +(box.top - frame.top).toFixed(2) });
    const within = (box, limit) => box.left >= limit.left - 1 && box.right <= limit.right + 1 && box.top >= limit.top - 1 && box.bottom <= limit.bottom + 1;
    const write = (text, style, limit) => {
      const range = document.createRange();
      range.selectNodeContents(text);
      const box = range.getBoundingClientRect(), size = parseFloat(style.fontSize);
      if (!text.data.trim() || !box.width || (limit && !within(box, limit))) return;
      const { x, y } = put(box), middle = y + box.height / 2 + size * 0.35;
      node("text", { x, y: middle.toFixed(2), "font-size": size, "font-weight": style.fontWeight, ...painted("fill", style.color) }, made, text.data.trim());
    };
    const walk = (element, limit, opacity) => {
      const style = getComputedStyle(element), box = element.getBoundingClientRect();
      if (style.display === "none" || style.visibility === "hidden") return;
      const shown = opacity * style.opacity, dim = shown === 1 ? null : shown;
      const back = painted("fill", style.backgroundColor);
      if (back.fill !== "none") node("rect", { ...put(box), width: box.width.toFixed(2), height: box.height.toFixed(2), rx: Math.min(parseFloat(style.borderRadius) || 0, box.height / 2) || null, opacity: dim, ...back }, made);
      const edge = (side, x1, y1, x2, y2) => {
        const line = painted("stroke", style[`border${side}Color`]), width = parseFloat(style[`border${side}Width`]);
        if (width && style[`border${side}Style`] !== "none" && line.stroke !== "none") node("line", { x1: x1 - frame.left, y1: y1 - frame.top, x2: x2 - frame.left, y2: y2 - frame.top, "stroke-width": width, ...line }, made);
      };
      edge("Left", box.left, box.top, box.left, box.bottom);
      edge("Bottom", box.left, box.bottom, box.right, box.bottom);
      edge("Top", box.left, box.top, box.right, box.top);
      const inner = style.overflow === "hidden" ? box : limit;
      for (const child of element.childNodes) {
        if (child.nodeType === Node.TEXT_NODE) write(child, style, inner);
        else if (child.nodeType === Node.ELEMENT_NODE) walk(child, inner, shown);
      }
    };
    walk(root, null, 1);
    return made;
  }

  // A chart of uPlot, drawn again from its data. `drawing`: titles {x, y}, series of {colour, fill, width, dash, steps} in
  // the order of `u.series`, marks of {x, left, label} in CSS pixels.
  function plot(u, drawing) {
    const ratio = uPlot.pxRatio || devicePixelRatio, made = blank(u.width, u.height);
    const [left, top, width, height] = ["left", "top", "width", "height"].map((key) => u.bbox[key] / ratio);
    const bottom = top + height, id = `area-${Math.round(left)}-${Math.round(width)}`;
    const at = (value, scale) => u.valToPos(value, scale, true) / ratio;
    const soft = painted("fill", css("soft"));
    const ticks = (axis, scale) => (axis._splits || []).map((value, i) => [value, (axis._values || [])[i]]).filter(([value]) => value !== null).map(([value, label]) => [at(value, scale), label]);
    const series = () => {
      node("rect", { x: left, y: top, width, height }, node("clipPath", { id }, made));
      const group = node("g", { "clip-path": `url(#${id})` }, made);
      drawing.series.forEach((item, index) => line(group, item, u.data[0], u.data[index + 1]));
    };
    const line = (group, item, xs, ys) => {
      const points = [];
      xs.forEach((x, i) => { if (ys[i] !== null && ys[i] !== undefined) points.push([at(x, "x"), at(ys[i], "y")].map((v) => +v.toFixed(2))); });
      if (!points.length) return;
      const path = points.map(([x, y], i) => (!i ? `M${x} ${y}` : item.steps ? `H${x}V${y}` : `L${x} ${y}`)).join("");
      if (item.fill) node("path", { d: `${path}V${bottom}H${points[0][0]}z`, ...painted("fill", item.fill) }, group);
      if (item.width) node("path", { d: path, fill: "none", "stroke-width": item.width, "stroke-dasharray": item.dash || null, ...painted("stroke", item.colour) }, group);
      if (points.length === 1) node("circle", { cx: points[0][0], cy: points[0][1], r: 3, ...painted("fill", item.colour) }, group);
    };
    if (drawing.stacked) series();
    for (const [y, label] of ticks(u.axes[1], "y")) {
      node("line", { x1: left, x2: left + width, y1: y, y2: y, ...painted("stroke", css("grid")) }, made);
      node("text", { x: left - 7, y: y + 4, "text-anchor": "end", ...soft }, made, label);
    }
    for (const [x, label] of ticks(u.axes[0], "x")) {
      node("line", { x1: x, x2: x, y1: bottom, y2: bottom + 4, ...painted("stroke", css("rule")) }, made);
      node("text", { x, y: bottom + 18, "text-anchor": "middle", ...soft }, made, label);
    }
    if (!drawing.stacked) series();
    const title = (words, x, y, room, turn) => {
      const size = Math.min(12, 12 * room / across(words, 12));
      node("text", { transform: `translate(${x} ${y})${turn ? " rotate(-90)" : ""}`, "text-anchor": "middle", "font-size": size.toFixed(1), ...soft }, made, words);
    };
    title(drawing.titles.x, left + width / 2, u.height - 7, 2 * Math.min(left + width / 2, u.width - left - width / 2));
    title(drawing.titles.y, 15, top + height / 2, 2 * Math.min(top + height / 2, u.height - top - height / 2), true);
    for (const { x, left: start, label } of drawing.marks) {
      node("line", { x1: x, x2: x, y1: top, y2: bottom, "stroke-dasharray": "3 3", ...painted("stroke", css("soft")) }, made);
      node("text", { x: start, y: top - 6, "font-size": 11.5, ...soft }, made, label);
    }
    return made;
  }

  // The rows of a chart of the page: CPU and wall where it has both, and of a histogram the ends of its bins.
  // `parts` takes the title of an axis to pieces.
  function values(chart, parts, edges) {
    const x = parts(chart.xAxis.title), y = parts(chart.yAxis.title);
    const named = (name, unit) => (unit ? `${name} (${unit})` : name);
    const columns = edges ? [[named(`${x.name} from`, x.unit), chart.x.slice(0, -1)], [named(`${x.name} to`, x.unit), chart.x.slice(1)]] : [[named(x.name, x.unit), chart.x]];
    for (const item of chart.series) {
      const unit = item.unit || y.unit;
      if (item.cpu) columns.push([named(`${item.label} CPU`, unit), item.cpu]);
      columns.push([named(item.cpu ? `${item.label} wall` : item.label, unit), item.values]);
    }
    return [columns.map(([name]) => name), ...columns[0][1].map((_, row) => columns.map(([, each]) => each[row]))];
  }

  // ---- the sheet: title, legend, picture --------------------------------------------------------------------------

  function entries(legend) {
    return [...legend].map((entry) => {
      const sign = entry.querySelector("svg, i"), text = entry.textContent.trim();
      return { text, sign, width: (sign ? sign.getBoundingClientRect().width + 6 : 0) + across(text, 13) + 16 };
    });
  }

  function mark(sign, x, y, parent) {
    if (sign.localName === "svg") {
      const copy = styled(sign);
      for (const [key, value] of Object.entries({ x, y: y - sign.getBoundingClientRect().height + 1 })) copy.setAttribute(key, value);
      parent.append(copy);
      return;
    }
    const style = getComputedStyle(sign), box = sign.getBoundingClientRect(), edge = parseFloat(style.borderTopWidth);
    if (edge && sign.classList.contains("dash")) node("line", { x1: x, x2: x + box.width, y1: y - 4, y2: y - 4, "stroke-width": edge, "stroke-dasharray": "4 3", ...painted("stroke", style.borderTopColor) }, parent);
    else node("rect", { x, y: y - 4 - box.height / 2, width: box.width, height: box.height, rx: 2, ...painted("fill", style.backgroundColor) }, parent);
  }

  function sheet(title, drawing, legend) {
    const wide = +drawing.getAttribute("width"), high = +drawing.getAttribute("height"), width = Math.max(wide, 320) + 2 * MARGIN;
    const made = blank(width, 0), from = document.title.replace(/ – phasewise.*$/, "");
    const paper = node("rect", { width, ...painted("fill", css("paper") || "Canvas") }, made);
    let y = MARGIN + 14;
    const heading = Math.min(15, 15 * (width - 2 * MARGIN) / across(title, 15, "600"));
    node("text", { x: MARGIN, y, "font-size": heading.toFixed(1), "font-weight": 600, ...painted("fill", css("ink")) }, made, title);
    node("text", { x: MARGIN, y: (y += LINE - 2), ...painted("fill", css("soft")) }, made, from.length > 90 ? `${from.slice(0, 89)}…` : from);
    let x = MARGIN;
    const listed = entries(legend);
    if (listed.length) y += LINE + 2;
    for (const entry of listed) {
      if (x > MARGIN && x + entry.width > width - MARGIN) [x, y] = [MARGIN, y + LINE];
      if (entry.sign) mark(entry.sign, x, y, made);
      const start = x + (entry.sign ? entry.sign.getBoundingClientRect().width + 6 : 0);
      node("text", { x: start, y, "font-size": 13, ...painted("fill", css("soft")) }, made, entry.text);
      x += entry.width;
    }
    for (const [key, value] of Object.entries({ x: MARGIN, y: (y += 12) })) drawing.setAttribute(key, value);
    made.append(drawing);
    const height = y + high + MARGIN;
    made.setAttribute("height", height);
    made.setAttribute("viewBox", `0 0 ${width} ${height}`);
    paper.setAttribute("height", height);
    return made;
  }

  // ---- files -------------------------------------------------------------------------------------------------------

  const cell = (value) => {
    const text = value === null || value === undefined || Number.isNaN(value) ? "" : String(value);
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const csv = (rows) => rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
  const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60);

  function save(blob, name) {
    const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  }

  // A picture of pixels, twice as many as the page has. A data URL, as a blob's would taint the canvas of a file.
  async function pixels(svg) {
    const text = new XMLSerializer().serializeToString(svg), image = new Image();
    image.src = "data:image/svg+xml;charset=utf-8," + encodeURIComponent(text);
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: SCALE * svg.getAttribute("width"), height: SCALE * svg.getAttribute("height") });
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    // Not by `toBlob`: Chromium does that when the page is idle, seconds later, when a click no longer lets a page save.
    const bytes = atob(canvas.toDataURL("image/png").split(",")[1]);
    return new Blob([Uint8Array.from(bytes, (byte) => byte.charCodeAt(0))], { type: "image/png" });
  }

  const FORMATS = {
    SVG: async (part) => new Blob([new XMLSerializer().serializeToString(sheet(part.title, part.draw(), part.legend()))], { type: "image/svg+xml" }),
    PNG: async (part) => pixels(sheet(part.title, part.draw(), part.legend())),
    CSV: async (part) => new Blob([csv(part.rows())], { type: "text/csv" }),
  };

  function offer(figure, part) {
    figure.querySelector(":scope > .save")?.remove();
    const row = Object.assign(document.createElement("p"), { className: "save" });
    const name = `${slug(document.title.replace(/ – phasewise.*$/, ""))}-${slug(part.title)}`;
    for (const [format, make] of Object.entries(FORMATS)) {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: format });
      button.setAttribute("aria-label", `Save ${part.title} as ${format}`);
      button.addEventListener("click", async () => save(await make(part), `${name}.${format.toLowerCase()}`));
      row.append(button);
    }
    figure.append(row);
  }

  // What is printed has the colours for white paper, whatever the screen has.
  addEventListener("beforeprint", () => { document.documentElement.dataset.paper = "white"; });
  addEventListener("afterprint", () => { delete document.documentElement.dataset.paper; });

  for (const figure of document.querySelectorAll("figure:has(> script.rows)")) {
    offer(figure, {
      title: figure.getAttribute("aria-label"), legend: () => document.querySelectorAll(figure.dataset.legend || "no-legend"),
      draw: () => (figure.querySelector(".bars") ? boxes(figure.querySelector(".bars")) : styled(figure.querySelector("svg"))),
      rows: () => JSON.parse(figure.querySelector("script.rows").textContent),
    });
  }

  return { offer, plot, values, styled, boxes, raster, node, painted };
})();
