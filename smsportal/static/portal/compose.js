// Helps while a text is written: its length in segments, plain characters, fields to insert, the words of a chosen template.
(() => {
  const form = document.getElementById("compose");
  const text = document.getElementById("id_text");
  const pane = document.getElementById("measure");
  if (!form || !text || !pane) return;
  const read = (id) => JSON.parse(document.getElementById(id)?.textContent || "null");
  const part = (name) => pane.querySelector(`[data-${name}]`);
  const make = (tag, more) => Object.assign(document.createElement(tag), more);

  // --- the words: one's own, or those of a template -----------------------------------------------------------------
  const template = document.getElementById("id_template");
  const templates = new Map((read("template-texts") || []).map((each) => [String(each.id), each]));
  const chosen = () => templates.get(template?.value || "");
  const words = () => chosen()?.text ?? text.value;

  // --- how long it is, and what makes it dear -----------------------------------------------------------------------
  let asked = 0;
  let found = {};
  const tell = () => {
    part("said").textContent = found.problem || found.said || "";
    const culprits = found.culprits || [];
    part("dear").hidden = culprits.length === 0;
    part("culprits").replaceChildren(...culprits.map((each) => {
      const line = make("li", {});
      line.append(make("code", { textContent: each.character }), ` ${each.name}`);
      if (each.instead) line.append(", in plain characters ", make("code", { textContent: each.instead }));
      else line.append(each.instead === null ? ", which has no plain equal" : ", which nobody sees");
      return line;
    }));
    const own = !chosen();
    button("plain").hidden = !own || !found.plain;
    button("drop").hidden = !own || !found.dropped || found.dropped === found.plain;
  };
  const button = (name) => pane.querySelector(`[name=look][value=${name}]`);
  const measure = async () => {
    const mine = ++asked;
    if (!words().trim()) { found = {}; tell(); return; }
    const body = new URLSearchParams({ text: words() });
    const headers = { "X-CSRFToken": form.querySelector("[name=csrfmiddlewaretoken]").value };
    try {
      const answer = await fetch(form.dataset.measure, { method: "POST", body, headers });
      const news = answer.ok ? await answer.json() : {};
      if (mine !== asked) return; // something else was typed meanwhile
      found = news;
    } catch { found = {}; }
    tell();
  };
  let timer;
  const soon = () => { clearTimeout(timer); timer = setTimeout(measure, 300); };
  const write = (words) => { text.value = words; text.focus(); measure(); };
  [["plain", "plain"], ["drop", "dropped"]].forEach(([name, key]) => button(name).addEventListener("click", (event) => {
    event.preventDefault();
    if (found[key] != null) write(found[key]);
  }));
  text.addEventListener("input", soon);

  // --- fields to insert: those all chosen lists have ----------------------------------------------------------------
  const usable = read("usable") || {};
  const bar = document.getElementById("insert");
  const boxes = [...form.querySelectorAll("[name=lists], [name=segments]")];
  const offer = () => {
    const sources = boxes.filter((box) => box.checked).map((box) => usable[`${box.name}-${box.value}`] || []);
    const names = sources.length ? sources[0].filter((name) => sources.every((each) => each.includes(name))) : [];
    bar.hidden = names.length === 0;
    bar.querySelectorAll("button").forEach((each) => each.remove());
    names.forEach((name) => {
      const insert = make("button", { type: "button", className: "btn small", textContent: name.replaceAll("_", " ") });
      insert.addEventListener("click", () => {
        text.setRangeText(`{{${name}}}`, text.selectionStart, text.selectionEnd, "end");
        text.focus();
        soon();
      });
      bar.append(insert);
    });
  };
  if (bar) { boxes.forEach((box) => box.addEventListener("change", offer)); offer(); }

  // --- a template: its words are shown, one's own are put aside -----------------------------------------------------
  const shown = document.getElementById("chosen");
  const choose = () => {
    const one = chosen();
    shown.hidden = !one;
    document.getElementById("own").hidden = Boolean(one);
    text.disabled = Boolean(one);
    if (one) {
      shown.querySelector("[data-version]").textContent = `Version ${one.version} of “${one.name}”; a later version does not change this batch.`;
      shown.querySelector("[data-words]").textContent = one.text;
    }
    measure();
  };
  if (template && shown) {
    template.addEventListener("change", choose);
    shown.querySelector("[data-copy]").addEventListener("click", () => {
      const words = chosen().text;
      template.value = "";
      choose();
      write(words);
    });
    addEventListener("pageshow", choose); // the back button brings old choices with it
    choose();
  } else { measure(); }
})();
