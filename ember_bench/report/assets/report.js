// The item explorer. Whatever comes from models, datasets or cards is only ever set as text.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const { trials, cells, items } = data;
  const count = trials.cell.length;
  const HEIGHT = 30; // of a row, as in the style sheet
  const SPARE = 12; // rows drawn above and below those that are seen
  const element = (id) => document.getElementById(id);
  const list = element("list"), rows = element("rows"), detail = element("detail");
  const filters = Object.fromEntries(
    ["search", "cell", "outcome", "against", "flip"].map((name) => [name, element(name)]),
  );

  /** An element with a class, and with text or elements in it. */
  function make(name, kind, ...content) {
    const made = document.createElement(name);
    if (kind) made.className = kind;
    made.append(...content.filter((part) => part !== null && part !== undefined));
    return made;
  }

  // --- figures

  const dash = "\u2013";
  const dollars = (value) => (value === null ? dash : "$" + Number(value.toPrecision(3)));
  const seconds = (value) => (value === null ? dash : Number(value.toPrecision(3)) + " s");
  const shown = (value) => (value === null ? dash : value);

  // --- trials and items

  const itemOf = (trial) => items[cells[trials.cell[trial]].dataset][trials.item[trial]];
  const several = data.datasets.length > 1;
  const labelOf = (cell) =>
    (several ? data.datasets[cells[cell].dataset] + ": " : "") + cells[cell].label;
  const hasEpochs = trials.epoch.some((epoch) => epoch > 0);
  const haystacks = items.map((some) => some.map((item) => item.join("\n").toLowerCase()));

  // Mean score of each item in each cell, over its epochs.
  const means = cells.map((cell) => new Float64Array(items[cell.dataset].length).fill(NaN));
  const counts = cells.map((cell) => new Uint32Array(items[cell.dataset].length));
  const trialsOf = new Map(); // by dataset and item
  for (let trial = 0; trial < count; trial++) {
    const cell = trials.cell[trial], item = trials.item[trial];
    const n = counts[cell][item]++;
    means[cell][item] = n ? (means[cell][item] * n + trials.score[trial]) / (n + 1) : trials.score[trial];
    const key = cells[cell].dataset + " " + item;
    if (!trialsOf.has(key)) trialsOf.set(key, []);
    trialsOf.get(key).push(trial);
  }

  /** "won", "lost" or "the same": a cell's item beside that of another cell; null if one has none. */
  function flip(cell, item, against) {
    const other = against === null ? cells[cell].baseline : against;
    if (other === null || cells[other].dataset !== cells[cell].dataset || other === cell) return null;
    const difference = means[cell][item] - means[other][item];
    if (Number.isNaN(difference)) return null;
    if (Math.abs(difference) < 1e-9) return "the same";
    return difference > 0 ? "won" : "lost";
  }

  // --- what is packed

  async function textOf(number) {
    if (number === null) return null;
    let pack = data.texts.length - 1;
    while (data.texts[pack] > number) pack--;
    return (await unpack("texts-" + pack))[number - data.texts[pack]];
  }

  // --- the list: only the rows that are seen are there

  let found = []; // trials that pass the filters
  let at = 0; // place of the current one among them
  let current = null; // the trial that is shown

  function filter() {
    const words = filters.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const cell = filters.cell.value === "" ? null : Number(filters.cell.value);
    const against = filters.against.value === "" ? null : Number(filters.against.value);
    const outcome = filters.outcome.value, wanted = filters.flip.value;
    found = [];
    for (let trial = 0; trial < count; trial++) {
      if (cell !== null && trials.cell[trial] !== cell) continue;
      if (outcome && trials.outcome[trial] !== outcome) continue;
      if (wanted) {
        const is = flip(trials.cell[trial], trials.item[trial], against);
        if (wanted === "won or lost" ? is !== "won" && is !== "lost" : is !== wanted) continue;
      }
      if (words.length) {
        const hay = haystacks[cells[trials.cell[trial]].dataset][trials.item[trial]];
        const answer = (trials.answer[trial] || "").toLowerCase();
        if (!words.every((word) => hay.includes(word) || answer.includes(word))) continue;
      }
      found.push(trial);
    }
    at = Math.max(0, found.indexOf(current));
    rows.style.height = found.length * HEIGHT + "px";
    list.scrollTop = Math.max(0, (at - 4) * HEIGHT);
    element("found").textContent =
      found.length.toLocaleString("en") + " of " + count.toLocaleString("en") + " trials";
    draw();
  }

  /** A text in no more than `most` signs: ids and models differ at their ends. */
  function cut(text, most) {
    const half = Math.floor(most / 2);
    return text.length <= most ? text : text.slice(0, half - 1) + "\u2026" + text.slice(-half);
  }

  function row(place) {
    const trial = found[place], item = itemOf(trial);
    const epoch = hasEpochs ? ", epoch " + (trials.epoch[trial] + 1) : "";
    const made = make("div", "row",
      make("span", "", cut(item[0], epoch ? 12 : 18) + epoch),
      make("span", "", cut(cells[trials.cell[trial]].label, 22)),
      make("span", trials.outcome[trial], trials.outcome[trial]),
      make("span", "", shown(trials.answer[trial])),
      make("span", "", item[2]),
      make("span", "", dollars(trials.cost_usd[trial])));
    made.title = item[0] + "\n" + labelOf(trials.cell[trial]);
    made.id = "row-" + place;
    made.style.top = place * HEIGHT + "px";
    made.setAttribute("role", "option");
    made.setAttribute("aria-selected", String(trial === current));
    made.setAttribute("aria-posinset", String(place + 1));
    made.setAttribute("aria-setsize", String(found.length));
    made.addEventListener("click", () => choose(place));
    return made;
  }

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - SPARE);
    const seen = Math.ceil(list.clientHeight / HEIGHT) + 2 * SPARE;
    const drawn = [];
    for (let place = first; place < Math.min(found.length, first + seen); place++) drawn.push(row(place));
    rows.replaceChildren(...drawn);
    if (found.length) list.setAttribute("aria-activedescendant", "row-" + at);
    else list.removeAttribute("aria-activedescendant");
  }

  function choose(place) {
    if (!found.length) return;
    at = Math.min(Math.max(place, 0), found.length - 1);
    if (at * HEIGHT < list.scrollTop) list.scrollTop = at * HEIGHT;
    const below = (at + 1) * HEIGHT - list.clientHeight;
    if (below > list.scrollTop) list.scrollTop = below;
    show(found[at]);
    draw();
  }

  // --- one trial

  async function show(trial) {
    current = trial;
    element("explorer").classList.add("chosen");
    const pack = await unpack("calls-" + Math.floor(trial / data.pack));
    const [explanation, error, calls] = pack[trial % data.pack];
    if (current !== trial) return; // another one was chosen meanwhile
    const item = itemOf(trial);
    const facts = [
      ["question", item[1]], ["target", item[2]], ["category", item[3]],
      ["answer", shown(trials.answer[trial])], ["why", explanation], ["error", error],
      ["cost", dollars(trials.cost_usd[trial])],
      ["latency", seconds(trials.latency_seconds[trial])],
    ].filter(([, value]) => value);
    const outcome = make("span", trials.outcome[trial], trials.outcome[trial]);
    const epoch = hasEpochs ? ", epoch " + (trials.epoch[trial] + 1) : "";
    detail.replaceChildren(
      make("h3", "", item[0], epoch, ": ", outcome),
      make("p", "facts", labelOf(trials.cell[trial])),
      make("dl", "", ...facts.flatMap(([name, value]) => [make("dt", "", name), make("dd", "", value)])),
      make("h4", "", calls.length + (calls.length === 1 ? " call" : " calls")),
      tree(calls), make("h4", "", "The same item in other cells"), others(trial));
    detail.scrollTop = 0;
  }

  /** The calls by node, a node in a graph within that graph's. */
  function tree(calls) {
    const root = { name: "", calls: [], nodes: new Map() };
    let end = 0;
    for (const call of calls) {
      let node = root;
      for (const name of call[0] ? call[0].split("/") : []) {
        if (!node.nodes.has(name)) node.nodes.set(name, { name, calls: [], nodes: new Map() });
        node = node.nodes.get(name);
      }
      node.calls.push(call);
      end = Math.max(end, call[3] + (call[4] || 0));
    }
    return branch(root, end, "tree");
  }

  function branch(node, end, kind) {
    return make("ul", kind,
      ...node.calls.map((call) => make("li", "", leaf(call), clock(call, end))),
      ...[...node.nodes.values()].map((inner) => make("li", "", title(inner), branch(inner, end, ""))));
  }

  function title(node) {
    const all = under(node);
    const costs = all.map((call) => call[5]);
    const cost = costs.includes(null) ? null : costs.reduce((sum, value) => sum + value, 0);
    return make("span", "", make("b", "", node.name),
      make("small", "", "  " + all.length + (all.length === 1 ? " call, " : " calls, ") + dollars(cost)));
  }

  const under = (node) => [...node.calls, ...[...node.nodes.values()].flatMap(under)];

  function leaf(call) {
    const [, role, model, , latency, cost, sent, received, made] = call;
    const said = [role, model, dollars(cost), seconds(latency), sent + " + " + received + " tokens",
      made ? null : "shared"].filter(Boolean).join(" \u00b7 ");
    const opened = make("details", "", make("summary", "", said));
    opened.addEventListener("toggle", () => fill(opened, call), { once: true });
    return opened;
  }

  async function fill(opened, call) {
    const [prompt, answer, parameters] = await Promise.all(call.slice(9, 12).map(textOf));
    if (prompt === null) {
      opened.append(make("p", "facts", "Its prompt and answer are not in this report."));
      return;
    }
    for (const [role, text] of JSON.parse(prompt)) opened.append(make("h5", "", role), make("pre", "", text));
    opened.append(make("h5", "", "answer"), make("pre", "", answer));
    if (parameters !== "{}") opened.append(make("p", "facts", parameters));
  }

  /** When in the trial's own time the call was under way. */
  function clock(call, end) {
    const bar = make("i", ""), made = make("div", "clock", bar);
    if (!end || call[4] === null) return null;
    bar.style.left = (100 * call[3]) / end + "%";
    bar.style.width = (100 * call[4]) / end + "%";
    made.title = "from " + seconds(call[3]) + " to " + seconds(call[3] + call[4]);
    return made;
  }

  function others(trial) {
    const key = cells[trials.cell[trial]].dataset + " " + trials.item[trial];
    const lines = trialsOf.get(key).filter((other) => other !== trial).map((other) => {
      const epoch = hasEpochs ? ", epoch " + (trials.epoch[other] + 1) : "";
      const go = make("button", "show", cells[trials.cell[other]].label + epoch);
      go.type = "button";
      go.addEventListener("click", () => show(other).then(() => { draw(); detail.focus(); }));
      return make("tr", "", make("td", "", go),
        make("td", trials.outcome[other], trials.outcome[other]), make("td", "", shown(trials.answer[other])));
    });
    return make("table", "", make("tbody", "", ...lines));
  }

  // --- what the reader does

  const option = (cell) => {
    const made = make("option", "", labelOf(cell));
    made.value = String(cell);
    return made;
  };
  filters.cell.append(...cells.map((_, cell) => option(cell)));
  filters.against.append(...cells.map((_, cell) => option(cell)));
  element("filters").addEventListener("input", filter);
  element("filters").addEventListener("submit", (event) => event.preventDefault());
  list.addEventListener("scroll", () => requestAnimationFrame(draw), { passive: true });

  const page = () => Math.max(1, Math.floor(list.clientHeight / HEIGHT) - 1);
  const moves = {
    ArrowDown: () => at + 1, ArrowUp: () => at - 1, PageDown: () => at + page(), PageUp: () => at - page(),
    Home: () => 0, End: () => found.length - 1, " ": () => at,
  };
  list.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { choose(at); detail.focus(); }
    else if (event.key in moves) choose(current === null && event.key === "ArrowDown" ? 0 : moves[event.key]());
    else return;
    event.preventDefault();
  });
  detail.addEventListener("keydown", (event) => { if (event.key === "Escape") list.focus(); });
  document.addEventListener("keydown", (event) => {
    const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
    if (event.key !== "/" || typing || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    filters.search.focus();
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-flip]");
    if (!button) return;
    filters.search.value = filters.outcome.value = filters.against.value = "";
    filters.cell.value = button.dataset.cell;
    filters.flip.value = button.dataset.flip;
    filter();
    element("explorer").scrollIntoView();
    list.focus();
    choose(0);
  });

  filter();
})();
