"use strict";
(() => {
  const main = document.querySelector("main");
  const gone = document.getElementById("gone");
  let pressed = false; // what is pressed must still be there when it is let go
  let timer;

  /** The part of `main` that has the focus, as a selector. */
  function focused() {
    const at = document.activeElement;
    for (const name of ["data-post", "href"]) {
      const value = main.contains(at) && at.getAttribute(name);
      if (value) return "[" + name + '="' + CSS.escape(value) + '"]';
    }
    return null;
  }

  /** The lines that are open, as their keys. */
  function opened() {
    return new Set([...main.querySelectorAll("details[open]")].map((line) => line.dataset.key));
  }

  async function again() {
    clearTimeout(timer);
    let wait = 5000;
    try {
      const own = location.search + (location.search ? "&" : "?") + "part=main";
      const answer = await fetch(main.dataset.live || own, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      const text = await answer.text();
      if (!pressed) {
        const before = focused(), open = opened();
        // Markup of the server's own, in which everything else is escaped.
        main.innerHTML = text;
        for (const line of main.querySelectorAll("details[data-key]"))
          line.open = open.has(line.dataset.key);
        if (before) main.querySelector(before)?.focus();
      }
      gone.hidden = true;
      const next = answer.headers.get("x-next-ms");
      if (next === null) return; // it changes no more
      wait = Number(next);
    } catch {
      gone.hidden = false;
    }
    clearTimeout(timer);
    timer = setTimeout(again, wait);
  }

  addEventListener("pointerdown", () => { pressed = true; });
  for (const end of ["pointerup", "pointercancel", "blur"])
    addEventListener(end, () => setTimeout(() => { pressed = false; }));

  main.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-post]");
    if (!button || (button.dataset.asks && !confirm(button.dataset.asks))) return;
    button.disabled = true; // twice would be another thing
    try {
      const answer = await fetch(button.dataset.post, { method: "POST" });
      if (!answer.ok) alert(await answer.text());
    } catch {
      gone.hidden = false;
    }
    again();
  });

  timer = setTimeout(again, 1000);
})();
