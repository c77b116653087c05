// What a flame graph shows: the time of one set of stacks by two clocks, or that of two sets, coloured by what changed.
// A kind is made of a figure and its payload, and has
//   sides, side()         keys of the times of a node, and the one that is drawn
//   word(side)            what that time is called
//   node(row)             the fields of a node, and the rows of those below it
//   fill(node), mark(node)  its colour, and a sign before its name
//   words(node, with)     what is said of it
//   heads                 of its columns in a file
//   redrawn(draw)         sees to it that it is drawn again when another time is asked for
"use strict";
const flameKinds = (() => {
  const THIN = "\u202f";
  const number = (value) => String(+value.toPrecision(3));
  const share = (part, whole) => (whole > 0 ? `${(100 * part / whole).toFixed(1)}${THIN}%` : "–");
  const mixed = (colour, percent) => `color-mix(in srgb, var(--${colour}) ${percent}%, var(--paper))`;

  function stacks({ frames, roomOf, rooms }, figure) {
    const words = { cpu: "CPU", wall: "wall" }, { only } = figure.dataset, sides = only ? [only] : ["cpu", "wall"];
    const side = () => only || document.documentElement.dataset.time || "cpu";
    return {
      side, sides, word: (which) => `${words[which]} time`, heads: sides.map((which) => `${words[which]} (ms)`),
      node: ([frame, cpu, wall, below]) => [{ frame, time: { cpu, wall } }, below],
      fill: (node) => mixed(node.frame < 0 ? "grey" : rooms[roomOf[node.frame]][1], 62),
      mark: () => "",
      words: (node, { title, own, root }) => {
        const time = node.time[side()];
        return `${title}: ${number(time)}${THIN}ms of ${words[side()]} time, ${share(time, root.time[side()])} of all; ${number(own)}${THIN}ms of it in itself`;
      },
      redrawn: (draw) => document.addEventListener("clockchange", draw),
      frames,
    };
  }

  // Full colour from twice the time on, or half of it; what may be noise is grey, and only what is not has a sign.
  function changes({ frames, names, common }, figure) {
    const sides = ["before", "after"], box = figure.querySelector("select.side");
    const change = ({ time }) => time.after - common * time.before;
    const strength = ({ time }) => {
      const ratio = time.before > 0 ? time.after / (common * time.before) : Infinity;
      return ratio > 0 ? Math.min(1, Math.abs(Math.log2(ratio))) : 1;
    };
    return {
      sides, side: () => (box ? box.value : "after"), word: (which) => `CPU time of ${names[sides.indexOf(which)]}`,
      heads: [...names.map((name) => `${name} (ms)`)],
      node: ([frame, before, after, low, high, sign, below]) => [{ frame, time: { before, after }, low, high, sign }, below],
      fill: (node) => (node.sign ? mixed(node.sign > 0 ? "orange" : "blue", Math.round(22 + 40 * strength(node))) : mixed("grey", 30)),
      mark: (node) => ({ 1: "▲ ", "-1": "▼ " })[node.sign] || "",
      words: (node, { title }) => {
        const { before, after } = node.time, sign = change(node) < 0 ? "−" : "+";
        const verdict = node.sign ? (node.sign > 0 ? "slower" : "faster") : node.low === null ? "too few samples to tell" : "may be noise";
        const interval = node.low === null ? "" : ` (${number(node.low)} to ${number(node.high)})`;
        return `${title}: ${number(before)} → ${number(after)}${THIN}ms of CPU time, ${sign}${number(Math.abs(change(node)))}${THIN}ms${interval}: ${verdict}`;
      },
      redrawn: (draw) => box && box.addEventListener("change", draw),
      frames,
    };
  }

  return { stacks, changes, number, share };
})();
