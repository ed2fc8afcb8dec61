// The script of a captcha's vendor under test; it does what reCAPTCHA's does, by its documentation.
(() => {
  const { origin, searchParams } = new URL(document.currentScript.src);
  const render = searchParams.get("render");

  // A frame of the vendor's, which sends the answer.
  const frame = (place, about) => {
    const shown = document.createElement("iframe");
    shown.title = "reCAPTCHA";
    shown.width = place.dataset.size === "compact" ? 164 : 304;
    shown.height = 78;
    shown.src = `${origin}/recaptcha/api2/anchor?${new URLSearchParams({ ...about, host: location.hostname })}`;
    place.append(shown);
    return new Promise((done) => {
      addEventListener("message", (event) => {
        if (event.origin === origin && event.source === shown.contentWindow) done(event.data);
      });
    });
  };

  if (render) {
    globalThis.grecaptcha = {
      ready: (then) => then(),
      execute: (k, { action }) => {
        const badge = document.createElement("div");
        document.body.append(badge);
        return frame(badge, { k, action, alone: "yes" });
      },
    };
    return;
  }
  for (const box of document.querySelectorAll(".g-recaptcha")) {
    const answer = document.createElement("textarea");
    answer.name = "g-recaptcha-response";
    answer.hidden = true;
    box.append(answer);
    frame(box, { k: box.dataset.sitekey }).then((given) => {
      answer.value = given;
    });
  }
})();
