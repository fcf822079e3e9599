// Tables and charts of systems: sorted, filtered, grouped, hidden. The choice is kept in the link.
// Whatever comes from models, datasets or cards is only ever set as text.
(() => {
  const form = document.getElementById("view");
  const START = "#view?";
  const tables = [...document.querySelectorAll("table.systems, table.differences")];
  const marks = [...document.querySelectorAll("svg [data-cell]")];

  // --- figures of a chart, by pointer and by keys

  for (const chart of document.querySelectorAll("svg.chart")) {
    const all = [...chart.querySelectorAll(".mark")].filter((mark) => mark.querySelector("title"));
    if (!all.length) continue;
    const said = document.createElement("p");
    said.className = "said facts";
    said.setAttribute("role", "status");
    (chart.closest(".draw") || chart).after(said);
    chart.setAttribute("tabindex", "0");
    let current = null;
    const show = (mark) => {
      if (current) current.classList.remove("current");
      current = mark;
      if (!mark) return;
      mark.classList.add("current");
      said.textContent = mark.querySelector("title").textContent;
    };
    chart.addEventListener("pointerover", (event) => {
      const mark = event.target.closest(".mark");
      if (mark && all.includes(mark)) show(mark);
    });
    chart.addEventListener("keydown", (event) => {
      const seen = all.filter((mark) => !mark.classList.contains("away"));
      const at = seen.indexOf(current), last = seen.length - 1;
      const moves = {
        ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at < 0 ? last : at - 1,
        ArrowUp: at < 0 ? last : at - 1, Home: 0, End: last,
      };
      if (!(event.key in moves) || !seen.length) return;
      event.preventDefault();
      show(seen[Math.min(Math.max(moves[event.key], 0), last)]);
    });
    chart.addEventListener("blur", () => show(null));
  }

  if (!form) return;

  // --- the choice, and the link that keeps it

  const systems = JSON.parse(document.getElementById("systems").textContent);
  const wanted = document.getElementById("wanted"), group = document.getElementById("group");
  const hidden = new Set();
  const sorted = {}; // by kind of table: [column, 1 or -1]
  form.hidden = false;

  function read() {
    hidden.clear();
    for (const kind of Object.keys(sorted)) delete sorted[kind];
    const given = new URLSearchParams(location.hash.startsWith(START) ? location.hash.slice(START.length) : "");
    wanted.value = given.get("with") || "";
    group.value = given.get("group") || "";
    if (group.selectedIndex < 0) group.value = "";
    for (const number of (given.get("hide") || "").split(".")) {
      if (/^\d+$/.test(number) && Number(number) < systems.length) hidden.add(Number(number));
    }
    for (const kind of ["systems", "differences"]) {
      const match = /^(\d+)([ud])$/.exec(given.get(kind) || "");
      if (match) sorted[kind] = [Number(match[1]), match[2] === "u" ? 1 : -1];
    }
  }

  function write() {
    const kept = new URLSearchParams();
    if (wanted.value) kept.set("with", wanted.value);
    if (group.value) kept.set("group", group.value);
    if (hidden.size) kept.set("hide", [...hidden].sort((a, b) => a - b).join("."));
    for (const [kind, [column, way]] of Object.entries(sorted)) kept.set(kind, column + (way > 0 ? "u" : "d"));
    const text = kept.toString();
    if (text || location.hash.startsWith(START)) history.replaceState(null, "", START + text);
  }

  // --- what is shown

  const filtered = (cell) => {
    const words = wanted.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = Object.values(systems[cell]).join(" ").toLowerCase();
    return !words.every((word) => text.includes(word));
  };
  const kindOf = (table) => (table.classList.contains("systems") ? "systems" : "differences");
  const rowsOf = (table) => [...table.tBodies[0].rows].filter((row) => row.dataset.cell !== undefined);

  /** The first number of a text; null without one. */
  function number(text) {
    const match = /[+-]?[\d,]*\.?\d+(?:e[+-]?\d+)?/i.exec(text);
    return match ? Number(match[0].replace(/,/g, "")) - (text.trim().startsWith("<") ? 1e-9 : 0) : null;
  }

  /** Where a row stands in a column, unknown ones last in either direction. */
  function order(table, column, way) {
    const texts = new Map(rowsOf(table).map((row) => [row, row.cells[column].textContent.trim()]));
    const numeric = table.tHead.rows[0].cells[column].classList.contains("number") || column === 0;
    return (one, other) => {
      const [a, b] = [one, other].map((row) => texts.get(row));
      const [x, y] = [a, b].map((text) => (numeric ? number(text) : text || null));
      if (x === null || y === null) {
        if (x === null && y === null) return way * a.localeCompare(b);
        return x === null ? 1 : -1;
      }
      return way * (numeric ? x - y : x.localeCompare(y, "en", { numeric: true }));
    };
  }

  const inGrid = (one, other) => Number(one.dataset.cell) - Number(other.dataset.cell);

  function headed(name, table, rows) {
    const row = document.createElement("tr"), cell = document.createElement("th");
    row.className = "group";
    cell.colSpan = table.tHead.rows[0].cells.length;
    cell.scope = "rowgroup";
    cell.textContent = group.value + ": " + (name === undefined ? "\u2013" : name);
    row.append(cell);
    return [row, ...rows];
  }

  function arrange(table) {
    const rows = rowsOf(table).sort(inGrid), [column, way] = sorted[kindOf(table)] || [];
    const columns = [...table.tHead.rows[0].cells];
    if (column !== undefined && column < columns.length) rows.sort(order(table, column, way));
    columns.forEach((cell, at) => {
      if (at === column) cell.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
      else cell.removeAttribute("aria-sort");
    });
    for (const row of rows) {
      const cell = Number(row.dataset.cell);
      row.classList.toggle("away", filtered(cell));
      row.classList.toggle("hidden", hidden.has(cell));
      row.querySelector("input.keep").checked = !hidden.has(cell);
    }
    if (!group.value) { table.tBodies[0].replaceChildren(...rows); return; }
    const parts = new Map();
    for (const row of rows) {
      const name = systems[row.dataset.cell][group.value];
      if (!parts.has(name)) parts.set(name, []);
      parts.get(name).push(row);
    }
    const shown = [...parts].filter(([, some]) => some.some((row) => !row.classList.contains("away")));
    const away = [...parts].filter((part) => !shown.includes(part)).flatMap(([, some]) => some);
    shown.sort(([a], [b]) => String(a).localeCompare(String(b), "en", { numeric: true }));
    table.tBodies[0].replaceChildren(...shown.flatMap(([name, some]) => headed(name, table, some)), ...away);
  }

  function draw() {
    tables.forEach(arrange);
    const gone = systems.map((_, cell) => hidden.has(cell) || filtered(cell));
    for (const mark of marks) mark.classList.toggle("away", gone[Number(mark.dataset.cell)] || false);
    const left = gone.filter((is) => !is).length;
    document.getElementById("shown").textContent =
      left === systems.length ? "" : left + " of " + systems.length + " systems are shown";
  }

  // --- what the reader does

  const changed = () => { draw(); write(); };
  for (const table of tables) {
    const kind = kindOf(table);
    [...table.tHead.rows[0].cells].forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...cell.childNodes);
      cell.append(button);
      button.addEventListener("click", () => {
        const [at, way] = sorted[kind] || [];
        // Figures: the highest first; then the lowest; then as in the grid.
        const first = cell.classList.contains("number") ? -1 : 1;
        if (at !== column) sorted[kind] = [column, first];
        else if (way === first) sorted[kind] = [column, -first];
        else delete sorted[kind];
        changed();
      });
    });
    for (const row of rowsOf(table)) {
      const keep = document.createElement("input");
      keep.type = "checkbox";
      keep.className = "keep";
      keep.checked = true;
      keep.setAttribute("aria-label", "Show " + systems[row.dataset.cell][""] + " in charts");
      keep.addEventListener("change", () => {
        hidden[keep.checked ? "delete" : "add"](Number(row.dataset.cell));
        changed();
      });
      row.cells[0].prepend(keep);
    }
  }
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("all").addEventListener("click", () => {
    hidden.clear();
    wanted.value = "";
    changed();
  });
  window.addEventListener("hashchange", () => { if (location.hash.startsWith(START)) { read(); draw(); } });
  read();
  draw();
})();
