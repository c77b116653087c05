// Axes of the study's page: scales, ticks, and numbers as people read them.
"use strict";
const axes = (() => {
  const THIN = "\u202f";

  function number(value) {
    if (value === null || value === undefined || !isFinite(value)) return "–";
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size < 1e-4) return value.toExponential(2).replace("e-", "e−");
    const fixed = Number.isInteger(value) ? String(value) : value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(size))));
    const [whole, part] = fixed.split(".");
    return whole.replace(/\B(?=(\d{3})+$)/g, THIN) + (part ? "." + part : "");
  }

  function tick(value) {
    if (value === 0) return "0";
    if (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e7) return (+value.toPrecision(2)).toExponential().replace("e-", "e−").replace("e+", "e");
    const [whole, part] = String(+value.toPrecision(6)).split(".");
    return whole.replace(/\B(?=(\d{3})+$)/g, THIN) + (part ? "." + part : "");
  }

  function linearTicks(low, high, room) {
    const rough = (high - low) / Math.max(1, room), power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= rough * 0.999);
    const ticks = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) ticks.push(+(k * step).toPrecision(10));
    return ticks;
  }

  function logTicks(low, high, room) {
    const decades = Math.log10(high / low), every = Math.max(1, Math.ceil(decades / room));
    const steps = decades < room / 3 ? [1, 2, 5] : [1];
    const ticks = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      if (((power % every) + every) % every) continue;
      for (const step of steps) {
        const value = +(step * 10 ** power).toPrecision(3);
        if (value >= low * 0.9999 && value <= high * 1.0001) ticks.push(value);
      }
    }
    return ticks.length > 1 ? ticks : [low, high].map((each) => +each.toPrecision(2));
  }

  // A scale from the values that are shown to pixels between `from` and `to`; `pixels` is what a tick takes.
  function scale(axis, values, from, to, pixels) {
    const usable = values.filter((v) => v !== null && isFinite(v) && (!axis.log || v > 0));
    let low = usable.length ? Math.min(...usable) : axis.log ? 1 : 0;
    let high = usable.length ? Math.max(...usable) : axis.log ? 10 : 1;
    if (axis.log) {
      [low, high] = low === high ? [low / 2, high * 2] : [low / 1.1, high * 1.1];
    } else {
      const pad = (high - low || Math.abs(high) || 1) * 0.05;
      low = axis.low !== null ? axis.low : low - pad;
      high = axis.high !== null ? axis.high : high + pad;
      if (high <= low) high = low + 1;
    }
    const room = Math.max(2, Math.abs(to - from) / pixels);
    const share = axis.log ? (v) => Math.log(v / low) / Math.log(high / low) : (v) => (v - low) / (high - low);
    return {
      low, high,
      at: (v) => (v === null || (axis.log && v <= 0) ? null : from + Math.max(-0.2, Math.min(1.2, share(v))) * (to - from)),
      ticks: axis.log ? logTicks(low, high, room) : linearTicks(low, high, room),
    };
  }

  // A title such as "Mean JCT (h)" as its words and its unit.
  function parts(title) {
    const found = /^(.*?) \((.*)\)$/.exec(title);
    return found ? { words: found[1], unit: found[2] } : { words: title, unit: "" };
  }

  return { number, tick, scale, parts, THIN };
})();
