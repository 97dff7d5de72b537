// Makes every table of the page sortable, filterable and downloadable. The page can be read without it.
"use strict";

/** The value that a cell is sorted and downloaded by; empty if it is missing. */
const keyOf = (cell) => cell.dataset.key ?? cell.textContent.trim().replace(/\s+/g, " ");

/** Compares two keys as numbers where both are numbers; missing ones come last in either direction. */
function compare(a, b, sign) {
  if (a === "" || b === "") return (a === "") - (b === "");
  const difference = Number(a) - Number(b);
  return sign * (Number.isNaN(difference) ? a.localeCompare(b, "en", { numeric: true }) : difference);
}

function makeSortable(table) {
  const headers = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    header.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const down = header.getAttribute("aria-sort") === "ascending";
      for (const other of headers) other.setAttribute("aria-sort", "none");
      header.setAttribute("aria-sort", down ? "descending" : "ascending");
      const keyed = [...table.tBodies[0].rows].map((row) => [keyOf(row.cells[column]), row]);
      keyed.sort(([a], [b]) => compare(a, b, down ? -1 : 1));
      table.tBodies[0].append(...keyed.map(([, row]) => row));
    });
  });
}

/** The names of the columns: a header under a header that spans several columns is named after both. */
function columnNames(table) {
  const rows = [...table.tHead.rows];
  const names = [...rows.pop().cells].map((cell) => cell.textContent.trim());
  const above = rows.flatMap((row) => [...row.cells].flatMap((cell) => Array(cell.colSpan).fill(cell.textContent.trim())));
  return names.map((name, column) => [above[column], name].filter(Boolean).join(" "));
}

/** The visible rows in their present order as tab-separated text; half-widths of intervals get columns of their own. */
function asTsv(table) {
  const rows = [...table.tBodies[0].rows];
  const wide = columnNames(table).map((_, column) => rows.some((row) => row.cells[column].dataset.half));
  const line = (parts) => parts.flat().map((part) => String(part).replace(/[\t\r\n]+/g, " ")).join("\t") + "\n";
  const header = columnNames(table).map((name, column) => (wide[column] ? [name, `${name} ±`] : [name]));
  const values = (row) =>
    [...row.cells].map((cell, column) => (wide[column] ? [keyOf(cell), cell.dataset.half ?? ""] : [keyOf(cell)]));
  return line(header) + rows.filter((row) => !row.hidden).map((row) => line(values(row))).join("");
}

function download(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/tab-separated-values" }));
  link.download = name;
  link.click();
  // the browser reads the address after this event
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/** Puts a field to filter rows and a button to download them above a table. */
function addTools(table) {
  const title = table.caption.textContent.trim();
  const rows = [...table.tBodies[0].rows];
  const tools = document.createElement("div"), label = document.createElement("label");
  const field = document.createElement("input"), button = document.createElement("button");
  const state = document.createElement("span");
  tools.className = "tools";
  field.type = "search";
  field.setAttribute("aria-label", `Filter the rows of: ${title}`);
  label.append("Filter ", field);
  button.type = "button";
  button.textContent = "Download TSV";
  button.setAttribute("aria-label", `Download TSV of: ${title}`);
  state.setAttribute("role", "status");
  const total = `${rows.length} ${rows.length === 1 ? "row" : "rows"}`;
  state.textContent = total;
  field.addEventListener("input", () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const shown = rows.filter((row) => !row.hidden).length;
    state.textContent = words.length ? `${shown} of ${total}` : total;
  });
  button.addEventListener("click", () => download(asTsv(table), `${table.dataset.name}.tsv`));
  tools.append(label, button, state);
  table.closest(".scroll").before(tools);
}

for (const table of document.querySelectorAll("table[data-name]")) {
  makeSortable(table);
  addTools(table);
}

// paper cannot be unfolded
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details:not([open])")) folded.open = true;
});
