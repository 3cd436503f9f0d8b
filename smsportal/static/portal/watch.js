// Keeps the figures of a batch up to date: one request at a time, none in a hidden tab, slower when the server is slow.
(() => {
  const pane = document.getElementById("watch");
  if (!pane || !pane.dataset.live) return;
  const written = new Intl.NumberFormat(document.documentElement.lang || "en");

  const say = (element, value) => {
    const text = typeof value === "number" ? written.format(value) : value;
    if (element && element.textContent !== text) element.textContent = text;
  };

  const show = (news) => {
    document.querySelectorAll("[data-watch]").forEach((each) => say(each, news[each.dataset.watch]));
    document.querySelectorAll("[data-bar]").forEach((each) => { each.style.width = `${news.bar[each.dataset.bar]}%`; });
    news.states.forEach(([key, , count]) => say(document.querySelector(`[data-count="state-${key}"]`), count));
    news.delivery.forEach(([key, , count]) => say(document.querySelector(`[data-count="delivery-${key}"]`), count));
    document.querySelectorAll("[data-show]").forEach((each) => {
      const value = news[each.dataset.show];
      each.hidden = Array.isArray(value) ? value.length === 0 : !value;
    });
    document.getElementById("reasons").replaceChildren(...news.reasons.map(([why, count]) => {
      const row = document.createElement("tr");
      const head = Object.assign(document.createElement("th"), { scope: "row", textContent: why });
      row.append(head, Object.assign(document.createElement("td"), { className: "num", textContent: written.format(count) }));
      return row;
    }));
  };

  const look = async () => {
    const began = performance.now();
    if (!document.hidden) {
      try {
        const answer = await fetch(pane.dataset.url, { headers: { Accept: "application/json" } });
        if (answer.ok) {
          const news = await answer.json();
          if (news.state !== pane.dataset.state) { location.reload(); return; }
          show(news);
        }
      } catch { /* the next look tries again */ }
    }
    setTimeout(look, Math.max(2000, 10 * (performance.now() - began)));
  };
  setTimeout(look, 2000);
})();
