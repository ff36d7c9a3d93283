/* What the page does by itself: hands clicks to the tabs' handlers, lights a name with its box, keyboard, theme. */
(() => {
  const theme = (dark) => {
    document.body.classList.toggle("dark", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
  };
  const chosen = () => localStorage.getItem("personal-theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const wanted = () => (chosen() ? chosen() === "dark" : system.matches);

  /* Two clicks on corners mark a box; from the first on a band follows the pointer, though the stage be drawn anew. */
  let first = null;
  const at = (stage, event) => {
    const area = stage.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height]
      .map((part) => Math.min(1, Math.max(0, part)));
  };
  const unmark = () => {
    first = null;
    document.querySelectorAll(".band").forEach((e) => e.remove());
  };
  const corner = (stage, event, trigger) => {
    const [x, y] = at(stage, event);
    if (first?.photo !== stage.dataset.stage) {
      unmark();
      first = { photo: stage.dataset.stage, x, y };
      return band(event);
    }
    const box = [Math.min(first.x, x), Math.min(first.y, y), Math.max(first.x, x), Math.max(first.y, y)];
    unmark();
    if (box[2] - box[0] > 0.02 && box[3] - box[1] > 0.02) trigger("select", { act: "mark", box: JSON.stringify(box) });
  };
  const band = (event) => {
    const stage = first && document.querySelector(`[data-stage="${first.photo}"]`);
    if (!stage) return;
    const [x, y] = at(stage, event);
    let drawn = stage.querySelector(".band");
    if (!drawn) {
      drawn = document.createElement("div");
      drawn.className = "band";
      stage.append(drawn);
    }
    drawn.style.left = `${100 * Math.min(x, first.x)}%`;
    drawn.style.top = `${100 * Math.min(y, first.y)}%`;
    drawn.style.width = `${100 * Math.abs(x - first.x)}%`;
    drawn.style.height = `${100 * Math.abs(y - first.y)}%`;
  };

  const copy = async (button) => {
    const text = button.dataset.text;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.classList.add("done");
    setTimeout(() => button.classList.remove("done"), 1500);
  };

  /* A question that is sent while a photo is on its way waits for it: uploaded, then taken out of the field. */
  let uploads = 0, taking = 0, waiting = 0;
  const crosses = () => [...document.querySelectorAll('#ask [aria-label="Remove file"]')];
  const coming = () => uploads > 0 || taking > 0 || crosses().length > 0;
  const send = window.fetch.bind(window);
  window.fetch = async (what, ...more) => {
    if (!/\/upload(\?|$)/.test(String(what?.url ?? what))) return send(what, ...more);
    uploads += 1;
    try {
      const response = await send(what, ...more);
      if (!response.ok) wait(false);
      return response;
    } catch (error) {
      wait(false);
      throw error;
    } finally {
      setTimeout(() => { uploads -= 1; }, 200);
    }
  };
  const wait = (on) => {
    clearInterval(waiting);
    waiting = 0;
    document.querySelector("#ask")?.classList.toggle("waiting", on);
    let patience = 100;
    const look = () => {
      if (uploads > 0 || (coming() && patience-- > 0)) return;
      wait(false);
      taking = 0;
      document.querySelector("#ask .submit-button")?.click();
    };
    if (on) waiting = setInterval(look, 100);
  };
  const hold = (event) => {
    if (!event.isTrusted || !coming()) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    wait(true);
  };

  window.personal = {
    /* Moves what was dropped out of the question's field by the field's own crosses: its words are never written anew. */
    take(value) {
      const found = crosses();
      if (!found.length || found.length !== value?.files?.length) return [];
      taking += 1;
      const files = [...value.files];
      found.reverse().forEach((cross) => cross.click());
      return [files];
    },
    taken() { taking = Math.max(0, taking - 1); },
    clicks(element, trigger) {
      element.addEventListener("click", (event) => {
        const target = event.target.closest("[data-act]");
        if (target) {
          unmark();
          const act = target.dataset.act;
          if (act === "copy") return copy(target);
          if (act === "theme") {
            localStorage.setItem("personal-theme", wanted() ? "light" : "dark");
            return theme(wanted());
          }
          target.closest("details.menu")?.removeAttribute("open");
          return trigger("select", { ...target.dataset });
        }
        const stage = event.target.closest("[data-stage]");
        if (stage) corner(stage, event, trigger);
      });
    },
  };

  const lit = (event) => {
    const id = event.target.closest?.("[data-concept]")?.dataset.concept;
    document.querySelectorAll(".lit").forEach((e) => e.classList.remove("lit"));
    if (id) document.querySelectorAll(`[data-concept="${CSS.escape(id)}"]`).forEach((e) => e.classList.add("lit"));
  };

  const keys = (event) => {
    const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || event.target.isContentEditable;
    if (event.key === "/" && !typing) {
      const input = document.querySelector("#ask textarea");
      if (input?.offsetParent) { event.preventDefault(); input.focus(); }
    }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target.matches?.("#ask textarea")) hold(event);
    if (event.key === "Escape") {
      wait(false);
      document.querySelectorAll("details.menu[open]").forEach((e) => e.removeAttribute("open"));
      unmark();
      document.querySelectorAll("#ask .stop-button, button.stop-writing").forEach((e) => e.click());
    }
  };

  /* A growing answer is kept in sight, until the reader scrolls. */
  const follow = () => {
    let following = false, was = false;
    for (const kind of ["wheel", "touchmove"]) addEventListener(kind, () => { following = false; }, { passive: true });
    new MutationObserver(() => {
      const live = document.querySelector("#live .said");
      if (live && !was) following = true;
      was = Boolean(live);
      const last = live ?? document.querySelector("#log .said:last-child");
      if (following) last?.scrollIntoView({ block: "nearest" });
      if (!live) following = false;
    }).observe(document.body, { childList: true, subtree: true });
  };

  const announce = () => {
    document.querySelector("#live")?.setAttribute("aria-live", "polite");
    document.querySelector("#log")?.setAttribute("role", "log");
  };

  const start = () => {
    theme(wanted());
    system.addEventListener("change", () => theme(wanted()));
    document.addEventListener("mouseover", lit);
    document.addEventListener("focusin", lit);
    document.addEventListener("pointermove", band);
    document.addEventListener("keydown", keys, true);
    document.addEventListener("click", (event) => { if (event.target.closest?.("#ask .submit-button")) hold(event); }, true);
    document.addEventListener("click", (event) => {
      document.querySelectorAll("details.menu[open]").forEach((e) => {
        if (!e.contains(event.target)) e.removeAttribute("open");
      });
    });
    follow();
    setInterval(announce, 2000);
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
