"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const NA = "NA", KEYS = "tnu";
  const items = data.items, tasks = data.tasks;
  const at = new Map(items.map((item, n) => [item.id, n]));
  let kept = {}, rater = byId("rater").value.trim(), order = [], current = -1, active = 0, past = [], lasting = true;

  // Where the browser keeps grades: {rater: {item: {task: value}}}, read again before every change, for other tabs.
  function recall() {
    try {
      const text = localStorage.getItem(data.key);
      if (text) kept = JSON.parse(text).grades;
    } catch (error) { lose(); }
  }
  function keep() {
    try { localStorage.setItem(data.key, JSON.stringify({rater, grades: kept})); } catch (error) { lose(); }
  }
  function lose() {
    lasting = false;
    warn("This browser keeps nothing for this page: save as CSV before you close it.");
  }
  function warn(text) { byId("warning").textContent = text; byId("warning").hidden = !text; }
  const own = (who) => (Object.hasOwn(kept, who) ? kept[who] : {});
  const mine = (n) => { const of = own(rater); return Object.hasOwn(of, items[n].id) ? of[items[n].id] : {}; };
  const value = (n, task) => (Object.hasOwn(mine(n), task.name) ? mine(n)[task.name] : "");
  const done = (n) => tasks.every((task) => value(n, task));

  function put(n, task, text) {
    recall();
    const of = Object.assign({}, own(rater)), graded = Object.assign({}, mine(n));
    if (text) graded[task.name] = text; else delete graded[task.name];
    of[items[n].id] = graded;
    kept[rater] = of;
    keep();
  }
  function grade(n, task, text) {
    past.push([n, task, value(n, task), rater]);
    put(n, task, text);
    card(n);
    count();
  }

  function element(name, text, attributes = {}) {
    const node = document.createElement(name);
    if (text !== undefined) node.textContent = text;
    for (const [key, content] of Object.entries(attributes)) node.setAttribute(key, content);
    return node;
  }
  const buttons = items.map((item, n) => {
    const line = element("li"), button = element("button", undefined, {type: "button", tabindex: "-1"});
    button.append(element("img", undefined, {src: item.image, alt: ""}), element("bdi", item.id), element("b", ""));
    button.addEventListener("click", () => show(n));
    line.append(button);
    return button;
  });
  function card(n) {
    const said = tasks.map((task) => `${task.name} ${value(n, task) || "–"}`).join(", ");
    buttons[n].lastChild.textContent = said;
    buttons[n].className = done(n) ? "done" : "";
    buttons[n].setAttribute("aria-label", `${items[n].id}: ${said}`);
  }

  const largest = (values) => values.reduce((a, b) => (b === null || (a !== null && a >= b) ? a : b), null);
  const SORTS = {
    "order of the file": null,
    "disagreement, most first": (task) => [task.disagreement, -1],
    "entropy, most first": (task) => [task.entropy, -1],
    "grade, worst first": (task) => [task.grade, 1],
    "grade, best first": (task) => [task.grade, -1],
  };
  function arrange() {
    const by = SORTS[byId("sort").value], which = byId("of").value;
    const chosen = tasks.map((_, k) => k).filter((k) => which === "" || String(k) === which);
    const wanted = [...byId("filters").querySelectorAll("select")].map((s) => [s.dataset.name, s.value]);
    order = items.map((_, n) => n).filter((n) =>
      wanted.every(([name, only]) => only === "" || (items[n].columns[name] || []).includes(only.slice(1)))
      && (!byId("open").checked || !done(n)));
    if (by) {
      const key = (n) => largest(chosen.map((k) => by(items[n].tasks[k])[0])), sign = by({})[1];
      const keys = new Map(order.map((n) => [n, key(n)]));
      order.sort((a, b) => {
        const x = keys.get(a), y = keys.get(b);
        return (x === null) - (y === null) || (x === null ? 0 : sign * (x - y)) || a - b;
      });
    }
    const held = byId("items").contains(document.activeElement);
    byId("items").replaceChildren(...order.map((n) => buttons[n].parentNode));
    count();
    if (!order.includes(current)) show(order.length ? order[0] : -1, false);
    if (held) (current < 0 ? byId("items") : buttons[current]).focus();  // what was moved has lost it
  }
  function count() {
    const left = items.filter((_, n) => !done(n)).length, here = order.filter((n) => !done(n)).length;
    const among = order.length < items.length ? `; ${here} of the ${order.length} shown` : "";
    byId("left").textContent = left ? `${left} of ${items.length} left${among}` : `All ${items.length} graded`;
  }

  function show(n, focus = true) {
    if (current >= 0) { buttons[current].removeAttribute("aria-current"); buttons[current].tabIndex = -1; }
    current = n;
    active = n < 0 ? 0 : Math.max(0, tasks.findIndex((task) => !value(n, task)));
    if (n >= 0) {
      buttons[n].setAttribute("aria-current", "true");
      buttons[n].tabIndex = 0;
      buttons[n].scrollIntoView({block: "nearest"});
      if (focus) buttons[n].focus();
    }
    panel();
  }
  function panel() {
    const place = byId("panel");
    if (current < 0) { place.replaceChildren(element("p", "No image is left of those that are asked for.")); return; }
    const item = items[current];
    place.replaceChildren(element("h2", item.id), element("img", undefined, {src: item.image, alt: item.id}));
    tasks.forEach((task, k) => {
      const set = element("fieldset", undefined, k === active ? {class: "active"} : {});
      set.append(element("legend", task.name));
      [...task.grades, NA].forEach((text, place) => {
        const key = text === NA && place === task.grades.length ? "0" : place < 9 ? String(place + 1) : "";
        const label = element("label"), radio = element("input", undefined, {type: "radio", name: `task${k}`});
        radio.checked = value(current, task) === text;
        radio.addEventListener("change", () => { active = k; grade(current, task, text); others(); mark(); });
        label.append(radio, ` ${key === "0" ? "cannot tell" : text} `);
        if (key) label.append(element("kbd", key));
        set.append(label);
      });
      place.append(set);
    });
    place.append(element("div", undefined, {id: "others"}));
    others();
  }
  function mark() {
    byId("panel").querySelectorAll("fieldset").forEach((set, k) => {
      set.classList.toggle("active", k === active);
      set.querySelectorAll("input").forEach((radio, place) => {
        radio.checked = value(current, tasks[k]) === [...tasks[k].grades, NA][place];
      });
    });
  }
  function others() {
    const item = items[current], table = element("table"), facts = Object.entries(item.columns);
    const row = (head, text) => {
      const line = element("tr");
      line.append(element("th", head, {scope: "row"}), element("td", text));
      table.append(line);
    };
    for (const [name, values] of facts) if (name !== "rater") row(name, values.join(", "));
    tasks.forEach((task, k) => {
      if (!(byId("reveal").checked || value(current, task))) return;
      const of = item.tasks[k];
      for (const [who, grade] of of.people) row(`${task.name}, ${who}`, task.grades[grade]);
      if (of.network !== null) {
        const shares = task.grades.map((name, g) => `${name} ${of.probs[g].toFixed(2)}`).join("  ");
        row(`${task.name}, network`, `${task.grades[of.network]} (${shares})`);
      }
    });
    byId("others").replaceChildren(table);
  }

  function next() {
    const place = order.indexOf(current);
    const round = [...order.slice(place + 1), ...order.slice(0, Math.max(place, 0))];
    const left = round.find((n) => !done(n));
    if (left !== undefined) show(left); else { panel(); if (current >= 0) buttons[current].focus(); }
  }
  function graded(text) {
    const was = current;
    grade(was, tasks[active], text);
    if (!text) { panel(); return; }
    const other = tasks.findIndex((task) => !value(was, task));
    if (other >= 0) { active = other; panel(); buttons[was].focus(); return; }
    next();
    if (byId("open").checked) arrange();
  }
  function undo() {
    const last = past.pop();
    if (!last || last[3] !== rater) return;
    put(last[0], last[1], last[2]);
    card(last[0]);
    count();
    if (!order.includes(last[0])) arrange();
    if (order.includes(last[0])) { show(last[0]); active = tasks.indexOf(last[1]); panel(); }
  }
  function move(key) {
    const place = order.indexOf(current), first = buttons[order[0]].offsetTop;
    const columns = Math.max(1, order.filter((n) => buttons[n].offsetTop === first).length);
    const step = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns}[key];
    const to = key === "Home" ? 0 : key === "End" ? order.length - 1 : place + step;
    if (to >= 0 && to < order.length) show(order[to]);
  }
  document.querySelector("main").addEventListener("keydown", (event) => {
    if (current < 0 || event.ctrlKey || event.altKey || event.metaKey) return;
    const key = event.key, radio = event.target.type === "radio", task = tasks[active];
    const letter = task.grades.filter((name) => name.toLowerCase() === key.toLowerCase());
    if (/^(Arrow|Home|End)/.test(key)) { if (radio) return; move(key); }
    else if (/^[1-9]$/.test(key) && Number(key) <= task.grades.length) graded(task.grades[Number(key) - 1]);
    else if (key === "0") graded(NA);
    else if (key === "Delete" || key === "Backspace") graded("");
    else if (key === "t") { active = (active + 1) % tasks.length; mark(); }
    else if (key === "n") next();
    else if (key === "u") undo();
    else if (letter.length === 1 && !/^\d$/.test(key) && !KEYS.includes(key)) graded(letter[0]);
    else return;
    event.preventDefault();
  });

  function csv() {
    const cell = (text) => (/[",\r\n]/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text);
    const lines = ["item,rater,task,value"];
    items.forEach((item, n) => tasks.forEach((task) => {
      if (value(n, task)) lines.push([item.id, rater, task.name, value(n, task)].map(cell).join(","));
    }));
    return lines.join("\n") + "\n";
  }
  byId("save").addEventListener("click", () => {
    recall();
    if (!rater) { warn("Say your name first: it stands beside every grade."); byId("rater").focus(); return; }
    if (lasting) warn("");
    const address = URL.createObjectURL(new Blob([csv()], {type: "text/csv;charset=utf-8"}));
    const anchor = element("a", undefined, {href: address, download: `grades-${rater.replace(/[^\p{L}\p{N}._-]+/gu, "_")}.csv`});
    document.body.append(anchor);
    anchor.click();
    anchor.remove();
    setTimeout(() => URL.revokeObjectURL(address), 60000);
  });
  byId("rater").addEventListener("change", () => {
    const before = rater;
    recall();
    rater = byId("rater").value.trim();
    if (before === "" && rater && !Object.hasOwn(kept, rater)) {  // who graded before saying the name
      kept[rater] = own("");
      delete kept[""];
    }
    keep();
    past = [];
    refresh();
  });
  function refresh() { items.forEach((_, n) => card(n)); arrange(); if (current >= 0) panel(); }
  window.addEventListener("storage", (event) => { if (event.key === data.key) { recall(); refresh(); } });
  window.addEventListener("beforeunload", (event) => { if (!lasting && Object.keys(own(rater)).length) event.preventDefault(); });

  recall();
  try { rater = rater || JSON.parse(localStorage.getItem(data.key) || "{}").rater || ""; } catch (error) { lose(); }
  byId("rater").value = rater;
  for (const name of Object.keys(SORTS)) byId("sort").append(element("option", name));
  byId("of").append(element("option", "all tasks", {value: ""}), ...tasks.map((task, k) => element("option", task.name, {value: String(k)})));
  for (const {name, values} of data.filters) {
    const label = element("label", `${name} `), select = element("select");
    select.dataset.name = name;
    select.append(element("option", "all", {value: ""}), ...values.map((one) => element("option", one, {value: `=${one}`})));
    label.append(select);
    byId("filters").append(label);
  }
  byId("tools").addEventListener("change", (event) => { if (event.target.id === "reveal") panel(); else arrange(); });
  byId("tools").addEventListener("submit", (event) => event.preventDefault());
  refresh();
  if (current >= 0) { const left = order.find((n) => !done(n)); if (left !== undefined) show(left, false); }
})();
