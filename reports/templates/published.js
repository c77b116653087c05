// Draws the intervals of the figures on the charts that have some: a point a figure, and a whisker from end to end.
"use strict";
(() => {
  const whiskers = JSON.parse(document.getElementById("whiskers").textContent);
  document.addEventListener("chartdrawn", ({ target, detail: u }) => {
    const rows = whiskers[target.dataset.chart];
    if (!rows) return;
    const { ctx } = u, ratio = devicePixelRatio;
    ctx.save();
    rows.forEach((row, index) => {
      const series = u.series[index + 1];
      ctx.strokeStyle = ctx.fillStyle = typeof series.stroke === "function" ? series.stroke(u, index + 1) : series.stroke;
      ctx.lineWidth = 1.2 * ratio;
      row.forEach((interval, at) => {
        if (!interval) return;
        const [low, high] = interval;
        const x = u.valToPos(u.data[0][at], "x", true), y = u.valToPos(u.data[index + 1][at], "y", true);
        ctx.beginPath();
        ctx.arc(x, y, 2.6 * ratio, 0, 2 * Math.PI);
        ctx.fill();
        if (!(low > 0) || !(high > 0)) return;
        const ends = [u.valToPos(low, "y", true), u.valToPos(high, "y", true)];
        ctx.beginPath();
        ctx.moveTo(x, ends[0]);
        ctx.lineTo(x, ends[1]);
        for (const end of ends) {
          ctx.moveTo(x - 3 * ratio, end);
          ctx.lineTo(x + 3 * ratio, end);
        }
        ctx.stroke();
      });
    });
    ctx.restore();
  });

  // The files of a chart have its intervals too.
  document.addEventListener("chartexport", ({ target, detail: { svg, rows, plot } }) => {
    const intervals = whiskers[target.dataset.chart];
    if (!intervals) return;
    if (rows) {
      rows.forEach((row, at) => row.push(...intervals.flatMap((ends, index) => (at ? ends[at - 1] || [null, null] : ["low", "high"].map((end) => `${end} of ${row[index + 1]}`)))));
      return;
    }
    const ratio = devicePixelRatio, y = (value) => plot.valToPos(value, "y", true) / ratio;
    intervals.forEach((row, index) => {
      const series = plot.series[index + 1], colour = typeof series.stroke === "function" ? series.stroke(plot, index + 1) : series.stroke;
      row.forEach((interval, at) => {
        if (!interval) return;
        const [low, high] = interval, x = plot.valToPos(plot.data[0][at], "x", true) / ratio;
        exporting.node("circle", { cx: x, cy: y(plot.data[index + 1][at]), r: 2.6, ...exporting.painted("fill", colour) }, svg);
        if (low > 0 && high > 0) exporting.node("path", { d: `M${x} ${y(low)}V${y(high)}M${x - 3} ${y(low)}h6M${x - 3} ${y(high)}h6`, fill: "none", "stroke-width": 1.2, ...exporting.painted("stroke", colour) }, svg);
      });
    });
  });
})();
