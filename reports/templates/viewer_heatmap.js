// Draws the GPUs of one run: a canvas for each worker type, a strip for each node, a square for each GPU.
"use strict";
const viewerHeatmap = (() => {
  const LARGEST = 26, SMALLEST = 3; // CSS pixels of a square

  // Place nodes left to right in lines of `width`; everything in device pixels.
  function flow(sizes, width, cell, unit) {
    const step = cell + unit, apart = 3 * unit, line = cell + 2 * unit, edge = 2 * unit; // room for an outline
    const xs = [], ys = [];
    let x = edge, y = edge;
    for (const size of sizes) {
      if (x > edge && x + size * step - unit > width - edge) { x = edge; y += line; }
      for (let gpu = 0; gpu < size; gpu++) {
        if (x + cell > width - edge) { x = edge; y += line; } // a node that is longer than a line
        xs.push(x);
        ys.push(y);
        x += step;
      }
      x += apart - unit;
    }
    return { xs, ys, height: y + cell + edge };
  }

  class Heatmap {
    constructor(frames, holder) {
      Object.assign(this, { frames, holder, groups: [], pointer: null, marked: null });
      const { workerTypes, nodesPerType } = frames.run;
      let node = 0, gpu = 0;
      workerTypes.forEach((name, type) => {
        const sizes = Array.from(frames.gpusPerNode.subarray(node, node + nodesPerType[type]));
        const group = { name, sizes, firstNode: node, firstGpu: gpu, gpus: sizes.reduce((a, b) => a + b, 0) };
        const section = document.createElement("section"), head = document.createElement("h4");
        group.canvas = Object.assign(document.createElement("canvas"), { tabIndex: 0 });
        group.canvas.setAttribute("role", "application");
        group.canvas.setAttribute("aria-roledescription", "heat map");
        group.canvas.setAttribute("aria-label", `GPUs of type ${name}, a square each. W, A, S and D move from one to the next, Enter opens the page of its job.`);
        group.held = Object.assign(document.createElement("span"), { className: "held" });
        const title = Object.assign(document.createElement("b"), { textContent: name });
        const many = (count, word) => `${count.toLocaleString("en").replace(/,/g, "\u202f")} ${word}${count === 1 ? "" : "s"}`;
        const what = document.createTextNode(` ${many(group.gpus, "GPU")} on ${many(sizes.length, "node")}, `);
        head.append(title, what, group.held);
        section.append(head, group.canvas);
        holder.append(section);
        this.groups.push(group);
        node += sizes.length;
        gpu += group.gpus;
      });
    }

    // Choose the largest square with which all types fit into `height` CSS pixels, and size the canvases.
    layout(height) {
      const ratio = devicePixelRatio || 1, unit = Math.max(1, Math.round(ratio));
      const width = Math.max(60, Math.floor((this.holder.clientWidth + 4) * ratio));
      for (let cell = LARGEST; cell >= SMALLEST; cell--) {
        this.cell = Math.round(cell * ratio);
        let total = 0;
        for (const group of this.groups) total += (group.flow = flow(group.sizes, width, this.cell, unit)).height;
        if (total <= height * ratio) break;
      }
      for (const group of this.groups) {
        group.canvas.width = width;
        group.canvas.height = group.flow.height;
        group.canvas.style.width = width / ratio + "px";
        group.canvas.style.height = group.flow.height / ratio + "px";
        group.context = group.canvas.getContext("2d");
        group.image = group.context.createImageData(width, group.flow.height);
        group.pixels = new Uint32Array(group.image.data.buffer);
      }
    }

    // colours: of each job (uint32, as in ImageData); idle: of what no job holds.
    paint(colours, idle) {
      const { job, share, firstSlot } = this.frames, cell = this.cell, gap = cell >= 10 ? 1 : 0;
      for (const group of this.groups) {
        const { xs, ys } = group.flow, width = group.canvas.width, pixels = group.pixels;
        const rows = (x, y, count, colour) => { // plain loops are quicker than a fill() for each line of a square
          for (let start = y * width + x, last = start + count * width; start < last; start += width) {
            for (let at = start; at < start + cell; at++) pixels[at] = colour;
          }
        };
        for (let i = 0; i < group.gpus; i++) {
          const first = firstSlot[group.firstGpu + i], end = firstSlot[group.firstGpu + i + 1];
          let total = 0;
          for (let slot = first; slot < end; slot++) if (job[slot] >= 0) total += share[slot];
          if (total < 1000 || end - first > 1) rows(xs[i], ys[i], cell, idle);
          // Shares are stacked from the bottom; those of a GPU that is given out more than once are squeezed into it.
          let sum = 0, top = ys[i] + cell;
          for (let slot = first; slot < end; slot++) {
            if (job[slot] < 0) continue;
            sum += share[slot];
            const next = Math.min(top - 1, ys[i] + cell - Math.round((cell * sum) / Math.max(1000, total)));
            if (next < ys[i]) break;
            const seam = share[slot] < total ? gap : 0;
            rows(xs[i], next + (top - next > seam ? seam : 0), top - next - (top - next > seam ? seam : 0), colours[job[slot]]);
            top = next;
          }
        }
        group.context.putImageData(group.image, 0, 0);
      }
      this.heads();
      if (this.marked) this.frameNode(this.marked);
      if (this.pointer) this.outline(this.pointer.colour);
    }

    // How much of each type is held in the round that is shown.
    heads() {
      const { at, counts } = this.frames, types = this.groups.length;
      this.groups.forEach((group, type) => {
        const milli = at < 0 ? 0 : counts.heldMilli[at * types + type];
        group.held.textContent = `${(milli / (10 * Math.max(1, group.gpus))).toFixed(1)}\u202f% held`;
      });
    }

    outline(colour) {
      const { group, index } = this.pointer, { context, flow } = group, unit = Math.max(1, Math.round(devicePixelRatio));
      context.strokeStyle = colour;
      context.lineWidth = 2 * unit;
      context.strokeRect(flow.xs[index] - unit, flow.ys[index] - unit, this.cell + 2 * unit, this.cell + 2 * unit);
    }

    // A line around the squares of a node, which may go over several lines of the map.
    frameNode({ node, colour }) {
      const gpus = this.gpusOf(node);
      if (!gpus.length) return;
      const group = this.groupOf(gpus[0]), { context, flow: { xs, ys } } = group, unit = Math.max(1, Math.round(devicePixelRatio));
      context.strokeStyle = colour;
      context.lineWidth = 2 * unit;
      for (let first = gpus[0] - group.firstGpu, last = first, end = first + gpus.length; first < end; first = last) {
        while (last < end && ys[last] === ys[first]) last++;
        context.strokeRect(xs[first] - unit, ys[first] - unit, xs[last - 1] - xs[first] + this.cell + 2 * unit, this.cell + 2 * unit);
      }
    }

    groupOf(gpu) {
      return this.groups.find(({ firstGpu, gpus }) => gpu < firstGpu + gpus);
    }

    // Where a GPU, numbered over the cluster, stands: worker type, node, number on the node.
    placeOf(gpu) {
      const group = this.groupOf(gpu);
      return { type: group.name, ...this.nodeOf(group, gpu - group.firstGpu) };
    }

    // The GPUs of a node, numbered over the cluster; none where there is no such node.
    gpusOf(node) {
      const sizes = this.frames.gpusPerNode;
      if (!(node >= 0 && node < sizes.length)) return [];
      const first = sizes.subarray(0, node).reduce((sum, size) => sum + size, 0);
      return Array.from({ length: sizes[node] }, (_, own) => first + own);
    }

    // The GPU under a point of a canvas (CSS pixels from its corner), as an index within its group, or -1.
    hit(group, x, y) {
      const ratio = group.canvas.width / group.canvas.clientWidth, { xs, ys } = group.flow;
      let best = -1, nearest = (this.cell / 2 + 3 * ratio) ** 2 * 2;
      for (let i = 0; i < group.gpus; i++) {
        const dy = ys[i] + this.cell / 2 - y * ratio;
        if (dy > 2 * this.cell) break;
        const dx = xs[i] + this.cell / 2 - x * ratio, away = dx * dx + dy * dy;
        if (away < nearest && Math.max(Math.abs(dx), Math.abs(dy)) <= this.cell / 2 + 2 * ratio) { nearest = away; best = i; }
      }
      return best;
    }

    nodeOf(group, index) {
      let node = 0;
      while (index >= group.sizes[node]) index -= group.sizes[node++];
      return { node: group.firstNode + node, gpu: index };
    }

    // Centre of a square in CSS pixels of the window.
    centre(group, index) {
      const box = group.canvas.getBoundingClientRect(), ratio = group.canvas.width / group.canvas.clientWidth;
      return { x: box.left + (group.flow.xs[index] + this.cell / 2) / ratio, y: box.top + (group.flow.ys[index] + this.cell / 2) / ratio };
    }

    // The neighbour in a direction: the next square in the list, or the nearest one a line up or down.
    step(group, index, key) { // left, right, up or down
      const { xs, ys } = group.flow;
      if (key === "left") return Math.max(0, index - 1);
      if (key === "right") return Math.min(group.gpus - 1, index + 1);
      const way = key === "up" ? -1 : 1;
      let i = index;
      while (ys[i + way] === ys[index]) i += way;
      const line = ys[i += way];
      if (line === undefined) return index;
      let best = i;
      for (; ys[i] === line; i += way) if (Math.abs(xs[i] - xs[index]) < Math.abs(xs[best] - xs[index])) best = i;
      return best;
    }
  }

  return { Heatmap };
})();
