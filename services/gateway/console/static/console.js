// Ticking clocks and live parts. Without this file every page can still be read.

const clocks = () => document.querySelectorAll("[data-due], [data-since]");

function tick() {
  const now = Date.now();
  for (const clock of clocks()) {
    const due = clock.dataset.due;
    const at = Date.parse(due ?? clock.dataset.since);
    const seconds = Math.abs(Math.trunc((at - now) / 1000));
    const days = Math.floor(seconds / 86400);
    const two = (number) => String(number).padStart(2, "0");
    const rest = `${Math.floor((seconds % 86400) / 3600)}:${two(Math.floor((seconds % 3600) / 60))}:${two(seconds % 60)}`;
    const place = clock.querySelector("[data-left]");
    const late = due !== undefined && at <= now;
    place.textContent = (late ? "+" : "") + (days ? `${days} ${clock.dataset.days} ${rest}` : rest);
    clock.classList.toggle("late", late);
  }
}

// Replaces only what has changed, by key: nothing jumps, opened details stay open, focus stays.
function patch(area, html, known) {
  const fresh = document.createElement("template");
  fresh.innerHTML = html;
  walk(area, fresh.content, known);
}

function keyed(parent) {
  return [...parent.children].filter((child) => child.dataset.key);
}

function walk(area, fresh, known) {
  const old = new Map(keyed(area).map((element) => [element.dataset.key, element]));
  let place = null;
  for (const element of keyed(fresh)) {
    const key = element.dataset.key;
    const html = element.outerHTML;
    const existing = old.get(key);
    old.delete(key);
    if (!existing) {
      known.set(key, html);
      if (known.size > 1) element.classList.add("fresh");
      area.insertBefore(element, place ? place.nextElementSibling : area.firstElementChild);
      place = element;
      continue;
    }
    if (known.get(key) !== html) {
      known.set(key, html);
      if (keyed(element).length && keyed(existing).length) {
        walk(existing, element, known);
      } else {
        keepOpen(existing, element);
        const inside = existing.contains(document.activeElement) ? document.activeElement.id : "";
        existing.replaceWith(element);
        if (inside) document.getElementById(inside)?.focus();
        place = element;
        continue;
      }
    }
    if (place ? place.nextElementSibling !== existing : area.firstElementChild !== existing) {
      area.insertBefore(existing, place ? place.nextElementSibling : area.firstElementChild);
    }
    place = existing;
  }
  for (const [key, gone] of old) {
    known.delete(key);
    gone.remove();
  }
}

function keepOpen(existing, element) {
  for (const details of [existing, ...existing.querySelectorAll("details[id]")]) {
    if (details.tagName !== "DETAILS") continue;
    const twin = element.id === details.id ? element : element.querySelector(`#${CSS.escape(details.id)}`);
    if (twin) twin.open = details.open;
  }
}

function follow(area) {
  const pulse = document.querySelector("[data-pulse]");
  const known = new Map();
  const say = (away) => {
    if (!pulse || pulse.classList.contains("away") === away && pulse.textContent) return;
    pulse.classList.toggle("away", away);
    pulse.textContent = away ? pulse.dataset.away : pulse.dataset.here;
  };
  const source = new EventSource(area.dataset.live);
  source.addEventListener("page", (event) => {
    patch(area, event.data, known);
    tick();
    say(false);
  });
  source.addEventListener("away", () => say(true));
  source.addEventListener("end", () => location.reload());
  source.addEventListener("error", () => {
    say(true);
    // Closed for good means that the stream was refused, e.g. signed out before it opened: the page itself will say why.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 2000);
  });
  addEventListener("pagehide", () => source.close());
}

for (const area of document.querySelectorAll("[data-live]")) follow(area);
tick();
setInterval(tick, 1000);

// A page from the back-forward cache may show what has changed since, or what another person may not see.
addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });

const reason = document.querySelector("#reason");
for (const choice of document.querySelectorAll("input[name=status]")) {
  choice.addEventListener("change", () => { reason.required = choice.value === "rejected" && choice.checked; });
}
