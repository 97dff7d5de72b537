// Shows the points behind a figure, with their settings. The plotting library is unpacked when a reader first asks for it.
"use strict";

/** Text for plotly, which reads some tags in it. */
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const percent = (share) => `${(100 * share).toFixed(share > 0.95 ? 2 : 1)} %`;

const same = (value) => value;
const LEFT = [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002];
const NATS = [-5, -2, -1, -0.5, -0.2, -0.1, 0, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20];
/** Linear near 0 and logarithmic further away, so that small values can be told apart beside large ones. */
const stretched = (nats) => Math.asinh(nats / 0.1);

/** Round numbers for the ticks of a logarithmic axis, the closer together the nearer `low` and `high` are. */
function roundNumbers(low, high) {
  const steps = high / low < 5 ? [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8] : high / low < 1000 ? [1, 2, 5] : [1];
  const powers = Array.from({ length: 12 }, (_, power) => 10 ** (power - 3));
  return powers.flatMap((power) => steps.map((step) => Number((step * power).toPrecision(2))));
}

/** A number with three decimals, without the sign of a zero. */
const decimals = (value) => (Math.round(1000 * value) / 1000 || 0).toFixed(3);

/** For each scale: where a value lies on the axis, its text in a sentence, its unit, and the axis, from all values on it. */
const SCALES = {
  // the share that is left on a logarithmic scale, as in the printed figures
  left: { place: (sparsity) => Math.max(1 - sparsity, 1e-4), text: percent,
          axis: () => ({ type: "log", autorange: "reversed", tickvals: LEFT,
                         ticktext: LEFT.map((share) => `${Number((100 * (1 - share)).toFixed(2))} %`) }) },
  share: { place: same, text: percent, axis: () => ({ tickformat: ".0%" }) },
  number: { place: same, text: decimals, axis: () => ({}) },
  nats: { place: stretched, text: decimals, unit: " nats",
          axis: () => ({ tickvals: NATS.map(stretched), ticktext: NATS.map(String) }) },
  logarithmic: { place: same, text: (value) => Number(value.toPrecision(4)).toLocaleString("en"),
                 axis: (values) => {
                   const ticks = roundNumbers(Math.min(...values), Math.max(...values));
                   return { type: "log", tickvals: ticks, ticktext: ticks.map((tick) => tick.toLocaleString("en")) };
                 } },
};

let library;
/** Unpacks the plotting library and runs it, once. */
function plotly() {
  library ??= (async () => {
    const packed = Uint8Array.from(atob(document.getElementById("library").textContent.trim()), (c) => c.charCodeAt(0));
    const script = document.createElement("script");
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    script.textContent = await new Response(stream).text();
    document.head.append(script);
    return window.Plotly;
  })();
  return library;
}

/** A column's value at a point, with its 95 % interval if it has one; empty if it is missing. */
function say(curve, { column, words, scale }, at) {
  const { text, unit = "" } = SCALES[scale], value = curve.values[column][at];
  const [low, high] = (curve.intervals[column] ?? [[], []]).map((ends) => ends[at] ?? null);
  if (value === null) return "";
  const ends = low === null || high === null || low === high ? "" : ` (95 % interval ${[low, high].map(text).join(" to ")})`;
  return `${words} ${text(value)}${unit}${ends}`;
}

/** What is said of one point: its curve, its settings, its coordinates, and the values beside them. */
function describe(curve, axes, at) {
  const values = [[axes.x, axes.y], axes.also].map((columns) => columns.map((axis) => say(curve, axis, at)).filter(Boolean).join(", "));
  return [curve.name, curve.settings[at], ...values].filter(Boolean);
}

/** The traces of a curve: a line along its front or through all, and its points, pale where another point is better. */
function tracesOf(curve, axes, name) {
  const [xs, ys] = [axes.x, axes.y].map(({ column }) => curve.values[column]);
  // from left to right, so that arrow keys go from point to point
  const all = xs.map((_, at) => at).filter((at) => xs[at] !== null && ys[at] !== null).sort((a, b) => xs[a] - xs[b]);
  const front = curve.fronts[name], best = all.filter((at) => !front || front[at]);
  const places = (points) => ({ x: points.map((at) => SCALES[axes.x.scale].place(xs[at])), y: points.map((at) => SCALES[axes.y.scale].place(ys[at])) });
  const shared = { name: plain(curve.name), legendgroup: curve.name };
  const text = all.map((at) => describe(curve, axes, at));
  return [
    { ...shared, mode: "lines", ...places(axes.line === "none" ? [] : best), hoverinfo: "skip", showlegend: false,
      line: { color: curve.colour, width: 1.5, dash: curve.dashed ? "dash" : "solid" } },
    { ...shared, mode: "markers", ...places(all), text: text.map((lines) => lines.map(plain).join("<br>")),
      customdata: text.map((lines) => lines.join(": ")), hoverinfo: "text",
      marker: { color: curve.colour, symbol: curve.symbol, size: 9, opacity: all.map((at) => (best.includes(at) ? 1 : 0.4)),
                line: { color: curve.symbol.endsWith("-open") ? curve.colour : "#fff", width: curve.symbol.endsWith("-open") ? 1.5 : 0.5 } } },
  ];
}

/** A horizontal line at each level of a figure, as wide as the points of `traces`. */
function levelsOf(axes, traces) {
  const xs = traces.flatMap((trace) => trace.x), ends = [Math.min(...xs), Math.max(...xs)];
  return axes.levels.map(({ name, value }, at) => ({
    name: plain(name), mode: "lines", x: ends, y: ends.map(() => SCALES[axes.y.scale].place(value)), hoverinfo: "skip",
    line: { color: at ? "#1a1a1a" : "#b8860b", width: 1.4, dash: at ? "dash" : "solid" },
  }));
}

/** Draws the points of a figure into `place`, and says in `state` which one the pointer or the keyboard is at. */
async function draw(place, state, name, explored) {
  const Plotly = await plotly(), axes = explored.figures[name];
  const points = explored.curves[axes.curves].flatMap((curve) => tracesOf(curve, axes, name));
  const traces = [...points, ...levelsOf(axes, points)];
  const rows = Math.ceil((points.length / 2 + axes.levels.length) / Math.max(1, Math.floor(place.clientWidth / 190)));
  const axis = ({ title, scale }, values) => (
    { title: { text: title }, gridcolor: "#e4e6ea", zeroline: false, automargin: true, ...SCALES[scale].axis(values) });
  const layout = {
    height: 430 + 21 * rows, margin: { l: 55, r: 15, t: 15, b: 50 }, hovermode: "closest", dragmode: "pan",
    paper_bgcolor: "#fff", plot_bgcolor: "#fff", font: { color: "#1b1d21", family: "system-ui, sans-serif" },
    hoverlabel: { align: "left", bgcolor: "#fff", font: { color: "#1b1d21" } },
    xaxis: axis(axes.x, points.flatMap((trace) => trace.x)),
    yaxis: axis(axes.y, traces.flatMap((trace) => trace.y)),
    legend: { orientation: "h", y: -0.15, yanchor: "top", x: 0 },
  };
  const config = { displaylogo: false, showSendToCloud: false, responsive: true, modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d"] };
  await Plotly.newPlot(place, traces, layout, config);
  place.on("plotly_hover", ({ points: [point] }) => (state.textContent = point.customdata));

  const drawn = traces.map((trace, at) => at).filter((at) => traces[at].mode === "markers" && traces[at].x.length);
  let curve = 0, point = -1;
  place.addEventListener("keydown", (event) => {
    const across = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0, along = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
    if (!across && !along) return;
    event.preventDefault();
    curve = (curve + along + drawn.length) % drawn.length;
    const last = traces[drawn[curve]].x.length - 1;
    point = Math.min(Math.max(point + across, 0), last);
    Plotly.Fx.hover(place, [{ curveNumber: drawn[curve], pointNumber: point }]);
    state.textContent = traces[drawn[curve]].customdata[point];
  });
}

/** Puts a button under a figure that swaps it with its points. */
function addButton(figure, name, explored) {
  const button = document.createElement("button"), place = document.createElement("div"), state = document.createElement("p");
  const plate = figure.querySelector(".plate");
  button.type = "button";
  button.className = "explore";
  button.textContent = "Explore the points";
  button.setAttribute("aria-expanded", "false");
  place.className = "explored";
  place.tabIndex = 0;
  place.setAttribute("role", "application");
  place.setAttribute("aria-label", "Points: left and right arrows go from point to point, up and down from curve to curve");
  state.className = "explored state";
  state.setAttribute("role", "status");
  state.textContent = "Point at a marker, or use the arrow keys. A click on a name hides its curve, a double click all others.";
  plate.append(place);
  plate.after(button, state);
  button.addEventListener("click", async () => {
    const open = figure.classList.toggle("exploring");
    button.textContent = open ? "Show the printed figure" : "Explore the points";
    button.setAttribute("aria-expanded", String(open));
    if (open && !place.childElementCount) await draw(place, state, name, explored);
  });
}

const explored = JSON.parse(document.getElementById("points").textContent);
if ("DecompressionStream" in window) {
  for (const name of Object.keys(explored.figures)) addButton(document.getElementById(name), name, explored);
}
