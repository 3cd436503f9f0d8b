// Helps while a text is written: its length in segments, fields to insert, the wording of a chosen template.
(() => {
  const form = document.getElementById("compose");
  const text = document.getElementById("id_text");
  if (!form || !text) return;
  const said = document.getElementById("measure");
  const read = (id) => JSON.parse(document.getElementById(id)?.textContent || "{}");

  const measure = async () => {
    if (!text.value.trim()) { said.textContent = ""; return; }
    const body = new URLSearchParams({ text: text.value });
    const headers = { "X-CSRFToken": form.querySelector("[name=csrfmiddlewaretoken]").value };
    try {
      const found = await (await fetch(form.dataset.measure, { method: "POST", body, headers })).json();
      const odd = found.culprits ? ` Written as Unicode because of ${found.culprits}` : "";
      said.textContent = found.problem
        || `At least ${found.characters} characters, ${found.segments} segment${found.segments === 1 ? "" : "s"}.${odd}`;
    } catch { said.textContent = ""; }
  };
  let timer;
  const soon = () => { clearTimeout(timer); timer = setTimeout(measure, 400); };
  text.addEventListener("input", soon);
  soon();

  const usable = read("usable");
  const bar = document.getElementById("insert");
  const offer = () => {
    if (!bar) return;
    const chosen = [...form.querySelectorAll("[name=lists]:checked")].map((box) => usable[box.value] || []);
    const names = chosen.length ? chosen[0].filter((name) => chosen.every((each) => each.includes(name))) : [];
    bar.hidden = names.length === 0;
    bar.querySelectorAll("button").forEach((button) => button.remove());
    names.forEach((name) => {
      const button = Object.assign(document.createElement("button"), { type: "button", className: "btn small", textContent: name.replaceAll("_", " ") });
      button.addEventListener("click", () => { text.setRangeText(`{{${name}}}`, text.selectionStart, text.selectionEnd, "end"); text.focus(); soon(); });
      bar.append(button);
    });
  };
  form.querySelectorAll("[name=lists]").forEach((box) => box.addEventListener("change", offer));
  offer();

  const template = document.getElementById("id_template");
  const wordings = read("template-texts");
  const own = text.placeholder;
  template?.addEventListener("change", () => {
    text.disabled = Boolean(template.value);
    text.placeholder = template.value ? wordings[template.value] || own : own;
  });
  if (template?.value) template.dispatchEvent(new Event("change"));
})();
