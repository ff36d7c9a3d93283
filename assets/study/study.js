// A study's pages work without this: it keeps what is half filled in over a reload, and shows answers as they grow.
"use strict";
(() => {
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];
  window.addEventListener("pageshow", (event) => event.persisted && location.reload()); // the back button shows what is

  // What was typed and not sent, for this tab alone, by the step that it belongs to.
  const PREFIX = `draft ${location.pathname} `;
  const drafts = {
    key: (form) => PREFIX + form.dataset.draft,
    save(form) {
      const fields = all("input:not([type=file], [type=hidden]), textarea, select", form).filter((field) => field.name);
      const chosen = fields.filter((field) => !/radio|checkbox/.test(field.type) || field.checked);
      sessionStorage.setItem(this.key(form), JSON.stringify(chosen.map((field) => [field.name, field.value])));
    },
    restore(form) {
      const values = JSON.parse(sessionStorage.getItem(this.key(form)) || "[]");
      for (const [name, value] of values) {
        for (const field of all("input:not([type=file], [type=hidden]), textarea, select", form)) {
          if ((field.name || field.dataset.name) !== name) continue;
          if (/radio|checkbox/.test(field.type)) field.checked ||= field.value === value;
          else if (!field.dataset.restored) { field.value = value; field.dataset.restored = "yes"; }
          if (field.type === "range") moved(field);
        }
      }
    },
    forget: (form) => form.dataset.draft && sessionStorage.removeItem(drafts.key(form)),
  };

  // A slider counts as answered once it was moved.
  function moved(slider) {
    slider.name = slider.dataset.name;
    slider.setAttribute("aria-valuetext", slider.value);
    slider.parentElement.querySelector("output").textContent = slider.value;
  }

  const counted = new WeakSet();
  function dress(root) {
    all("form[data-draft]", root).forEach((form) => drafts.restore(form));
    all("input[type=range]:not([name])", root).forEach((slider) => slider.value !== slider.defaultValue && answered(slider));
    if (root === document) all("form[data-draft]").forEach((form) => drafts.save(form)); // typed before this was here
    all("[data-wait]", root).filter((note) => !counted.has(note)).forEach((note) => {
      counted.add(note);
      const until = Date.now() + 1000 * note.dataset.wait;
      const count = setInterval(() => {
        const left = Math.ceil((until - Date.now()) / 1000);
        if (!note.isConnected || left <= 0) { clearInterval(count); if (note.isConnected) follow(); return; }
        note.textContent = note.textContent.replace(/\d+ more seconds?/, `${left} more second${left === 1 ? "" : "s"}`);
      }, 1000);
    });
  }

  // The part of a task's page that changes: drawn anew for as long as an answer is being written.
  const live = document.getElementById("live");
  let following = null, again = false;
  function follow() {
    if (!live) return null;
    again = Boolean(following); // what was just sent may have come too late for what is being read
    following ??= read().finally(() => { following = null; return again && follow(); });
    return following;
  }
  async function read() {
    try {
      const answer = await fetch(live.dataset.live, { headers: { "x-study": "1" } });
      if (!answer.ok) throw new Error(answer.status);
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = "", part = await reader.read(); !part.done; part = await reader.read()) {
        const lines = (rest + part.value).split("\n");
        rest = lines.pop();
        if (lines.length) draw(JSON.parse(lines.at(-1)));
      }
      live.dataset.lost = "";
    } catch {
      live.dataset.lost = 1 + Number(live.dataset.lost || 0);
      if (live.dataset.running && live.dataset.lost < 20) setTimeout(follow, 1500); // the connection, or the app, was away
    }
  }
  function draw(line) {
    if (line.gone) { location.reload(); return; }
    const before = live.dataset.running, fresh = document.createElement("template");
    live.dataset.running = line.running ? "yes" : "";
    fresh.innerHTML = line.html;
    mend(live, fresh.content);
    dress(live);
    const last = all(".talk > article, .talk > .sides", live).at(-1);
    if (line.running || before) last?.scrollIntoView({ block: "nearest" });
    if (line.running !== Boolean(before)) tell(line.running ? "Your question was sent." : last?.innerText);
  }
  function mend(old, fresh) { // what is the same stays: photos are not fetched again, and nobody loses their place
    const before = [...old.children], after = [...fresh.children];
    after.forEach((node, place) => {
      const known = before[place];
      if (!known) old.append(node);
      else if (known.matches(".talk") && node.matches(".talk")) mend(known, node);
      else if (!known.isEqualNode(node)) known.replaceWith(node);
    });
    before.slice(after.length).forEach((node) => node.remove());
  }
  const tell = (words) => { document.getElementById("told").textContent = words || ""; }; // to screen readers

  // Small forms of a task are sent without leaving the page, one after the other.
  let sending = false, queued = "";
  async function send(form, submitter, data = new FormData(form)) {
    if (sending) { queued = form.getAttribute("action"); say(form, "Sent as soon as the photo is here …"); return; }
    if (submitter?.name) data.append(submitter.name, submitter.value);
    sending = true;
    let words = "The connection was lost. Check it and try again: nothing is lost.";
    try {
      const answer = await fetch(form.action, { method: "POST", body: data, headers: { "x-study": "1" } });
      const said = await answer.text();
      words = answer.ok ? "" : [413, 422, 429].includes(answer.status) ? said : "This did not arrive. Reload the page and try again.";
    } catch { /* the words say it */ }
    sending = false;
    const next = words ? "" : queued;
    queued = "";
    if (words) { say(form, words); return; }
    if (data.has("only_photo")) form.elements.photo.value = "";
    else { drafts.forget(form); form.reset(); }
    await follow();
    if (next) live.querySelector(`form[action="${next}"]`)?.requestSubmit();
  }
  function say(form, words) {
    const place = all("[data-said]", form)[0] || all("[data-said]", live)[0];
    if (place) place.textContent = words; else alert(words);
    const field = form.querySelector(place && /photo/i.test(words) ? "#photo" : "#question");
    field?.focus();
  }

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.matches("[data-quiet]")) {
      event.preventDefault();
      send(form, event.submitter);
    } else if (form.dataset.sent) {
      event.preventDefault(); // a second click
    } else {
      form.dataset.sent = "yes";
      setTimeout(() => delete form.dataset.sent, 8000);
      if (form.dataset.busy && event.submitter) event.submitter.textContent = form.dataset.busy;
      if (form.dataset.busy) drafts.forget(form);
    }
  });
  const keep = (field) => field.closest("form[data-draft]") && drafts.save(field.closest("form[data-draft]"));
  const answered = (slider) => { moved(slider); keep(slider); };
  document.addEventListener("input", (event) => event.target.type === "range" ? answered(event.target) : keep(event.target));
  function upload(field) {
    const data = new FormData();
    data.append("step", field.form.elements.step.value);
    data.append("only_photo", "yes");
    data.append("photo", field.files[0]);
    send(field.form, null, data);
  }
  document.addEventListener("change", ({ target }) => target.dataset.upload && target.files.length && upload(target));
  document.addEventListener("click", (event) => {
    if (event.target.type === "range") answered(event.target); // where it stands is an answer, too
    const button = event.target.closest("[data-starter], [data-edit]");
    if (!button) return;
    const box = document.getElementById("question");
    if (!box) return;
    box.value = button.dataset.starter ?? button.dataset.edit;
    if (button.dataset.edit !== undefined) {
      const hidden = Object.assign(document.createElement("input"), { type: "hidden", name: "edited", value: "yes" });
      if (!box.form.elements.edited) box.form.append(hidden);
    }
    box.focus();
    drafts.save(box.form);
  });
  document.addEventListener("keydown", (event) => {
    if (event.target.type === "range" && [" ", "Enter"].includes(event.key)) { event.preventDefault(); answered(event.target); }
    if (event.target.matches("[data-enter]") && event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      event.target.form.requestSubmit();
    }
  });

  for (const name of Object.keys(sessionStorage)) {
    const key = name.startsWith("draft ") && !all("form[data-draft]").some((form) => drafts.key(form) === name);
    if (key && !name.startsWith(PREFIX)) sessionStorage.removeItem(name); // of another participant
  }
  dress(document);
  if (live?.dataset.running) follow();
  all("[data-upload]").forEach((field) => field.files.length && upload(field)); // chosen before this was here
})();
