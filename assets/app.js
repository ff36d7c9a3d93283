/* What the page does by itself: hands clicks to the tabs' handlers, lights a name with its box, keyboard, theme. */
(() => {
  const theme = (dark) => {
    document.body.classList.toggle("dark", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
  };
  const chosen = () => localStorage.getItem("personal-theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const wanted = () => (chosen() ? chosen() === "dark" : system.matches);

  /* Two clicks on corners mark a box; the first shows a band that follows the pointer. */
  const corner = (stage, event, trigger) => {
    const area = stage.getBoundingClientRect();
    const at = (e) => [
      Math.min(1, Math.max(0, (e.clientX - area.left) / area.width)),
      Math.min(1, Math.max(0, (e.clientY - area.top) / area.height)),
    ];
    const second = at(event);
    if (stage.first) {
      const first = stage.first;
      stage.first = null;
      stage.querySelector(".band")?.remove();
      const box = [Math.min(first[0], second[0]), Math.min(first[1], second[1]),
        Math.max(first[0], second[0]), Math.max(first[1], second[1])];
      if (box[2] - box[0] > 0.02 && box[3] - box[1] > 0.02) trigger("select", { act: "mark", box: JSON.stringify(box) });
      return;
    }
    stage.first = second;
    const band = document.createElement("div");
    band.className = "band";
    stage.append(band);
    const follow = (e) => {
      if (!stage.first) return stage.removeEventListener("pointermove", follow);
      const [x, y] = at(e), [x0, y0] = stage.first;
      band.style.left = `${100 * Math.min(x, x0)}%`;
      band.style.top = `${100 * Math.min(y, y0)}%`;
      band.style.width = `${100 * Math.abs(x - x0)}%`;
      band.style.height = `${100 * Math.abs(y - y0)}%`;
    };
    follow(event);
    stage.addEventListener("pointermove", follow);
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

  window.personal = {
    clicks(element, trigger) {
      element.addEventListener("click", (event) => {
        const target = event.target.closest("[data-act]");
        if (target) {
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
    if (event.key === "Escape") {
      document.querySelectorAll("details.menu[open]").forEach((e) => e.removeAttribute("open"));
      document.querySelectorAll("[data-stage]").forEach((s) => { s.first = null; s.querySelector(".band")?.remove(); });
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
    document.addEventListener("keydown", keys, true);
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
