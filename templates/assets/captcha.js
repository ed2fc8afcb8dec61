// The check for robots, on the pages that have one; in front of the script of all pages, which takes
// one submit of a form and no more. Nothing here is needed.

// Proof of work: a number is looked for whose digest the page names. A form that is sent earlier
// waits for it. Where there is no digest to be had, the form goes without.
const find = async (work) => {
  const wanted = work.dataset.target;
  const text = new TextEncoder();
  for (let number = 0; number < Number(work.dataset.bound); number += 1) {
    const octets = text.encode(`${work.dataset.work}:${number}`);
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", octets));
    const found = btoa(String.fromCharCode(...digest)).replaceAll("+", "-").replaceAll("/", "_").replace("=", "");
    if (found === wanted) {
      work.value = String(number);
      return;
    }
  }
};
for (const work of document.querySelectorAll("input[data-work]")) {
  if (!globalThis.crypto?.subtle) break;
  const status = work.form.querySelector("[data-work-status]");
  let isOver = false;
  status.hidden = false;
  const working = find(work).finally(() => {
    isOver = true;
    status.textContent = status.dataset.workStatus;
  });
  work.form.addEventListener("submit", (event) => {
    if (isOver) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    working.then(() => work.form.requestSubmit());
  });
}

// A vendor's captcha, where the operator has chosen one. Its script is loaded by this one, so that
// there is nothing to see where it cannot be; a form goes without it then.
const load = (address, group) => {
  const script = document.createElement("script");
  script.src = address;
  script.addEventListener("error", () => {
    group.hidden = !group.classList.contains("wrong");
  });
  document.head.append(script);
};
for (const widget of document.querySelectorAll("[data-captcha-widget]")) {
  const group = widget.closest("[data-captcha-group]");
  const reminder = group.querySelector("[data-captcha-todo]");
  if (matchMedia("(max-width: 24rem)").matches) widget.dataset.size = "compact";
  group.hidden = false;
  load(widget.dataset.captchaWidget, group);
  // Whoever forgets the check is reminded once; whoever cannot do it goes on.
  widget.closest("form").addEventListener("submit", (event) => {
    const answer = event.target.elements.namedItem(widget.dataset.answer);
    if (!answer || answer.value || !reminder.hidden) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    reminder.hidden = false;
    group.focus();
  });
}

// A score is asked for when the form is sent, and counts for two minutes.
const LONGEST_SCORING = 5000;
const scored = ({ sitekey, action }) =>
  new Promise((done) => {
    setTimeout(done, LONGEST_SCORING, "");
    grecaptcha.ready(() => grecaptcha.execute(sitekey, { action }).then(done, () => done("")));
  });
for (const score of document.querySelectorAll("input[data-captcha-score]")) {
  let isOver = false;
  load(score.dataset.captchaScore, score.closest("[data-captcha-group]"));
  score.form.addEventListener("submit", async (event) => {
    if (isOver || !globalThis.grecaptcha) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    score.value = await scored(score.dataset);
    isOver = true;
    score.form.requestSubmit();
  });
  addEventListener("pageshow", () => {
    isOver = false;
  });
}
