"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const OUTCOMES = ["failure", "warning", "skipped", "unknown", "ok"];
  const TONES = ["bad", "warn", "wait", "wait", "good"];
  const SYMBOLS = ["✖", "▲", "◔", "◔", "●"];
  const PAGE = 200;

  // copying
  const say = (text) => { byId("said").textContent = text; };
  const copy = async (button) => {
    const next = button.dataset.copy === undefined;
    const text = next ? button.closest("details").querySelector("pre").textContent : button.dataset.copy;
    let done = false;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      area.className = "hidden";
      document.body.append(area);
      area.select();
      done = document.execCommand("copy");
      area.remove();
      button.focus();
    }
    button.textContent = done ? "Copied" : "Not copied";
    say(done ? `Copied${next ? "" : `: ${text}`}` : "The browser did not allow copying");
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  };
  for (const button of document.querySelectorAll("button.copy")) button.addEventListener("click", () => copy(button));

  // keys
  const causes = [...document.querySelectorAll("article.cause")].filter((one) => !one.closest("details.over"));
  const current = () => causes.findIndex((one) => one === document.activeElement || one.contains(document.activeElement));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, select, textarea");
    if (typing && event.key !== "Escape") return;
    if (event.key === "/") {
      event.preventDefault();
      byId("filter").focus();
    } else if (event.key === "Escape") {
      if (typing) typing.blur();
      dispatchEvent(new Event("show-all"));
    } else if ((event.key === "j" || event.key === "k") && causes.length) {
      const step = event.key === "j" ? 1 : -1;
      const next = current() < 0 ? (step > 0 ? 0 : causes.length - 1) : (current() + step + causes.length) % causes.length;
      causes[next].focus();
      causes[next].scrollIntoView({ block: "start" });
    } else if (event.key === "c" && current() >= 0) {
      const button = causes[current()].querySelector("button.copy");
      if (button) copy(button);
    }
  });

  // paper has no places to click on
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of closed) one.open = false; });

  // times where the reader is
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const zone = new Intl.DateTimeFormat("en", { timeZoneName: "short" });
  for (const one of document.querySelectorAll("time")) one.title = `${local.format(new Date(one.dateTime))} where you are`;
  const began = document.querySelector("header time");
  const minutes = new Date(began.dateTime).getTimezoneOffset();
  if (minutes !== 0) {
    const shown = document.createElement("span");
    const at = new Date(began.dateTime);
    const name = zone.formatToParts(at).find((part) => part.type === "timeZoneName").value;
    shown.className = "local";
    shown.textContent = ` (${at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })} ${name})`;
    began.after(shown);
  }

  // the table of all nodes
  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  const start = (data) => {
    const count = data.name.length;
    const word = (column, row) => data[column].values[data[column].at[row]];
    const value = {
      outcome: (row) => data.outcome[row],
      name: (row) => data.name[row],
      type: (row) => word("type", row),
      ms: (row) => data.ms[row] ?? -1,
      rows: (row) => data.rows[row] ?? -1,
      step: (row) => word("step", row),
      owner: (row) => word("owner", row),
      message: (row) => data.message[row] ?? "",
    };
    const texts = new Array(count);
    const textOf = (row) => texts[row] ??=
      `${data.name[row]} ${word("on", row)} ${word("owner", row)} ${word("status", row)} ${data.message[row] ?? ""}`.toLowerCase();
    const state = { text: "", outcomes: new Set(), type: "", step: "", sort: "outcome", down: false, shown: PAGE };
    let rows = [];

    const fill = (select, values) => {
      for (const one of [...values].sort()) select.append(new Option(one, one));
    };
    fill(byId("type"), data.type.values);
    fill(byId("step"), data.step.values);
    byId("step-label").hidden = data.step.values.length < 2;

    const cell = (text, name) => {
      const made = document.createElement("td");
      if (name) made.className = name;
      made.textContent = text;
      return made;
    };
    const message = (text) => {
      const made = cell("", "message");
      const shown = document.createElement("span");
      shown.textContent = text;
      made.append(shown);
      return made;
    };
    const line = (row) => {
      const made = document.createElement("tr");
      const outcome = data.outcome[row];
      const badge = document.createElement("span");
      badge.className = `badge ${TONES[outcome]}`;
      const symbol = document.createElement("span");
      symbol.setAttribute("aria-hidden", "true");
      symbol.textContent = `${SYMBOLS[outcome]} `;
      badge.append(symbol, word("status", row));
      const first = document.createElement("td");
      first.append(badge);
      const name = document.createElement("th");
      name.scope = "row";
      const shown = document.createElement("span");
      shown.className = "name";
      shown.textContent = data.name[row];
      name.append(shown);
      if (word("on", row)) {
        const on = document.createElement("span");
        on.className = "soft";
        on.textContent = ` on ${word("on", row)}`;
        name.append(on);
      }
      const ms = data.ms[row];
      made.append(first, name, cell(word("type", row)),
        cell(ms === null ? "" : (ms / 1000).toFixed(2), "number"),
        cell(data.rows[row] === undefined ? "" : data.rows[row].toLocaleString("en"), "number"),
        cell(word("step", row)), cell(word("owner", row)), message(data.message[row] ?? ""));
      return made;
    };
    const draw = () => {
      byId("results").tBodies[0].replaceChildren(...rows.slice(0, state.shown).map(line));
      const shown = Math.min(state.shown, rows.length);
      byId("shown").textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`
        + (rows.length < count ? `, ${count.toLocaleString("en")} in all` : "");
      byId("cut").textContent = shown < count ? `${byId("shown").textContent}; the others are in the page itself.` : "";
      byId("more").hidden = shown >= rows.length;
    };
    const update = () => {
      const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
      rows = [];
      for (let row = 0; row < count; row += 1) {
        if (state.outcomes.size && !state.outcomes.has(OUTCOMES[data.outcome[row]])) continue;
        if (state.type && word("type", row) !== state.type) continue;
        if (state.step && word("step", row) !== state.step) continue;
        if (words.length && !words.every((one) => textOf(row).includes(one))) continue;
        rows.push(row);
      }
      const of = value[state.sort];
      const keys = rows.map(of);
      const places = rows.map((_, place) => place);
      const sign = state.down ? -1 : 1;
      places.sort((a, b) => sign * (keys[a] < keys[b] ? -1 : keys[a] > keys[b] ? 1 : 0) || a - b);
      rows = places.map((place) => rows[place]);
      state.shown = PAGE;
      for (const header of byId("results").tHead.rows[0].cells) {
        const isSorted = header.firstElementChild.dataset.sort === state.sort;
        if (isSorted) header.setAttribute("aria-sort", state.down ? "descending" : "ascending");
        else header.removeAttribute("aria-sort");
      }
      draw();
    };
    let waiting = 0;
    byId("filter").addEventListener("input", (event) => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { state.text = event.target.value; update(); }, 60);
    });
    byId("filters").addEventListener("submit", (event) => event.preventDefault());
    for (const chip of document.querySelectorAll(".chip")) {
      chip.addEventListener("click", () => {
        const on = chip.getAttribute("aria-pressed") !== "true";
        chip.setAttribute("aria-pressed", String(on));
        if (on) state.outcomes.add(chip.dataset.outcome); else state.outcomes.delete(chip.dataset.outcome);
        update();
      });
    }
    for (const name of ["type", "step"]) {
      byId(name).addEventListener("change", (event) => { state[name] = event.target.value; update(); });
    }
    for (const button of document.querySelectorAll("[data-sort]")) {
      button.addEventListener("click", () => {
        const key = button.dataset.sort;
        state.down = state.sort === key ? !state.down : key === "ms" || key === "rows";
        state.sort = key;
        update();
      });
    }
    addEventListener("show-all", () => {
      clearTimeout(waiting);
      for (const name of ["filter", "type", "step"]) byId(name).value = "";
      for (const chip of document.querySelectorAll(".chip")) chip.setAttribute("aria-pressed", "false");
      state.outcomes.clear();
      Object.assign(state, { text: "", type: "", step: "" });
      update();
    });
    byId("more").addEventListener("click", () => { state.shown += 5 * PAGE; draw(); });
    byId("filters").hidden = false;
    byId("results").hidden = false;
    update();
  };
  unpack(byId("packed").textContent).then(start).catch((error) => {
    byId("nodes").insertAdjacentText("afterend", `The table cannot be shown: ${error.message}`);
  });
})();
