// Shows the points behind a figure, with their settings. The plotting library is unpacked when a reader first asks for it.
"use strict";

/** Text for plotly, which reads some tags in it. */
const plain = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const percent = (share) => `${(100 * share).toFixed(share > 0.95 ? 2 : 1)} %`;

/** The axis of sparsity shows the share that is left on a logarithmic scale, as in the printed figures. */
const left = (sparsity) => Math.max(1 - sparsity, 1e-4);
const TICKS = [1, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 0.0005, 0.0002];

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

/** What is said of one point: its curve, its settings, its coordinates. */
function describe(curve, axes, at) {
  const [x, y] = [curve.values[axes.x][at], curve.values[axes.y][at]];
  const named = axes.titles.map((title) => title.toLowerCase());
  return [curve.name, curve.settings[at], `${named[0]} ${percent(x)}, ${named[1]} ${percent(y)}`].filter(Boolean);
}

/** The traces of a curve: a line along its front, and all its points, pale where another point is better. */
function tracesOf(curve, axes, name) {
  const all = curve.settings.map((_, at) => at).filter((at) => curve.values[axes.x][at] !== null && curve.values[axes.y][at] !== null);
  const pick = (column, points) => points.map((at) => curve.values[column][at]);
  const onFront = all.filter((at) => curve.fronts[name][at]);
  const shared = { name: plain(curve.name), legendgroup: curve.name };
  const text = all.map((at) => describe(curve, axes, at));
  return [
    { ...shared, mode: "lines", x: pick(axes.x, onFront).map(left), y: pick(axes.y, onFront), hoverinfo: "skip", showlegend: false,
      line: { color: curve.colour, width: 1.5, dash: curve.dashed ? "dash" : "solid" } },
    { ...shared, mode: "markers", x: pick(axes.x, all).map(left), y: pick(axes.y, all), text: text.map((lines) => lines.map(plain).join("<br>")),
      customdata: text.map((lines) => lines.join(": ")), hoverinfo: "text",
      marker: { color: curve.colour, symbol: curve.symbol, size: 9, opacity: all.map((at) => (curve.fronts[name][at] ? 1 : 0.4)),
                line: { color: "#fff", width: 0.5 } } },
  ];
}

/** Draws the points of a figure into `place`, and says in `state` which one the pointer or the keyboard is at. */
async function draw(place, state, name, explored) {
  const Plotly = await plotly(), axes = explored.figures[name];
  const traces = explored.curves.flatMap((curve) => tracesOf(curve, axes, name));
  const rows = Math.ceil(explored.curves.length / Math.max(1, Math.floor(place.clientWidth / 190)));
  const axis = (title) => ({ title: { text: title }, gridcolor: "#e4e6ea", zeroline: false, automargin: true });
  const layout = {
    height: 430 + 21 * rows, margin: { l: 55, r: 15, t: 15, b: 50 }, hovermode: "closest", dragmode: "pan",
    paper_bgcolor: "#fff", plot_bgcolor: "#fff", font: { color: "#1b1d21", family: "system-ui, sans-serif" },
    hoverlabel: { align: "left", bgcolor: "#fff", font: { color: "#1b1d21" } },
    xaxis: { ...axis(axes.titles[0]), type: "log", autorange: "reversed", tickvals: TICKS,
             ticktext: TICKS.map((share) => `${Number((100 * (1 - share)).toFixed(2))} %`) },
    yaxis: { ...axis(axes.titles[1]), tickformat: ".0%" },
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
