// Keeps the page of a batch up to date: one request at a time, none in a hidden tab, slower while nothing changes or the
// server is slow, and none at all once nothing can change any more.
(() => {
  const SOON = 2000, LATE = 30000, GIVE_UP = 15 * 60000, SPEAK = 20000;
  const written = new Intl.NumberFormat(document.documentElement.lang || "en");
  const pane = () => document.getElementById("watch");
  if (!pane()?.dataset.live) return;

  // Read out: the state and every tenth, not every number, and not two sentences within twenty seconds.
  const voice = document.createElement("p");
  voice.className = "sr-only";
  voice.setAttribute("role", "status");
  document.getElementById("main").append(voice);
  let said = pane().dataset.said, spoke = 0;
  const speak = (sentence, state) => {
    if (sentence === said || (state === pane().dataset.state && Date.now() - spoke < SPEAK)) return;
    said = voice.textContent = sentence;
    spoke = Date.now();
  };

  const say = (element, value) => {
    const text = typeof value === "number" ? written.format(value) : value;
    if (element && element.textContent !== text) element.textContent = text;
  };

  const show = (news) => {
    document.querySelectorAll("[data-watch]").forEach((each) => say(each, news[each.dataset.watch]));
    document.querySelectorAll("[data-bar]").forEach((each) => { each.style.width = `${news.bar[each.dataset.bar]}%`; });
    news.states.forEach(([key, , count]) => say(document.querySelector(`[data-count="state-${key}"]`), count));
    news.delivery.forEach(([key, , count]) => say(document.querySelector(`[data-count="delivery-${key}"]`), count));
    document.querySelectorAll("[data-part]").forEach((each) => {
      const made = news.parts[each.dataset.part];
      // A link that has the focus keeps it until the person has moved on.
      if (each.made === made || each.contains(document.activeElement)) return;
      each.innerHTML = each.made = made;
    });
    document.querySelectorAll("[data-show]").forEach((each) => {
      each.hidden = !each.dataset.show.split(".").reduce((value, key) => value[key], news);
    });
  };

  // The state is another one: other buttons, other notes. The page is fetched anew, without losing place or focus.
  const renew = async () => {
    const page = new DOMParser().parseFromString(await (await fetch(location.href)).text(), "text/html");
    const fresh = page.getElementById("content-main");
    if (!fresh?.querySelector("#watch")) { location.reload(); return; }
    const held = document.activeElement;
    const same = (each) => (each.href || each.textContent.trim()) === (held.href || held.textContent.trim());
    const had = document.getElementById("content-main").contains(held);
    document.getElementById("content-main").replaceWith(document.adoptNode(fresh));
    if (had) ([...fresh.querySelectorAll("a, button, summary")].find(same) || document.getElementById("progress-title")).focus();
    countDown();
  };

  let tag = "", wait = SOON, changed = Date.now(), timer;
  const look = async () => {
    const began = performance.now();
    try {
      const headers = { Accept: "application/json", ...(tag && { "If-None-Match": tag }) };
      const answer = await fetch(pane().dataset.url, { headers, cache: "no-store" });
      if (answer.status === 304) {
        wait = Math.min(wait * 1.5, LATE);
      } else if (answer.ok) {
        const news = await answer.json();
        tag = answer.headers.get("ETag");
        wait = SOON;
        changed = Date.now();
        speak(news.said, news.state);
        if (news.state === pane().dataset.state) show(news); else await renew();
        if (!news.live) return;
      }
    } catch { /* the next look tries again */ }
    if (Date.now() - changed > GIVE_UP) { document.getElementById("watch-ends").hidden = false; return; }
    later(Math.max(wait, 10 * (performance.now() - began)));
  };
  const later = (ms) => { clearTimeout(timer); timer = document.hidden ? undefined : setTimeout(look, ms); };
  document.addEventListener("visibilitychange", () => later(0));

  // The seconds in which a start can be undone; when they are over, the page finds out what has become of it.
  const countDown = () => {
    const box = document.getElementById("undo");
    if (!box) return;
    let left = Number(box.dataset.seconds);
    const tick = setInterval(() => {
      left -= 1;
      box.querySelectorAll("[data-undo]").forEach((each) => say(each, Math.max(left, 0)));
      if (left > 0) return;
      clearInterval(tick);
      if (!box.contains(document.activeElement)) box.remove(); else { box.hidden = true; document.getElementById("progress-title").focus(); }
      later(1000);
    }, 1000);
  };

  countDown();
  later(SOON);
})();
