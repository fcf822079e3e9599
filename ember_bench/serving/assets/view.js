"use strict";
(() => {
  const main = document.querySelector("main");
  const gone = document.getElementById("gone");
  const again = async () => {
    let wait = 5000;
    try {
      const answer = await fetch("live", { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      // Markup of the server's own, in which everything else is escaped.
      main.innerHTML = await answer.text();
      wait = Number(answer.headers.get("x-next-ms")) || wait;
      gone.hidden = true;
    } catch {
      gone.hidden = false;
    }
    setTimeout(again, wait);
  };
  setTimeout(again, 1000);
})();
