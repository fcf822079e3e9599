// The scores of all systems on all items. Whatever comes from models or data is only ever set as text.
(() => {
  const UNKNOWN = 255, FULL = 100;
  const LEAST = 600; // columns; of more items than there are pixels, a column is the mean of some

  for (const canvas of document.querySelectorAll("canvas.matrix")) {
    const said = canvas.closest("figure").querySelector(".said");
    const cursor = canvas.parentElement.querySelector(".cursor");
    const id = "scores-" + canvas.dataset.matrix;
    let found = null, scores = null, row = 0, item = -1;

    const start = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      start.disconnect();
      unpack(id).then((read) => {
        found = read;
        scores = Uint8Array.from(atob(read.scores), (sign) => sign.charCodeAt(0));
        draw();
        canvas.classList.add("drawn");
      });
    }, { rootMargin: "400px" });
    start.observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (found) draw(); });

    /** A colour of the style sheet, "rrggbb" after a hash, as three numbers. */
    const colour = (name) => {
      const text = getComputedStyle(canvas).getPropertyValue(name).trim();
      return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
    };

    function draw() {
      const items = found.items.length, rows = found.cells.length;
      const wide = Math.min(items, Math.max(LEAST, canvas.clientWidth)), none = colour("--unknown"), ends = [colour("--wrong"), colour("--right")];
      canvas.width = wide;
      canvas.height = rows;
      const pen = canvas.getContext("2d"), image = pen.createImageData(wide, rows);
      for (let y = 0; y < rows; y++) {
        for (let x = 0; x < wide; x++) {
          let sum = 0, known = 0;
          for (let i = Math.floor((x * items) / wide); i < Math.floor(((x + 1) * items) / wide); i++) {
            const score = scores[y * items + i];
            if (score !== UNKNOWN) { sum += score; known++; }
          }
          const share = known ? sum / known / FULL : null;
          for (let part = 0; part < 3; part++) {
            image.data[4 * (y * wide + x) + part] = share === null ? none[part]
              : Math.round(ends[0][part] + share * (ends[1][part] - ends[0][part]));
          }
          image.data[4 * (y * wide + x) + 3] = 255;
        }
      }
      pen.putImageData(image, 0, 0);
    }

    function show(newRow, newItem) {
      if (!found) return;
      const items = found.items.length, rows = found.cells.length;
      row = Math.min(Math.max(newRow, 0), rows - 1);
      item = Math.min(Math.max(newItem, 0), items - 1);
      const score = scores[row * items + item];
      said.textContent = found.items[item] + ", " + found.labels[row] + ": "
        + (score === UNKNOWN ? "no score" : score + " %") + " (item " + (item + 1) + " of " + items + ", the hardest first)";
      cursor.hidden = false;
      cursor.style.left = (100 * item) / items + "%";
      cursor.style.top = (100 * row) / rows + "%";
      cursor.style.width = 100 / items + "%";
      cursor.style.height = 100 / rows + "%";
    }

    function at(event) {
      const box = canvas.getBoundingClientRect();
      show(Math.floor(((event.clientY - box.top) / box.height) * found.cells.length),
        Math.floor(((event.clientX - box.left) / box.width) * found.items.length));
    }

    /** Show the trial in the list of items, if it is there. */
    function open() {
      if (!found || item < 0) return;
      for (const name of ["outcome", "against", "flip"]) document.getElementById(name).value = "";
      document.getElementById("cell").value = String(found.cells[row]);
      const search = document.getElementById("search"), list = document.getElementById("list");
      search.value = found.items[item];
      search.dispatchEvent(new Event("input", { bubbles: true }));
      if (!list.querySelector(".row")) {
        said.textContent += "; it is not among the items that this page lists";
        return;
      }
      document.getElementById("explorer").scrollIntoView();
      list.focus();
      list.querySelector(".row").click();
    }

    canvas.addEventListener("pointermove", (event) => { if (found) at(event); });
    canvas.addEventListener("click", (event) => { if (found) { at(event); open(); } });
    canvas.addEventListener("keydown", (event) => {
      if (!found) return;
      const moves = {
        ArrowRight: [row, item + 1], ArrowLeft: [row, item - 1], ArrowDown: [row + 1, Math.max(item, 0)],
        ArrowUp: [row - 1, Math.max(item, 0)], Home: [row, 0], End: [row, found.items.length - 1],
      };
      if (event.key === "Enter") open();
      else if (event.key in moves) show(...moves[event.key]);
      else return;
      event.preventDefault();
    });
  }
})();
