/* What the page does by itself: hands clicks to the tabs' handlers, lights a name with its box, keyboard, theme. */
(() => {
  const theme = (dark) => {
    document.body.classList.toggle("dark", dark);
    document.documentElement.style.colorScheme = dark ? "dark" : "light";
  };
  /* A browser that keeps no cookies may refuse the page any storage. */
  const stored = (storage, name, value) => {
    try {
      return value === undefined ? window[storage].getItem(name) : window[storage].setItem(name, value);
    } catch { return null; }
  };
  const chosen = () => stored("localStorage", "personal-theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const wanted = () => (chosen() ? chosen() === "dark" : system.matches);

  /* Two clicks on corners mark a box, or a mouse that is drawn from one to the other; from the first on a band follows
     the pointer, though the stage be drawn anew. */
  let first = null, pressed = null, drawn = false;
  const at = (stage, event) => {
    const area = stage.getBoundingClientRect();
    return [(event.clientX - area.left) / area.width, (event.clientY - area.top) / area.height]
      .map((part) => Math.min(1, Math.max(0, part)));
  };
  const unmark = () => {
    first = null;
    document.querySelectorAll(".band").forEach((e) => e.remove());
  };
  const begun = (stage) => first?.photo === stage?.dataset.stage;
  const begin = (stage, event) => {
    unmark();
    const [x, y] = at(stage, event);
    first = { photo: stage.dataset.stage, x, y };
    band(event);
  };
  const corner = (stage, event, trigger) => {
    if (!begun(stage)) return begin(stage, event);
    const [x, y] = at(stage, event);
    const box = [Math.min(first.x, x), Math.min(first.y, y), Math.max(first.x, x), Math.max(first.y, y)];
    unmark();
    if (box[2] - box[0] <= 0.02 || box[3] - box[1] <= 0.02) return;
    trigger("select", { act: "mark", box: JSON.stringify(box) });
    naming();
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

  /* The form for a name opens below the photo: it is brought into sight, ready to be typed into. */
  const naming = () => {
    let patience = 30;
    const looking = setInterval(() => {
      const form = document.querySelector("#namer");
      if (!form?.offsetParent && patience-- > 0) return;
      clearInterval(looking);
      const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
      form?.scrollIntoView({ block: innerWidth > 760 ? "nearest" : "center", behavior });
      if (matchMedia("(pointer: fine)").matches) form?.querySelector("input, textarea")?.focus({ preventScroll: true });
    }, 100);
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

  const send = window.fetch.bind(window);

  /* What stands above everything: that the server cannot be reached, or that it no longer has what is shown here. */
  const tell = (words, label, act) => {
    document.querySelector("#lost")?.remove();
    if (!words) return;
    const bar = Object.assign(document.createElement("div"), { id: "lost", role: "alert", textContent: words });
    if (label) bar.append(Object.assign(document.createElement("button"), { textContent: label, onclick: act }));
    document.body.append(bar);
  };
  let gone = false;
  const ended = async (response) => {
    if (gone) return;
    gone = true;
    const { detail } = await response.clone().json().catch(() => ({}));
    tell(detail ?? "Your visit has ended.", "Start again", () => location.reload());
  };

  /* The page's key tells the server whose page this is, also where the browser keeps no cookies, and when it is loaded
     anew. */
  const key = (async () => {
    const headers = { "X-Personal": stored("sessionStorage", "personal-key") ?? "" };
    const told = await (await send("personal/visit", { method: "POST", headers })).json();
    stored("sessionStorage", "personal-key", told.key);
    return told.key;
  })().catch(() => "");
  const ask = async (what, more) => {
    const request = new Request(what, more);
    if (await key && new URL(request.url).origin === location.origin) request.headers.set("X-Personal", await key);
    const response = await send(request);
    if (response.status === 410) ended(response);
    return response;
  };

  /* The server holds what a visitor has while a heartbeat is open. Gradio opens it once; here it is opened again whenever
     it breaks, however long the network was away, and one page does it for all of a visitor's: a browser opens six
     connections to an address. Gradio itself is given one that lasts. */
  const heartbeat = (address) => {
    const beat = async () => {
      for (let missed = 1; !gone; missed += 1) {
        try {
          const response = await ask(address);
          if (!response.ok) throw response.status;
          const reader = response.body.getReader();
          if (missed > 3 && !gone) tell("");
          missed = 0;
          while (!(await reader.read()).done);
        } catch { /* tried again */ }
        if (missed === 3 && !gone) tell("The app cannot be reached. Trying again …");
        if (!gone) await new Promise((again) => {
          setTimeout(again, 1000);
          addEventListener("online", again, { once: true });
        });
      }
    };
    key.then((name) => (name && navigator.locks ? navigator.locks.request(`personal ${name}`, beat) : beat()));
    return new Response(new ReadableStream(), { headers: { "Content-Type": "text/event-stream" } });
  };

  /* A photo is fetched once a page, with the page's key, and held in this page's memory alone: what is drawn again
     shows it at once. The photos shown longest ago are let go of first. */
  const fetching = new Map(), missed = new Map(), pictures = new Map();
  const fetchPicture = async (name) => {
    const response = await ask(`personal/picture/${name}`);
    if (!response.ok) throw response.status;
    pictures.set(name, URL.createObjectURL(await response.blob()));
    if (pictures.size <= 400) return;
    const shown = new Set([...document.querySelectorAll("img[data-picture]")].map((image) => image.dataset.picture));
    const old = [...pictures.keys()].find((one) => !shown.has(one));
    if (!old) return;
    URL.revokeObjectURL(pictures.get(old));
    pictures.delete(old);
  };
  const fetchOnce = (name) => {
    if (fetching.has(name) || pictures.has(name) || gone || (missed.get(name) ?? 0) >= 3) return;
    const again = () => {
      missed.set(name, (missed.get(name) ?? 0) + 1);
      setTimeout(showPictures, 3000);
    };
    fetching.set(name, fetchPicture(name).then(showPictures, again).finally(() => fetching.delete(name)));
  };
  /* Those of a long conversation are fetched as they come near. */
  const near = new IntersectionObserver((seen) => seen.forEach(({ isIntersecting, target }) => {
    if (!isIntersecting) return;
    near.unobserve(target);
    fetchOnce(target.dataset.picture);
  }), { rootMargin: "700px" });
  const showPictures = () => document.querySelectorAll("img[data-picture]").forEach((image) => {
    const known = pictures.get(image.dataset.picture);
    if (!known) near.observe(image);
    else if (image.getAttribute("src") !== known) image.src = known;
  });

  /* What is typed but not sent outlives a page that is loaded anew. */
  const remember = () => {
    const typed = document.querySelector("#ask textarea");
    if (typed) stored("sessionStorage", "personal-typed", typed.value);
  };
  const recall = () => {
    const words = stored("sessionStorage", "personal-typed");
    stored("sessionStorage", "personal-typed", "");
    const look = words && setInterval(() => {
      const field = document.querySelector("#ask textarea");
      if (!field) return;
      clearInterval(look);
      if (field.value) return;
      field.value = words;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }, 100);
  };

  /* Gradio's script opens a stream for a page's events and the server ends it with the last of them. An event that is sent
     before the script knows of that end would be waited for in vain; so its receipt, which tells the last stream that is
     over, waits for that end to be known. */
  let streams = 0, streamed = Promise.resolve();
  const stream = async (...asked) => {
    const request = new Request(...asked);
    let end;
    streams += 1;
    request.headers.set("X-Personal-Stream", streams);
    streamed = new Promise((known) => { end = () => setTimeout(known); });
    const failed = (error) => { end(); throw error; };
    const response = await ask(request).catch(failed), reader = response.body.getReader();
    const pull = async (controller) => {
      const { done, value } = await reader.read().catch(failed);
      if (!done) return controller.enqueue(value);
      controller.close();
      end();
    };
    const cancel = (reason) => { end(); return reader.cancel(reason); };
    return new Response(new ReadableStream({ pull, cancel }), response);
  };
  const receipt = async (...asked) => {
    const response = await ask(...asked), over = response.headers.get("X-Personal-Stream");
    if (over && Number(over) === streams) await Promise.race([streamed, new Promise((late) => { setTimeout(late, 5000); })]);
    return response;
  };

  /* A question that is sent while a photo is on its way waits for it: uploaded, then taken out of the field. */
  let uploads = 0, taking = 0, waiting = 0;
  const crosses = () => [...document.querySelectorAll('#ask [aria-label="Remove file"]')];
  const coming = () => uploads > 0 || taking > 0 || crosses().length > 0;
  window.fetch = async (what, ...more) => {
    const address = String(what?.url ?? what);
    if (address.includes("/heartbeat/")) return heartbeat(address);
    if (address.includes("/queue/data?")) return stream(what, ...more);
    if (/\/queue\/join(\?|$)/.test(address)) return receipt(what, ...more);
    if (!/\/upload(\?|$)/.test(address)) return ask(what, ...more);
    uploads += 1;
    try {
      const response = await ask(what, ...more);
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
    drops(trigger) { dropOnCards = trigger; },
    taken() { taking = Math.max(0, taking - 1); },
    clicks(element, trigger) {
      element.addEventListener("pointerdown", (event) => {
        const stage = event.target.closest("[data-stage]");
        drawn = false;
        pressed = stage && event.pointerType !== "touch" && event.button === 0 && !begun(stage) ? event : null;
      });
      element.addEventListener("pointermove", (event) => {
        const stage = event.target.closest("[data-stage]");
        const far = pressed && Math.hypot(event.clientX - pressed.clientX, event.clientY - pressed.clientY) > 8;
        if (!stage || !far || !(event.buttons & 1)) return;
        begin(stage, pressed);
        [drawn, pressed] = [true, null];
        document.addEventListener("pointerup", (end) => {
          const now = first && document.querySelector(`[data-stage="${first.photo}"]`);
          if (now) corner(now, end, trigger);
        }, { once: true });
      });
      element.addEventListener("click", (event) => {
        const within = event.target.closest("[data-stage]");
        if (drawn) {
          drawn = false;
          return;
        }
        if (within && begun(within)) return corner(within, event, trigger);
        const target = event.target.closest("[data-act]");
        if (target) {
          unmark();
          const act = target.dataset.act;
          // What is taken back from here on is this answer, not what an older toast offers still.
          if (/^(is|not|own|skip)$/.test(act)) document.querySelector("#toast [data-act=undo]")?.remove();
          if (window.personal.acts?.[act]?.(target, trigger)) return;
          if (act === "copy") return copy(target);
          if (act === "theme") {
            stored("localStorage", "personal-theme", wanted() ? "light" : "dark");
            return theme(wanted());
          }
          target.closest("details.menu")?.removeAttribute("open");
          if (act === "mark") naming();
          return trigger("select", { ...target.dataset });
        }
        if (within) corner(within, event, trigger);
      });
      element.addEventListener("submit", (event) => {
        const form = event.target.closest("form[data-send]");
        if (!form) return;
        event.preventDefault();
        const menu = form.closest("details.menu");
        menu?.removeAttribute("open");
        menu?.querySelector("summary").focus();
        trigger("select", { ...form.dataset, ...Object.fromEntries(new FormData(form)), act: form.dataset.send });
      });
    },
  };

  /* On a narrow screen the list of conversations opens over the page, until one is chosen. */
  const narrow = matchMedia("(max-width: 1100px)");
  const openList = (button) => {
    const list = document.querySelector("#sidebar");
    list.popover = "auto";
    list.ontoggle = ({ newState }) => button.setAttribute("aria-expanded", newState === "open");
    list.showPopover({ source: button });
  };
  const closeList = () => {
    const list = document.querySelector("#sidebar");
    if (list?.matches(":popover-open")) list.hidePopover();
  };
  const lists = ({ target }) => {
    const button = target.closest?.("#open-chats");
    if (button) openList(button);
    else if (target.closest?.("#sidebar :is([data-act=chat], [data-act=delete], #new-chat, #temporary-chat, #close-chats)")) {
      if (target.closest("[data-act=delete]")) document.querySelector("#new-chat").focus();
      closeList();
    }
  };

  /* Photos, or folders of them, that are let go of on the cards are uploaded here, some at a time, and the tab's handler
     is told where they are and what their paths were. */
  const MOST = 1000, AT_ONCE = 20, AT_ONCE_BYTES = 2 ** 24;
  const PICTURE = /\.(jpe?g|jpe|jfif|mpo|png|webp|gif|bmp|tiff?|hei[cf]|hif|avif)$/i;
  let dropOnCards = null;
  const inside = (folder) => new Promise((resolve) => {
    const reader = folder.createReader(), all = [];
    const more = () => reader.readEntries((some) => {
      all.push(...some);
      if (some.length) more(); else resolve(all);
    }, () => resolve(all));
    more();
  });
  const gather = async (entry, path, found) => {
    if (found.length >= MOST || entry.name.startsWith(".")) return;
    if (entry.isDirectory) {
      for (const one of await inside(entry)) await gather(one, `${path}${entry.name}/`, found);
      return;
    }
    const file = await new Promise((resolve) => entry.file(resolve, () => resolve(null)));
    if (file && (!path || file.type.startsWith("image/") || PICTURE.test(file.name))) found.push([path + file.name, file]);
  };
  const batches = (found) => {
    const all = [];
    let bytes = Infinity;
    for (const one of found) {
      if (bytes + one[1].size > AT_ONCE_BYTES || all.at(-1).length >= AT_ONCE) [all[all.length], bytes] = [[], 0];
      all.at(-1).push(one);
      bytes += one[1].size;
    }
    return all;
  };
  const bringing = (words) => {
    document.querySelector("#bringing")?.remove();
    if (words) document.body.append(
      Object.assign(document.createElement("div"), { id: "bringing", role: "status", textContent: words }));
  };
  const bring = async (items) => {
    const entries = [...items].map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile()), found = [], files = [];
    for (const entry of entries.filter(Boolean)) {
      if (entry instanceof File) found.push([entry.name, entry]);
      else await gather(entry, "", found);
    }
    if (!found.length) return bringing();
    try {
      for (const batch of batches(found)) {
        bringing(`Uploading ${files.length + batch.length} of ${found.length} photos …`);
        const body = new FormData();
        batch.forEach(([, file]) => body.append("files", file, file.name));
        const response = await ask("gradio_api/upload", { method: "POST", body });
        if (!response.ok) throw new Error(await response.text());
        (await response.json()).forEach((path, i) => files.push({ path, name: batch[i][0] }));
      }
      bringing();
      dropOnCards?.("select", { act: "dropped", files });
    } catch (error) {
      bringing(error.message || "The photos could not be uploaded. Try again.");
      setTimeout(bringing, 6000);
    }
  };

  /* A photo that is let go of anywhere is one for the question, with the cards open it begins a concept; fields for files
     take it themselves, and nowhere does the browser leave the page. */
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  const zoneOf = (event) => {
    if (event.target.closest?.("#ask, .block:has(input[type=file])")) return null;
    const cards = document.querySelector(".library");
    return cards?.offsetParent ? cards : document.querySelector(".chat");
  };
  const over = (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    document.querySelectorAll(".over").forEach((e) => e.classList.remove("over"));
    if (event.type !== "dragover") return;
    const zone = zoneOf(event);
    (zone?.offsetParent ? zone : zone && chatTab())?.classList.add("over");
  };
  const chatTab = () => document.querySelector("[role=tablist] [role=tab]");
  const dropped = (event) => {
    if (!carries(event)) return;
    over(event);
    const zone = zoneOf(event);
    if (zone?.matches(".library")) return bring(event.dataTransfer.items);
    const input = zone && document.querySelector("#ask input[type=file]");
    if (!input) return;
    if (!zone.offsetParent) chatTab()?.click();
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };

  /* The browser's dialog offers pictures first, yet any file may be chosen or dropped: its content tells what it is. */
  const offer = ({ target }) => {
    if (target.matches?.(":is(#ask, #dropped, #files, #more-files) input[type=file]"))
      target.accept = "image/*,.heic,.heif,.hif,.avif,.jfif,.jpe,.mpo";
  };

  /* The rule for a kind, which the field's own element knows nothing of. */
  const bound = ({ target }) => {
    if (target.matches?.(":is(#new-kind, #edit-kind) input")) target.maxLength = 64;
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
    const answer = { y: "yes", ArrowRight: "yes", n: "no", ArrowLeft: "no", s: "skip", ArrowDown: "skip", u: "undo" }[event.key];
    const review = document.querySelector("#review");
    if (answer && review?.offsetParent && !typing && !event.repeat && !(event.ctrlKey || event.metaKey || event.altKey)
      && !(event.key.startsWith("Arrow") && event.target.closest?.("[role=tab]"))) {
      const button = document.querySelector(answer === "undo" ? "#toast [data-act=undo]" : `#review [data-answer=${answer}]`);
      if (button) event.preventDefault();
      button?.click();
    }
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.target.matches?.("#ask textarea")) hold(event);
    if (event.key === "Escape") {
      wait(false);
      document.querySelectorAll("details.menu[open]").forEach((e) => e.removeAttribute("open"));
      unmark();
      const stops = [...document.querySelectorAll("#ask .stop-button, button.stop-writing")];
      stops.filter((e) => e.offsetParent).forEach((e) => e.click());
    }
  };

  /* A growing answer is kept in sight, until the reader scrolls; one that comes whole is brought into sight, and again
     when its photos, which come after it, have moved it. */
  const PHOTOS_MS = 3000;
  const follow = () => {
    let until = 0, was = false, answers = 0;
    const last = () => document.querySelector("#live .said") ?? document.querySelector("#log .said:last-child");
    const show = () => { if (performance.now() < until) last()?.scrollIntoView({ block: "nearest" }); };
    for (const kind of ["wheel", "touchmove"]) addEventListener(kind, () => { until = 0; }, { passive: true });
    new MutationObserver(() => {
      const live = Boolean(document.querySelector("#live .said"));
      const now = document.querySelectorAll("#log .said.it").length;
      if (live && !was) until = Infinity;
      else if (!live && was) until = until && performance.now() + PHOTOS_MS;
      else if (!live && now > answers) until = performance.now() + PHOTOS_MS;
      was = live;
      answers = now;
      show();
    }).observe(document.body, { childList: true, subtree: true });
    document.addEventListener("load", (event) => { if (event.target.closest?.("#log")) show(); }, true);
  };

  const announce = () => {
    const log = document.querySelector("#log"); // reads an answer once it is whole; what grows is not read again and again
    log?.setAttribute("role", "log");
    log?.setAttribute("aria-label", "Conversation");
  };

  const start = () => {
    theme(wanted());
    new MutationObserver(() => {
      if (document.body.classList.contains("dark") !== wanted()) theme(wanted());
    }).observe(document.body, { attributeFilter: ["class"] });
    system.addEventListener("change", () => theme(wanted()));
    document.addEventListener("mouseover", lit);
    document.addEventListener("focusin", lit);
    document.addEventListener("focusin", bound);
    document.addEventListener("pointermove", band);
    for (const kind of ["dragover", "dragleave"]) document.addEventListener(kind, over);
    document.addEventListener("drop", dropped);
    document.addEventListener("click", offer, true);
    document.addEventListener("keydown", keys, true);
    document.addEventListener("click", (event) => { if (event.target.closest?.("#ask .submit-button")) hold(event); }, true);
    document.addEventListener("click", (event) => {
      document.querySelectorAll("details.menu[open]").forEach((e) => {
        if (!e.contains(event.target)) e.removeAttribute("open");
      });
    });
    new MutationObserver(showPictures).observe(document.body, {
      childList: true, subtree: true, attributeFilter: ["src", "data-picture"],
    });
    document.addEventListener("click", lists);
    narrow.addEventListener("change", () => {
      closeList();
      document.querySelector("#sidebar")?.removeAttribute("popover");
    });
    addEventListener("pagehide", remember);
    addEventListener("beforeunload", (event) => {
      if (!gone && document.querySelector("#edit-unsaved [data-act], #creator #new-photos img")) event.preventDefault();
    });
    recall();
    follow();
    setInterval(announce, 2000);
  };
  if (document.readyState === "loading") addEventListener("DOMContentLoaded", start);
  else start();
})();
