/* What the chat does by itself: names after "@", a photo opened large, "Stopping …", the camera, where the focus goes. */
(() => {
  const one = (selector) => document.querySelector(selector);
  const field = () => one("#ask textarea");
  const narrow = () => innerWidth <= 760;
  const make = (tag, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const place = () => one("main") ?? document.body;

  /* -- names after "@": the list opens over the field; the field keeps the focus, and says which name is chosen. */
  const MOST = 8;
  const plain = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  const list = make("ul", { id: "mentions", role: "listbox", ariaLabel: "Names", hidden: true });
  let names = [], chosen = 0;

  const begun = () => {
    const box = field();
    if (!box || document.activeElement !== box || box.selectionStart !== box.selectionEnd) return null;
    return /(?:^|[\s("“«])@([^@\n<>]{0,64})$/u.exec(box.value.slice(0, box.selectionStart))?.[1] ?? null;
  };
  const found = (typed) => {
    const start = plain(typed);
    const first = names.filter(({ name }) => plain(name).startsWith(start));
    const later = names.filter((one) => !first.includes(one) && plain(one.name).split(/\s+/).some((word) => word.startsWith(start)));
    return [...first, ...later].slice(0, MOST);
  };
  const closeList = () => {
    if (list.hidden) return;
    list.hidden = true;
    list.replaceChildren();
    for (const name of ["aria-activedescendant", "aria-controls"]) field()?.removeAttribute(name);
  };
  const choose = (number) => {
    const options = [...list.children];
    if (!options.length) return;
    chosen = (number + options.length) % options.length;
    options.forEach((option, at) => option.setAttribute("aria-selected", at === chosen));
    options[chosen].scrollIntoView({ block: "nearest" });
    field().setAttribute("aria-activedescendant", options[chosen].id);
  };
  const insert = (name) => {
    const box = field(), typed = begun();
    closeList();
    if (typed === null) return;
    const start = box.selectionStart - typed.length - 1, end = box.selectionStart;
    box.setRangeText(`<${name}>${box.value[end] === " " ? "" : " "}`, start, end, "end");
    box.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const showList = () => {
    const typed = begun(), matching = typed === null ? [] : found(typed);
    if (!matching.length) return closeList();
    list.replaceChildren(...matching.map(({ name, picture, category }, number) => {
      const image = make("img", { alt: "" });
      image.dataset.picture = picture;
      const option = make("li", { id: `mention-${number}`, role: "option" }, image, make("b", { textContent: name, dir: "auto" }), make("small", { textContent: category }));
      option.addEventListener("pointerdown", (event) => event.preventDefault());
      option.addEventListener("click", () => insert(name));
      return option;
    }));
    const area = one("#ask").getBoundingClientRect();
    Object.assign(list.style, { left: `${area.left}px`, top: `${area.top - 6}px`, maxWidth: `${area.width}px` });
    if (!list.isConnected) place().append(list);
    list.hidden = false;
    field().setAttribute("aria-autocomplete", "list");
    field().setAttribute("aria-controls", list.id);
    choose(0);
  };
  /* The names are fetched as a list begins, not for every key; those that were fetched before are shown at once. */
  const complete = async () => {
    const opening = list.hidden;
    showList();
    if (!opening || begun() === null) return;
    const response = await fetch("personal/names").catch(() => null);
    if (response?.ok) names = await response.json();
    const at = list.hidden ? 0 : chosen; // a key may have chosen another meanwhile
    showList();
    if (!list.hidden) choose(Math.min(at, list.children.length - 1));
  };
  const listKey = (event) => {
    if (list.hidden || event.target !== field()) return false;
    if (event.key === "ArrowDown") choose(chosen + 1);
    else if (event.key === "ArrowUp") choose(chosen - 1);
    else if (event.key === "Escape") closeList();
    else if ((event.key === "Enter" || event.key === "Tab") && !event.isComposing) insert(list.children[chosen].querySelector("b").textContent);
    else return false;
    return true;
  };

  /* -- a photo opened large: the panel itself, over the page, so that boxes and names are those that work anywhere. */
  let shown = "", opener = "", turn = () => {};
  const photos = () => [...new Set([...document.querySelectorAll(":is(#log, #drafts) [data-act=photo]")].map((e) => e.dataset.photo))];
  const large = () => one(".beside.large");
  const still = (element, quiet) => {
    for (let at = element; at && at !== document.body; at = at.parentElement)
      for (const other of at.parentElement?.children ?? [])
        if (other !== at && !other.querySelector("#toast, #lost") && !["toast", "lost"].includes(other.id)) other.toggleAttribute("inert", quiet);
  };
  const open = (photo, trigger) => {
    const panel = one(".beside");
    [shown, opener, turn] = [photo, photo, trigger];
    panel.classList.add("large");
    panel.classList.toggle("single", photos().length < 2);
    panel.setAttribute("role", "dialog");
    panel.setAttribute("aria-modal", "true");
    panel.setAttribute("aria-label", "Photo");
    document.body.classList.add("viewing");
    still(panel, true);
    setTimeout(() => large()?.querySelector("[data-act=close]")?.focus(), 0);
  };
  const close = () => {
    const panel = large();
    if (!panel) return;
    panel.classList.remove("large");
    for (const name of ["role", "aria-modal", "aria-label"]) panel.removeAttribute(name);
    document.body.classList.remove("viewing");
    still(panel, false);
    const back = [opener, shown].map((photo) => one(`:is(#log, #drafts) [data-act=photo][data-photo="${photo}"]`)).find(Boolean);
    back?.focus({ preventScroll: true });
  };
  const go = (steps) => {
    const all = photos();
    shown = all[(all.indexOf(shown) + steps + all.length) % all.length];
    turn("select", { act: "photo", photo: shown });
  };
  const largeKey = (event) => {
    if (!large() || /^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return event.key === "Escape" && large() ? (close(), true) : false;
    if (event.key === "Escape") close();
    else if (event.key === "ArrowLeft" && photos().length > 1) go(-1);
    else if (event.key === "ArrowRight" && photos().length > 1) go(1);
    else return false;
    return true;
  };

  /* -- Stop is answered at once; the answer ends a moment later. */
  const stopping = () => {
    if (one("#stopping") || !one("#ask .stop-button")) return;
    const said = make("p", { id: "stopping", role: "status", textContent: "Stopping …" });
    one("#live")?.after(said);
    const until = setInterval(() => {
      if (one("#ask .stop-button")) return;
      clearInterval(until);
      said.remove();
    }, 50);
  };

  /* -- the camera stands behind the photo button, where there is one; a phone's own dialog offers it by itself. */
  const hasCamera = async () => {
    const devices = await navigator.mediaDevices?.enumerateDevices().catch(() => []);
    return matchMedia("(pointer: fine)").matches && (devices ?? []).some(({ kind }) => kind === "videoinput");
  };
  let camera = false, choosing = false;
  const sources = make("div", { id: "sources", role: "menu", hidden: true });
  const source = (label, act) => {
    const item = make("button", { type: "button", role: "menuitem", textContent: label });
    item.addEventListener("click", () => {
      sources.hidden = true;
      act();
    });
    return item;
  };
  const upload = () => one('#ask button[data-testid="upload-button"], #ask .upload-button');
  sources.append(
    source("Choose photos", () => {
      choosing = true;
      upload()?.click();
      choosing = false;
    }),
    source("Take a photo", () => {
      one("#camera").classList.add("open");
      one("#camera button")?.focus();
    }),
  );
  const offerSources = (event) => {
    const button = event.target.closest?.("#ask .upload-button, #ask [data-testid=upload-button]");
    if (!button || choosing || !camera) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const area = button.getBoundingClientRect();
    Object.assign(sources.style, { left: `${area.left}px`, top: `${area.top - 6}px` });
    if (!sources.isConnected) place().append(sources);
    sources.hidden = false;
    sources.firstChild.focus();
  };
  const sourcesKey = (event) => {
    const camera = one("#camera.open");
    if (event.key === "Escape" && camera) {
      camera.classList.remove("open");
      upload()?.focus();
      return true;
    }
    if (sources.hidden) return false;
    const items = [...sources.children], at = items.indexOf(document.activeElement);
    if (event.key === "Escape") {
      sources.hidden = true;
      upload()?.focus();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") items[(at + 1) % items.length].focus();
    else return false;
    return true;
  };

  /* -- a photo that is pasted anywhere while the chat is open is one for the question. */
  const paste = (event) => {
    const files = event.clipboardData?.files, box = field();
    if (!files?.length || !box?.offsetParent || event.target.closest?.("#ask")) return;
    const input = one("#ask input[type=file]");
    if (!input) return;
    event.preventDefault();
    input.files = files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  /* -- the focus of who uses the keyboard stays with what it was on, though the server draws that anew, by what it
     does; where that is gone it goes to what is left of the same photo, or back to where it was before. */
  let keyboard = false, kept = null, before = null;
  const identity = (element) => {
    const within = element?.closest?.(".block[id], [id]:has(> .html-container), .html-container");
    if (!within || !element.matches("[data-act]")) return null;
    const data = Object.entries(element.dataset).filter(([name]) => name !== "box");
    const wanted = data.map(([name, value]) => `[data-${name}="${CSS.escape(value)}"]`).join("");
    return { element, within, wanted, photo: element.dataset.photo, sign: element.cloneNode(false).outerHTML };
  };
  const focused = ({ target }) => {
    const found = identity(target);
    if (found && !target.closest("#toast")) before = found;
    kept = found;
  };
  const again = ({ within, wanted }) => (within.isConnected ? within.querySelector(wanted) : document.querySelector(wanted));
  const refocus = () => {
    if (!keyboard || !kept) return;
    const now = document.activeElement, same = kept.element.isConnected && kept.element.matches(kept.wanted);
    if ((now === kept.element && same) || (now !== document.body && now !== kept.element)) return;
    const target = again(kept);
    if (target) return target.focus({ preventScroll: true });
    if (now === kept.element) return;
    const lost = kept;
    setTimeout(() => {
      if (document.activeElement !== document.body || kept !== lost) return;
      const near = lost.photo && one(`:is(#log, #drafts) [data-photo="${lost.photo}"][data-act=mark]`);
      const next = again(lost) ?? near ?? (before && before !== lost && again(before)) ?? field();
      if (next?.offsetParent) next.focus({ preventScroll: true });
    }, 400);
  };

  const undo = (event) => {
    const button = one("#toast [data-act=undo]");
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.target.isContentEditable;
    if (event.key !== "z" || !(event.ctrlKey || event.metaKey) || event.shiftKey || typing || !button) return false;
    button.click();
    return true;
  };

  window.personal.acts = {
    photo(target, trigger) {
      if (narrow() || target.closest("#log")) open(target.dataset.photo, trigger);
    },
    mark(target, trigger) {
      if (narrow() && !large() && target.dataset.photo) open(target.dataset.photo, trigger);
    },
    open: () => close(),
    close: () => (close(), true),
    previous: () => (go(-1), true),
    next: () => (go(1), true),
    models(target, trigger) {
      if (!target.parentElement.open) trigger("select", { act: "models" });
      return true;
    },
    model(target, trigger) {
      trigger("select", { ...target.dataset });
      return true;
    },
  };

  const start = () => {
    document.addEventListener("input", (event) => { if (event.target === field()) complete(); });
    document.addEventListener("focusin", (event) => { if (event.target !== field()) closeList(); });
    document.addEventListener("focusin", focused);
    document.addEventListener("paste", paste);
    document.addEventListener("click", offerSources, true);
    document.addEventListener("click", (event) => {
      if (event.target.closest?.("#ask .stop-button")) stopping();
      if (!event.target.closest?.("#sources")) sources.hidden = true;
      if (!event.target.closest?.("#ask, #mentions")) closeList();
      const box = field();
      if (box && event.target === box) complete();
    }, true);
    addEventListener("pointerdown", () => { keyboard = false; }, true);
    addEventListener("resize", closeList);
    addEventListener("keydown", (event) => {
      keyboard = true;
      if (![listKey, sourcesKey, largeKey, undo].some((handled) => handled(event))) return;
      event.preventDefault();
      event.stopImmediatePropagation();
    }, true);
    new MutationObserver(refocus).observe(document.body, {
      childList: true, subtree: true, attributeFilter: ["data-act", "data-photo", "data-concept", "data-entry"],
    });
    hasCamera().then((has) => { camera = has; });
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
