// What the pages do better with a script. Nothing here is needed.

// A link with data-keep-fragment leads through a login; the part of the address after # never
// reaches a server, so it travels in the link.
for (const link of document.querySelectorAll("a[data-keep-fragment]")) {
  if (location.hash.length > 1) {
    const target = new URL(link.href);
    target.searchParams.set("fragment", location.hash.slice(1));
    link.href = target.href;
  }
}

// A form that leads back takes the part of the address after # along in its field.
for (const field of document.querySelectorAll("input[data-keep-fragment]")) {
  if (location.hash.length > 1 && !field.value.includes("#")) {
    field.value += location.hash;
  }
}

// So does the choice of a language: the page that it leads to keeps that part of the address.
for (const form of document.querySelectorAll("form.languages")) {
  form.action += location.hash;
}

// A page that only leads on goes on by itself, and "Back" does not come back to it.
const onward = document.querySelector("a[data-go-on]");
const kind = performance.getEntriesByType("navigation")[0]?.type;
if (onward && kind !== "back_forward") {
  location.replace(onward.href);
}

// One submit is enough. A page that is shown again from memory can be submitted again.
for (const form of document.querySelectorAll("form")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "yes";
    event.submitter?.setAttribute("aria-disabled", "true");
  });
}
addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form")) {
    delete form.dataset.sent;
    for (const button of form.querySelectorAll("[aria-disabled]")) {
      button.removeAttribute("aria-disabled");
    }
  }
});

// Progress: the same page is fetched again, and what is live in it is brought up to date. A
// redirect, or a page with other live parts or none, means that there is something else to see.
const live = (page) => [...page.querySelectorAll("[data-live]")];
let wait = 700;
const look = async () => {
  try {
    const answer = await fetch(location.href, { redirect: "manual", headers: { Accept: "text/html" } });
    if (answer.type === "opaqueredirect") {
      location.reload();
      return;
    }
    if (answer.ok) {
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const parts = live(page);
      if (parts.length === 0 || parts.some((fresh) => !document.getElementById(fresh.id))) {
        location.reload();
        return;
      }
      for (const fresh of parts) {
        const shown = document.getElementById(fresh.id);
        if (shown.innerHTML !== fresh.innerHTML) {
          shown.replaceChildren(...fresh.childNodes);
        }
      }
    }
  } catch {
    // Out of reach for a moment: the next look may find it.
  }
  wait = Math.min(wait * 1.15, 5000);
  setTimeout(look, wait);
};
if (live(document).length > 0) {
  setTimeout(look, wait);
}
